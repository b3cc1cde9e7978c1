# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle of public keys, as kube-apiserver's --service-account-key-file reads it."""

from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import ca_bundle
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

LONG_AGO_NS = 1_600_000_000_000_000_000


def public_key() -> str:
    key = made.openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    return made.openssl(["pkey", "-pubout"], key)


@pytest.fixture
def keep(tmp_path, capsys):
    """Run the module on the one bundle."""
    def run(check=False, **options):
        bundle = {"name": "sa", "path": str(tmp_path / "sa.pub"), "format": "public-keys", "state": "exact", **options}
        with patch_module_args({"bundles": [bundle], "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
            ca_bundle.main()
        return json.loads(capsys.readouterr().out)
    return run


def test_public_keys_are_kept_as_certificates_are(keep, tmp_path):
    old, new, path = public_key(), public_key(), tmp_path / "sa.pub"
    path.write_text(old)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    would, did = keep(check=True, certificates=[old, new]), keep(certificates=[old, new])
    assert would == did and did["results"][0]["trust_changed"]
    assert path.read_text() == old + new
    assert path.stat().st_mtime_ns > LONG_AGO_NS
    assert not keep(certificates=[old, new])["changed"]
    assert keep(certificates=[new])["results"][0]["reasons"][0].startswith("removes public key sha256:")
    assert path.read_text() == new


def test_the_order_of_public_keys_says_nothing(keep, tmp_path):
    old, new, path = public_key(), public_key(), tmp_path / "sa.pub"
    path.write_text(old + new)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert not keep(certificates=[new, old])["results"][0]["trust_changed"]
    assert path.read_text() == new + old and path.stat().st_mtime_ns == LONG_AGO_NS


@pytest.mark.parametrize(("given", "text"), [
    ({"certificates": [made.make_ca("ca")]}, "holds a CERTIFICATE where only public keys belong"),
    ({"certificates": []}, "names no certificate"),
    ({"certificates": ["no PEM"]}, "holds no PEM public key"),
    ({"certificates": ["x"], "path": None, "kubeconfig_path": "/k"}, "format is for path"),
])
def test_anything_else_is_refused(keep, tmp_path, given, text):
    assert text in keep(**given)["msg"]
    assert not (tmp_path / "sa.pub").exists()


def test_a_private_key_in_the_file_is_refused_and_not_shown(keep, tmp_path):
    key = made.openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    (tmp_path / "sa.pub").write_text(key)
    said = json.dumps(keep(certificates=[public_key()]))
    assert "holds a PRIVATE KEY where only public keys belong" in said
    assert key.splitlines()[1] not in said


def test_public_keys_are_no_ca_bundle(keep):
    assert "holds a PUBLIC KEY where only certificates belong" in keep(certificates=[public_key()], format="pem")["msg"]
