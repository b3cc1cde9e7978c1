# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import authority_items, items

LEAF = {
    "name": "apiserver", "host": None, "authority": "kubernetes", "certificate_path": "/k/a.crt", "key_path": "/k/a.key",
    "common_name": "kube-apiserver", "organizations": [], "sans": {"ip": ["10.96.0.1"]}, "usages": ["server_auth"],
    "validity": "365d", "renew_before": "30d", "key_type": "ecdsa-p256", "rotate_key": True, "csr_content": None,
    "certificate_content": None, "owner": None, "group": None, "key_mode": "0600", "certificate_mode": "0644",
}
AUTHORITY = {
    "name": "kubernetes", "certificate_path": "/ca/k.crt", "key_path": "/ca/k.key", "chain_path": None, "common_name": "k@1",
    "organizations": [], "key_type": "ecdsa-p256", "validity": "3650d", "renew_before": None, "path_length": None,
    "external": False, "parent": None, "cross_sign": None, "other_certificate_paths": [], "owner": None, "group": None,
    "key_mode": "0600", "certificate_mode": "0644",
}


def leaves(*changes, needs_paths=True, needs_authority=True) -> list[items.Item]:
    return items.checked_items([{**LEAF, **change} for change in changes], needs_paths, needs_authority)


def authorities(*changes) -> list[authority_items.AuthorityItem]:
    return authority_items.checked_authorities([{**AUTHORITY, **change} for change in changes])


def test_options_become_values():
    (item,) = leaves({"key_mode": "0640", "validity": "12h", "renew_before": "1h"})
    assert (item.key_mode, item.validity) == (0o640, datetime.timedelta(hours=12))
    assert item.profile.ip == ("10.96.0.1",)
    assert item.pending_path == "/k/a.key.pending"
    assert (item.host, item.csr_content, item.label) == ("", "", "apiserver")


@pytest.mark.parametrize(("change", "problem"), [
    ({"renew_before": "365d"}, "every run would issue it again"),
    ({"validity": "1y"}, "validity is '1y'"),
    ({"renew_before": "soon"}, "renew_before is 'soon'"),
    ({"key_mode": "0644"}, "opens a private key to everyone"),
    ({"key_mode": "0601"}, "opens a private key to everyone"),
    ({"key_mode": "420"}, "is no mode"),
    ({"certificate_mode": "644"}, "is no mode"),
    ({"sans": {"dns": ["10.96.0.1"]}}, "move it to sans.ip"),
    ({"authority": None}, "authority is missing"),
    ({"certificate_path": None}, "certificate_path is missing"),
    ({"key_path": ""}, "key_path is missing"),
])
def test_what_cannot_be_is_refused_with_the_name_of_the_item(change, problem):
    with pytest.raises(PkiError, match=problem) as caught:
        leaves(change)
    assert str(caught.value).startswith("apiserver: ")


def test_paths_and_authority_are_asked_for_only_where_they_are_needed():
    assert leaves({"certificate_path": None, "key_path": None}, needs_paths=False)
    assert leaves({"authority": None}, needs_authority=False)


OTHER = {"name": "other", "certificate_path": "/k/b.crt", "key_path": "/k/b.key"}


@pytest.mark.parametrize(("change", "problem"), [
    ({"name": "apiserver"}, "apiserver: duplicate name apiserver"),
    ({"certificate_path": "/k/a.crt"}, "apiserver and other: duplicate path /k/a.crt"),
    ({"certificate_path": "/k/../k/a.crt"}, "duplicate path /k/a.crt"),
    ({"key_path": "/k/a.key"}, "duplicate path /k/a.key"),
    ({"key_path": "/k/a.crt"}, "duplicate path /k/a.crt"),
    ({"certificate_path": "/k/a.key.pending"}, "duplicate path /k/a.key.pending"),
    ({"certificate_path": "/k/b.key"}, "other: duplicate path /k/b.key"),
])
def test_names_and_paths_are_unique(change, problem):
    assert len(leaves({}, OTHER)) == 2
    with pytest.raises(PkiError, match=problem):
        leaves({}, {**OTHER, **change})


def test_a_batch_for_many_hosts_has_the_same_names_and_paths_on_each():
    found = leaves({"host": "one"}, {"host": "two"}, needs_paths=False)
    assert [item.label for item in found] == ["one: apiserver", "two: apiserver"]
    with pytest.raises(PkiError, match="one: apiserver: duplicate name"):
        leaves({"host": "one"}, {"host": "one"}, needs_paths=False)


def test_an_authority_may_have_a_parent_and_a_cross_certificate():
    (item,) = authorities({"parent": {"certificate_path": "/r.crt", "key_path": None, "chain_path": None},
                           "cross_sign": {"certificate_path": "/o.crt", "key_path": "/o.key", "path": "/x.crt"}, "renew_before": "1w"})
    assert item.parent == authority_items.Parent("/r.crt", "", "")
    assert item.cross_sign == authority_items.CrossSign("/o.crt", "/o.key", "/x.crt")
    assert item.renew_before == datetime.timedelta(days=7)


@pytest.mark.parametrize(("change", "problem"), [
    ({"key_path": None}, "kubernetes: key_path is missing"),
    ({"renew_before": "3650d"}, "every run would issue it again"),
    ({"path_length": -1}, "path_length is -1"),
    ({"common_name": "x" * 65}, "longer than 64"),
    ({"key_mode": "0604"}, "opens a private key"),
    ({"chain_path": "/ca/k.crt"}, "duplicate path /ca/k.crt"),
    ({"cross_sign": {"certificate_path": "/o.crt", "key_path": "/o.key", "path": "/ca/k.key"}}, "duplicate path /ca/k.key"),
])
def test_an_authority_that_cannot_be_is_refused(change, problem):
    with pytest.raises(PkiError, match=problem):
        authorities(change)


def test_authorities_are_unique():
    assert len(authorities({}, {"name": "etcd", "certificate_path": "/ca/e.crt", "key_path": "/ca/e.key"})) == 2
    with pytest.raises(PkiError, match="duplicate name"):
        authorities({}, {"certificate_path": "/ca/e.crt", "key_path": "/ca/e.key"})
    with pytest.raises(PkiError, match="duplicate path"):
        authorities({}, {"name": "etcd", "certificate_path": "/ca/e.crt"})


def test_an_external_authority_needs_no_key():
    assert authorities({"external": True, "key_path": None})[0].key_path == ""
