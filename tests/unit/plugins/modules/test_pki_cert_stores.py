# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaves that live in a kubeconfig or in the kubelet's store, through the three calls."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
import yaml
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import leaf_stores
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_bench import is_pair, verify
from ansible_collections.rekey.kubernetes.tests.unit.plugins.modules.test_pki_cert_three_calls import Site

KUBECONFIG = {
    "apiVersion": "v1", "kind": "Config", "current-context": "here", "extra": "kept",
    "clusters": [{"name": "c", "cluster": {"server": "https://lb.example.com:6443"}}],
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
    "users": [{"name": "other", "user": {"token": "kept"}}, {"name": "me", "user": {}}],
}


@pytest.fixture
def site(tmp_path, capsys) -> Site:
    return Site(tmp_path, capsys)


def apart(site, certificate: bytes, key: bytes) -> tuple[str, str]:
    """Write what was found in one file into two, for openssl."""
    found = site.root / "found.crt", site.root / "found.key"
    for path, content in zip(found, (certificate, key)):
        path.write_bytes(content)
    return str(found[0]), str(found[1])


def judged(site, certificate: bytes, key: bytes) -> None:
    paths = apart(site, certificate, key)
    verify(paths[0], site.signer["certificate_path"])
    assert is_pair(*paths)


def test_a_kubeconfig_gets_the_pair_of_its_current_user_and_keeps_all_else(site):
    path = site.root / "node" / "admin.conf"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    item = site.item("admin", usages=["client_auth"], sans={}, certificate_path=str(path), key_path=str(path), store="kubeconfig")
    assert site.all_three(item)["changed"]
    said = yaml.safe_load(path.read_text())
    user = said["users"][1]["user"]
    judged(site, *(base64.b64decode(user.pop(field)) for field in ("client-certificate-data", "client-key-data")))
    assert said == KUBECONFIG
    assert path.stat().st_mode & 0o777 == 0o600
    assert site.node() == ["admin.conf"]
    site.no_key_was_said()


def test_a_kubeconfig_that_is_in_order_is_kept(site):
    path = site.root / "node" / "admin.conf"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    item = site.item("admin", usages=["client_auth"], sans={}, certificate_path=str(path), key_path=str(path), store="kubeconfig")
    site.all_three(item)
    before = path.read_bytes()
    assert not site.all_three(item)["changed"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["kubelet-client", "kubelet-server"])
def test_the_kubelets_store_gets_a_new_dated_file_behind_its_symlink(site, name):
    current = site.root / "node" / f"{name}-current.pem"
    (site.root / "node" / f"{name}-2020-01-01-00-00-00.pem").write_text("")
    os.symlink(f"{name}-2020-01-01-00-00-00.pem", current)
    item = site.item(name, usages=["client_auth"], sans={}, certificate_path=str(current), key_path=str(current),
                     store="kubelet")
    current.unlink()
    assert site.all_three(item)["changed"]
    assert os.readlink(current).startswith(f"{name}-2")
    assert Path(current).stat().st_mode & 0o777 == 0o600
    judged(site, *leaf_stores.read("kubelet", str(current), str(current)))
    leaf_stores.remove_superseded([str(current)])
    assert site.node() == sorted([os.readlink(current), f"{name}-current.pem"])


def test_one_file_cannot_have_two_paths(site):
    site.refuses([site.item("admin", store="kubeconfig")], "give the same path twice", action="request", authorities=[site.known])
