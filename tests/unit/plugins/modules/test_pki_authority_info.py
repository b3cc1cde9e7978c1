# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_authority_info
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

DAY = 86400


@pytest.fixture
def listed(tmp_path, capsys):
    """Return the generations that the module lists in a directory."""
    def run():
        with patch_module_args({"path": str(tmp_path)}), pytest.raises(SystemExit):
            pki_authority_info.main()
        return json.loads(capsys.readouterr().out)
    return run


def key_pair(base, kind="RSA"):
    base.parent.mkdir(exist_ok=True)
    option = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "EC" else []
    subprocess.run(["openssl", "genpkey", "-algorithm", kind, *option, "-out", f"{base}.key"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", f"{base}.key", "-pubout", "-out", f"{base}.pub"], check=True, capture_output=True)
    return base.with_name(f"{base.name}.pub").read_text()


def test_an_authority_host_need_not_exist(listed):
    assert listed()["generations"] == {}


def test_the_key_pair_that_was_there_before_any_rotation_is_the_first_generation(listed, tmp_path):
    first = key_pair(tmp_path / "service-accounts")
    younger = key_pair(tmp_path / "service-accounts" / "20261122T170000Z", "EC")
    found = listed()
    assert list(found["generations"]) == ["service-accounts/first", "service-accounts/20261122T170000Z"]
    assert found["certificates"] == {"service-accounts/first": first, "service-accounts/20261122T170000Z": younger}
    assert [one["key_type"] for one in found["generations"].values()] == ["rsa-2048", "ecdsa-p256"]
    assert found["generations"]["service-accounts/first"]["key_path"] == f"{tmp_path}/service-accounts.key"
    assert "PRIVATE KEY" not in json.dumps(found)


def test_the_first_one_is_as_old_as_its_file(listed, tmp_path):
    key_pair(tmp_path / "service-accounts")
    os.utime(tmp_path / "service-accounts.pub", (0, 0))
    os.remove(tmp_path / "service-accounts.key")
    first = listed()["generations"]["service-accounts/first"]
    assert first["age_days"] > 20000 and not first["key_exists"]
    assert first["remaining_days"] is None


def test_generations_of_an_authority_come_oldest_first(listed, tmp_path):
    (tmp_path / "etcd").mkdir()
    for stamp in ("20261122T170000Z", "20251122T170000Z", "no-stamp"):
        (tmp_path / "etcd" / f"{stamp}.crt").write_text(made.make_ca(f"etcd-ca@{stamp}"))
    assert list(listed()["generations"]) == ["etcd/20251122T170000Z", "etcd/20261122T170000Z"]
