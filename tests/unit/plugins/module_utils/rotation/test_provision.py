# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is provisioned with: on kubeadm's layout before kubeadm runs, with and without the authorities' keys."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

FIRST, LATER, EXTERNAL = ("cluster_init",), (), ("external_ca",)
CONFS = {"admin", "controller-manager", "scheduler"}


def host(more=(), layout="kubeadm"):
    etcd_dir = "/etc/kubernetes/pki/etcd" if layout == "kubeadm" else "/etc/etcd"
    return hosts.host({"name": "cp1", "address": "192.0.2.1", "groups": ["etcd", "kube_control_plane", *more], "layout": layout,
                       "kubernetes_dir": "/etc/kubernetes", "etcd_dir": etcd_dir})


def provision(on):
    observed = {on.name: {"pairs": {}, "copies": {}, "bundles": {}}}
    known = {name: facts for name, facts in seen.known().items() if name in seen.OLD.values()}
    args = Arguments({on.name: on}, seen.CLUSTER, observed, seen.ROTATION, known, {})
    return arguments.provision_arguments(args, seen.OLD)["provision"][on.name]


def names(given, kind):
    return {one["name"] for one in given[kind]}


@pytest.mark.parametrize(("more", "confs", "copies"), [
    (FIRST, CONFS | {"super-admin", "kubelet"}, {"signer", "front-proxy-ca", "etcd-ca", "service-accounts"}),
    (LATER, CONFS, {"signer", "front-proxy-ca", "etcd-ca", "service-accounts"}),
    ((*FIRST, *EXTERNAL), CONFS | {"super-admin", "kubelet"}, {"service-accounts"}),
    (EXTERNAL, CONFS | {"kubelet"}, {"service-accounts"}),
])
def test_a_control_plane_gets_what_kubeadm_would_make_there(more, confs, copies):
    given = provision(host(more))
    assert names(given, "kubeconfigs") == confs
    assert names(given, "copies") == names(given, "seals") == copies
    assert ("super-admin" in names(given, "certificates")) is ("super-admin" in confs)
    assert ("kubelet-client" in names(given, "certificates")) is ("kubelet" in confs)


def test_keys_and_bundles_go_where_kubeadm_looks_for_them():
    given = provision(host(FIRST))
    assert {(one["key_path"], one.get("public_path")) for one in given["copies"]} == {
        ("/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/ca.crt"),
        ("/etc/kubernetes/pki/front-proxy-ca.key", "/etc/kubernetes/pki/front-proxy-ca.crt"),
        ("/etc/kubernetes/pki/etcd/ca.key", "/etc/kubernetes/pki/etcd/ca.crt"),
        ("/etc/kubernetes/pki/sa.key", None)}
    assert {one["path"] for one in given["bundles"]} == {
        "/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/front-proxy-ca.crt", "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/kubernetes/pki/sa.pub"}
    assert {one["path"]: one["mode"] for one in given["directories"]} == {
        "/etc/kubernetes": "0755", "/etc/kubernetes/pki": "0755", "/etc/kubernetes/pki/etcd": "0755", "/var/lib/kubelet/pki": "0700"}


def test_a_kubeconfig_names_server_user_and_context_as_kubeadm_does():
    found = {one["name"]: one for one in provision(host(FIRST))["kubeconfigs"]}
    assert {name: one["clusters"][0]["server"] for name, one in found.items()} == {
        **dict.fromkeys(("controller-manager", "scheduler", "kubelet"), "https://192.0.2.1:6443"),
        **dict.fromkeys(("admin", "super-admin"), seen.CLUSTER.endpoint)}
    kubelet = found["kubelet"]
    assert kubelet["current_context"] == kubelet["contexts"][0]["name"] == "system:node:cp1@kubernetes"
    assert kubelet["users"][0]["client_certificate_path"] == "/var/lib/kubelet/pki/kubelet-client-current.pem"
    assert found["admin"]["users"] == [{"name": "kubernetes-admin"}]
    assert found["admin"]["clusters"][0]["certificate_authority_content"] == f"PEM of {seen.OLD['kubernetes']}"


def test_a_kubelet_s_key_is_of_the_type_that_kubelets_make():
    on = host(FIRST)
    given = {one["name"]: one for one in provision(on)["certificates"]}
    assert given["kubelet-client"]["key_type"] == "ecdsa-p256"


def test_kubeconfigs_of_the_layout_systemd_name_files():
    for one in provision(host(FIRST, "systemd"))["kubeconfigs"]:
        assert one["clusters"][0]["certificate_authority_path"] == "/etc/kubernetes/ca.crt"
        assert one["users"][0]["client_key_path"].endswith(".key")


def test_without_the_authorities_keys_nothing_of_a_rotation_moves_one():
    assert set(hosts.copies(host(EXTERNAL))) == {"service-accounts"}
