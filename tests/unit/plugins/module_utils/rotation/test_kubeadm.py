# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout kubeadm in the plan: what a phase does on a control plane and on a worker."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import arguments, gates, plan
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Rotation, whole
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

LEAVES = {leaf.name: leaf.authority for leaf in plan.LEAVES}


def kubeadm_host(name, *groups):
    return hosts.host({"name": name, "address": "192.0.2.1", "groups": list(groups), "layout": "kubeadm",
                       "kubernetes_dir": "/etc/kubernetes", "etcd_dir": "/etc/kubernetes/pki/etcd"})


ON = {"cp1": kubeadm_host("cp1", "etcd", "kube_control_plane"), "w1": kubeadm_host("w1", "kube_node")}


def phases(rotation=seen.ROTATION, on=None):
    on = on or ON
    return {phase.name: todo for phase, todo in whole(on, {name: seen.healthy(one) for name, one in on.items()}, rotation, seen.NOW)}


def at_start():
    return arguments.Arguments(ON, seen.CLUSTER, {name: seen.healthy(on) for name, on in ON.items()}, seen.ROTATION,
                               seen.known(new=True), {})


def restarts(todo):
    return [restart.process for restart in todo.restarts]


def test_a_control_plane_has_two_windows_and_its_kubelet_restarts_outside_them():
    found = {name: restarts(todo["cp1"]) for name, todo in phases().items()}
    window = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert found == {"trust": window, "issue": window[2:], "trust-clients": ["kubelet"], "serve": [], "distrust": window,
                     "distrust-clients": ["kubelet"]}


def test_without_etcd_no_api_server_and_no_member_restarts():
    rotation = Rotation({name: both for name, both in seen.ROTATION.generations.items() if name != "etcd"}, (1, 37))
    assert not {"etcd", "kube-apiserver"} & {process for todo in phases(rotation).values() for process in restarts(todo["cp1"])}


def test_the_signer_leaves_its_home_before_that_holds_two_certificates_and_comes_back():
    found = phases()
    assert found["trust"]["cp1"].apart == ("signer",)
    assert found["issue"]["cp1"].copies == ["signer"]
    assert set(found["distrust"]["cp1"].home) == {"signer", "etcd-ca", "front-proxy-ca"}


def test_a_cluster_that_keeps_no_authority_key_gets_none():
    """kubeadm's external CA mode: what is not observed is left alone."""
    seen_there = seen.healthy(ON["cp1"])
    for name in ("signer", "etcd-ca", "front-proxy-ca"):
        del seen_there["copies"][name]
    for _phase, todo in whole({"cp1": ON["cp1"]}, {"cp1": seen_there}, seen.ROTATION, seen.NOW):
        assert not (todo["cp1"].copies or todo["cp1"].apart or todo["cp1"].home)


def test_a_worker_never_gets_a_key_of_an_authority():
    assert hosts.copies(ON["w1"]) == {}
    assert set(hosts.pairs(ON["w1"])) == {"kubelet-client"}


def test_a_bundle_moves_with_the_side_that_reads_it():
    assert hosts.side(ON["cp1"], "kubernetes") == "control-plane"
    assert hosts.side(ON["w1"], "kubernetes") == "clients"
    found = phases()
    assert "kubernetes" in found["trust"]["cp1"].bundles
    assert not found["trust"]["w1"].bundles
    assert set(found["trust-clients"]["w1"].bundles) == {"kubernetes", "kubelet-kubeconfig"}


def test_what_a_kubelet_wrote_itself_makes_nobody_restart_it():
    younger = seen.healthy(ON["w1"])
    younger["bundles"]["kubelet-kubeconfig"]["changed_at"] = younger["pairs"]["kubelet-client"]["changed_at"] = seen.STARTED + 5
    assert not plan.actions(ON["w1"], younger, ROTATION[0], seen.ROTATION).restarts


def test_a_kubelet_that_is_older_than_what_a_rotation_wrote_is_restarted():
    younger = seen.healthy(ON["w1"])
    younger["bundles"]["kubelet-kubeconfig"].update(changed_at=seen.STARTED + 5,
                                                    generations=[seen.OLD["kubernetes"], seen.NEW["kubernetes"]])
    assert restarts(plan.actions(ON["w1"], younger, ROTATION[0], seen.ROTATION)) == ["kubelet"]


def test_the_flags_that_a_window_sets_name_the_pair_that_is_there():
    args = at_start()
    given = arguments.phase_arguments(args, ROTATION[0])["todo"]["cp1"]
    assert given["flags"] == {"kube-controller-manager": {
        "--cluster-signing-cert-file": "/etc/kubernetes/pki/.rekey/kubernetes-ca.crt",
        "--cluster-signing-key-file": "/etc/kubernetes/pki/.rekey/kubernetes-ca.key"}}
    assert [move["source"] for move in given["moves"]] == ["/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/ca.crt"]


def test_a_successor_names_whom_its_predecessor_names():
    there = seen.healthy(ON["cp1"])
    for pair in there["pairs"].values():
        pair.update(common_name="kept", organizations=["kept"], sans={"dns": ["kept.example.com"], "ip": [], "uri": []})
    args = arguments.Arguments({"cp1": ON["cp1"]}, seen.CLUSTER, {"cp1": there}, seen.ROTATION, seen.known(new=True), {})
    staged = {one["name"]: one for one in arguments.stage_arguments(args)["stage"]["cp1"]["certificates"]}
    assert staged["apiserver-kubelet-client"]["organizations"] == ["kept"]
    assert "kept.example.com" in staged["apiserver"]["sans"]["dns"]
    assert "kubernetes" in staged["apiserver"]["sans"]["dns"]


def test_pods_are_restarted_and_their_volumes_read_where_the_trust_of_nodes_changes():
    args = at_start()
    marks = {phase.name: arguments.phase_arguments(args, phase)["workloads"] for phase in ROTATION}
    assert [name for name, mark in marks.items() if mark] == ["trust-clients", "distrust-clients"]
    gate = arguments.phase_arguments(args, ROTATION[2])["todo"]["w1"]["gate"]
    wanted = next(one for one in gate if one["ask"] == "volumes")
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": wanted["generations"]}}) == []
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": [seen.OLD["kubernetes"]]}}) != []


def test_the_hosts_of_a_layout_without_homes_have_nothing_to_adopt():
    assert {one["name"] for one in arguments.adopt_arguments([ON["cp1"]])["sources"]} == {
        "signer", "etcd-ca", "front-proxy-ca", "service-accounts"}
    with pytest.raises(PkiError, match="keep no authority's pair"):
        arguments.adopt_arguments([seen.host()])
