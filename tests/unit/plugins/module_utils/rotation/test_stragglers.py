# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of, what is carried in others' objects, and which lines of logs are complaints."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.objects import ROW, Field
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import carry, gates, stragglers
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.complaints import complaints, unread
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

OLD, NEW = seen.OLD["kubernetes"], seen.NEW["kubernetes"]
BOTH = {"kubernetes": {"old": OLD, "new": NEW}}


def place(*generations, shows=None, problem="", row="api-services"):
    field = Field(row, ROW[row].kind, "", "v1.example.com", "spec.caBundle", "", {})
    server = None if shows is None and not problem else carry.Server("service shop/api:443", tuple(shows or ()), problem)
    return carry.Place(field, generations, server)


@pytest.mark.parametrize(("one", "added", "removed"), [
    (place(OLD, shows=[OLD]), [NEW], []),
    (place(OLD, shows=[NEW]), [NEW], [OLD]),
    (place(OLD, NEW, shows=[NEW]), [], [OLD]),
    (place(OLD, NEW, shows=["", NEW]), [], [OLD]),  # one with a certificate of another CA
    (place(OLD, NEW, shows=[NEW, OLD]), [], []),  # one replica is behind
    (place(OLD, NEW, problem="nothing is ready"), [], []),
    (place(OLD), [NEW], [OLD]),  # a trust bundle, which no server stands behind
    (place(NEW, shows=[NEW]), [], []),
])
def test_what_becomes_of_a_place(one, added, removed):
    assert (carry.added(one, BOTH), carry.removed(one, BOTH)) == (added, removed)


def test_a_place_without_a_rotated_generation_is_not_ours():
    assert carry.concerned([place(seen.OLD["etcd"]), place(OLD)], BOTH) == [place(OLD)]


def test_the_server_that_needs_the_old_generation_is_told_of_and_its_place_excused():
    behind = place(OLD, NEW, shows=[OLD])
    (one,) = carry.stragglers([behind, place(OLD, NEW, shows=[NEW])], BOTH)
    assert one.told()["text"].startswith(
        f"apiservice v1.example.com (of service shop/api:443): its server shows a certificate of {OLD} (give the server a certificate of")
    gate = carry.gate([behind], BOTH, ["new"])
    objects = {row["name"]: {} for row in gate}
    assert gates.unmet(gate, {"objects": {**objects, "api-services": {"v1.example.com": [OLD, NEW]}}}) == []
    assert gates.unmet(gate, {"objects": {**objects, "api-services": {"v2.example.com": [OLD, NEW]}}}) != []
    assert gates.unmet(gate, {"objects": {**objects, "validating-webhooks": {"v1.example.com": [OLD, NEW]}}}) != []


def test_while_both_are_trusted_the_new_one_must_be_beside_every_old_one():
    gate = carry.gate([], BOTH, ["old", "new"])
    objects = {row["name"]: {} for row in gate}
    assert gates.unmet(gate, {"objects": {**objects, "api-services": {"a": [OLD, NEW], "b": [NEW], "c": []}}}) == []
    assert "api-services a holds" in gates.unmet(gate, {"objects": {**objects, "api-services": {"a": [OLD]}}})[0]


def test_a_certificate_counts_while_it_can_be_used():
    issued = [stragglers.Issued("jane-1", "jane", "CN=jane", OLD, "2027", expired=False),
              stragglers.Issued("jane-2", "jane", "CN=jane", NEW, "2027", expired=False),
              stragglers.Issued("jane-3", "jane", "CN=jane", OLD, "2026", expired=True)]
    (one,) = stragglers.certificates(issued, {OLD})
    assert (one.kind, one.name, one.owner) == ("certificate", "CertificateSigningRequest jane-1", "jane")
    assert OLD in one.reason and "CN=jane" in one.reason


@pytest.mark.parametrize("arguments", [{"cluster-signing-cert-file": "/other/ca.crt", "v": "4"},
                                       [{"name": "cluster-signing-cert-file", "value": "/other/ca.crt"}, {"name": "v", "value": "4"}]],
                         ids=["v1beta3", "v1beta4"])
def test_what_kubeadm_would_write_elsewhere(arguments):
    (one,) = stragglers.configuration({"controllerManager": {"extraArgs": arguments}}, "/etc/kubernetes/pki")
    assert one.reason == ("controllerManager.extraArgs cluster-signing-cert-file is /other/ca.crt, "
                          "the layout's is /etc/kubernetes/pki/ca.crt")


def test_a_configuration_that_fits_says_nothing():
    fits = {"certificatesDir": "/etc/kubernetes/pki", "apiServer": {"extraArgs": {"client-ca-file": "/etc/kubernetes/pki/ca.crt"}},
            "etcd": {"local": {"dataDir": "/var/lib/etcd"}}, "scheduler": {}}
    assert stragglers.configuration(fits, "/etc/kubernetes/pki") == []
    assert "certificatesDir is /pki" in stragglers.configuration({"certificatesDir": "/pki"}, "/etc/kubernetes/pki")[0].reason


LOG = """\
[pod/coredns-1/coredns] [ERROR] plugin/kubernetes: watch: tls: failed to verify certificate: x509: certificate signed by unknown authority
[pod/coredns-1/coredns] [INFO] reload
[pod/coredns-1/coredns] Failed to watch *v1.Namespace: x509: certificate signed by unknown authority
[pod/kube-apiserver-a/kube-apiserver] E1 "Unable to authenticate the request" err="[x509: certificate signed by unknown authority, ...]"
[pod/kube-apiserver-a/kube-apiserver] http: TLS handshake error from 10.0.0.1:5: remote error: tls: bad certificate
[pod/etcd-a/etcd] {"msg":"rejected connection on client endpoint","error":"tls: failed to verify certificate: x509: certificate signed"}
error: container "x" in pod "y" is waiting to start: ContainerCreating
"""


def test_who_does_not_trust_a_server_complains_and_who_refuses_a_client_does_not():
    assert complaints(LOG) == ["pod coredns-1: Failed to watch *v1.Namespace: x509: certificate signed by unknown authority"]
    assert unread(LOG) == ['error: container "x" in pod "y" is waiting to start: ContainerCreating']


def test_tokens_that_have_not_signed_anew_are_named():
    assert gates.unmet([{"ask": "signed"}], {"signatures": {"abcdef": True}}) == []
    assert gates.unmet([{"ask": "signed"}], {"signatures": {"abcdef": True, "fedcba": False}}) == [
        "cluster-info is not signed anew by bootstrap token fedcba"]
