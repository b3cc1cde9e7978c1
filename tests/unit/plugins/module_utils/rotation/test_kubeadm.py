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
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import PUBLISHED_SECONDS, phase_arguments
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
    return Arguments(ON, seen.CLUSTER, {name: seen.healthy(on) for name, on in ON.items()}, seen.ROTATION, seen.known(new=True), {})


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
    assert set(hosts.pairs(ON["w1"])) == {"kubelet-client", "kubelet-server"}


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
    given = phase_arguments(args, ROTATION[0])["todo"]["cp1"]
    assert given["flags"] == {"kube-controller-manager": {
        "--cluster-signing-cert-file": "/etc/kubernetes/pki/.rekey/kubernetes-ca.crt",
        "--cluster-signing-key-file": "/etc/kubernetes/pki/.rekey/kubernetes-ca.key"}}
    assert [move["source"] for move in given["moves"]] == ["/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/ca.crt"]


def test_a_successor_names_whom_its_predecessor_names():
    there = seen.healthy(ON["cp1"])
    for pair in there["pairs"].values():
        pair.update(common_name="kept", organizations=["kept"], sans={"dns": ["kept.example.com"], "ip": [], "uri": []})
    args = Arguments({"cp1": ON["cp1"]}, seen.CLUSTER, {"cp1": there}, seen.ROTATION, seen.known(new=True), {})
    staged = {one["name"]: one for one in arguments.stage_arguments(args)["stage"]["cp1"]["certificates"]}
    assert staged["apiserver-kubelet-client"]["organizations"] == ["kept"]
    assert "kept.example.com" in staged["apiserver"]["sans"]["dns"]
    assert "kubernetes" in staged["apiserver"]["sans"]["dns"]


def test_pods_are_restarted_and_their_volumes_read_where_the_trust_of_nodes_changes():
    args = at_start()
    marks = {phase.name: phase_arguments(args, phase)["workloads"] for phase in ROTATION}
    assert [name for name, mark in marks.items() if mark] == ["trust-clients", "distrust-clients"]
    args.observed["cp1"]["bundles"]["kubernetes"].update(generations=[seen.OLD["kubernetes"], seen.NEW["kubernetes"]])
    gate = phase_arguments(args, ROTATION[2])["todo"]["w1"]["gate"]
    wanted = next(one for one in gate if one["ask"] == "volumes")
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": wanted["generations"]}}) == []
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": [seen.OLD["kubernetes"]]}}) != []


def given(phase, seen_there):
    return phase_arguments(Arguments(ON, seen.CLUSTER, seen_there, seen.ROTATION, seen.known(new=True), {}), phase)


def test_nodes_prove_what_volumes_hold_before_pods_are_restarted_even_where_a_killed_run_has_done_the_rest():
    done = {name: seen.healthy(on) for name, on in ON.items()}
    for phase in ROTATION[:3]:
        done = {name: plan.predict(on, done[name], plan.actions(on, done[name], phase, seen.ROTATION), seen.ROTATION, seen.NOW)
                for name, on in ON.items()}
    assert given(ROTATION[2], done)["waves"] == [["cp1", "w1"]]
    assert given(ROTATION[3], done)["waves"] != []


def test_workers_come_in_groups_once_a_first_one_is_proved_and_control_planes_alone():
    on = {**ON, "cp2": kubeadm_host("cp2", "etcd", "kube_control_plane")}
    on |= {f"w{number}": kubeadm_host(f"w{number}", "kube_node") for number in range(1, 7)}
    args = Arguments(on, seen.CLUSTER, {name: seen.healthy(one) for name, one in on.items()}, seen.ROTATION, seen.known(new=True),
                     {}, nodes_at_a_time=3)
    assert phase_arguments(args, ROTATION[2])["waves"] == [["cp1"], ["cp2"], ["w1"], ["w2", "w3", "w4"], ["w5", "w6"]]


def test_objects_of_others_are_carried_before_anybody_signs_anew_and_the_end_looks_into_logs():
    seen_there = {name: seen.healthy(on) for name, on in ON.items()}
    seen_there["w1"]["bundles"]["kubernetes"]["changed_at"] = 2500.0  # a node's says nothing of the control planes
    found = {phase.name: given(phase, seen_there) for phase in ROTATION}
    assert {name: one["objects"]["carry"].get("trusts") for name, one in found.items() if one["objects"]["carry"]} == {
        "trust": ["old", "new"], "trust-clients": ["old", "new"], "distrust-clients": ["new"]}
    last = found["distrust-clients"]
    assert last["objects"]["carry"]["uploaded_before"] == seen.WRITTEN
    assert last["workloads_since"] == seen.WRITTEN + PUBLISHED_SECONDS
    assert {name: one["objects"]["quiet_since"] for name, one in found.items() if one["objects"]["quiet_since"]} == {
        "distrust-clients": seen.NOW}  # this run's first look is later than the control planes' last change


def test_without_pods_no_log_is_looked_into_and_nobody_writes_trust_back_into_objects():
    on = {"n1": seen.host()}
    args = Arguments(on, seen.CLUSTER, {"n1": seen.healthy(on["n1"])}, seen.ROTATION, seen.known(new=True), {})
    found = {phase.name: phase_arguments(args, phase)["objects"] for phase in ROTATION}
    assert found["distrust-clients"]["quiet_since"] == 0.0
    assert [name for name, one in found.items() if one["carry"]] == ["trust", "distrust-clients"]


def serving(on, **pair):
    """Return a host whose kubelet has a serving certificate of the cluster's CA."""
    there = seen.healthy(on, optional=True)
    there["pairs"]["kubelet-server"].update(pair)
    return there


def test_a_kubelet_shows_the_new_generation_when_everybody_trusts_it_and_restarts_for_what_is_in_its_own_store():
    for phase, todo in whole({"w1": ON["w1"]}, {"w1": serving(ON["w1"])}, seen.ROTATION, seen.NOW):
        assert ("kubelet-server" in todo["w1"].leaves) is (phase.name == "serve")
        assert restarts(todo["w1"]) == (["kubelet"] if phase.name in ("trust-clients", "serve", "distrust-clients") else [])


@pytest.mark.parametrize(("minor", "expected"), [((1, 35), ["kubelet"]), ((1, 36), [])])
def test_a_kubelet_reads_the_files_that_it_is_configured_with_again_where_its_version_does(minor, expected):
    on = ON["w1"]._replace(leaf_files={"kubelet-server": "/etc/kubernetes/pki/kubelet"})
    assert hosts.pairs(on)["kubelet-server"].certificate_path == "/etc/kubernetes/pki/kubelet.crt"
    done = plan.actions(on, serving(on), ROTATION[3], seen.ROTATION._replace(minor=minor))
    assert (done.leaves, restarts(done)) == (["kubelet-server"], expected)


def test_the_successor_of_a_kubelets_serving_certificate_keeps_every_name():
    there = serving(ON["w1"], common_name="system:node:w1", organizations=["system:nodes"],
                    sans={"dns": ["w1.example.com"], "ip": ["192.0.2.9"], "uri": []})
    there["pairs"]["kubelet-client"].update(common_name="system:node:w1", organizations=["system:nodes"],
                                            sans={"dns": [], "ip": [], "uri": []})
    args = Arguments({"w1": ON["w1"]}, seen.CLUSTER, {"w1": there}, seen.ROTATION, seen.known(new=True), {})
    staged = {one["name"]: one for one in arguments.stage_arguments(args)["stage"]["w1"]["certificates"]}["kubelet-server"]
    assert staged["sans"] == {"dns": ["w1", "w1.example.com"], "ip": ["192.0.2.1", "192.0.2.9"], "uri": []}
    assert (staged["usages"], staged["store"]) == (["server_auth"], "kubelet")


def test_what_a_kubelet_serves_is_proved_where_a_generation_has_issued_it():
    asked = [one for one in gates.host_gate(ON["w1"], serving(ON["w1"]), seen.ROTATION) if one["ask"] == "serves"]
    assert asked == [{"ask": "serves", "endpoint": "kubelet", "generation": seen.OLD["kubernetes"]}]
    assert not [one for one in gates.host_gate(ON["w1"], seen.healthy(ON["w1"]), seen.ROTATION) if one["ask"] == "serves"]


@pytest.mark.parametrize(("path", "restarted"), [("/etc/kubernetes/pki/ca.crt", True), ("/elsewhere/ca.crt", False), ("", False)])
def test_an_api_server_that_checks_kubelets_by_the_bundle_is_restarted_since_nothing_shows_when_it_reads_it_again(path, restarted):
    there = seen.healthy(ON["cp1"])
    there["processes"]["kube-apiserver"]["flags"] = {"--kubelet-certificate-authority": path} if path else {}
    rotation = Rotation({"kubernetes": seen.ROTATION.generations["kubernetes"]}, (1, 37))
    assert ("kube-apiserver" in restarts(plan.actions(ON["cp1"], there, ROTATION[0], rotation))) is restarted
    (fresh,) = [one for one in gates.host_gate(ON["cp1"], there, rotation) if one["ask"] == "fresh" and one["process"] == "kube-apiserver"]
    assert ("kubernetes" in fresh["bundles"]) is restarted


def test_a_node_that_joins_during_the_run_unknown_to_the_inventory_stops_it_before_anything_is_distrusted():
    args = at_start()
    asked = {phase.name: [one for one in phase_arguments(args, phase)["objects"]["gate"] if one["ask"] == "known_nodes"]
             for phase in ROTATION}
    assert [name for name, gate in asked.items() if gate] == ["trust-clients", "distrust-clients"]
    assert gates.unmet(asked["trust-clients"], {"nodes": ["cp1", "w1"]}) == []
    assert gates.unmet(asked["trust-clients"], {"nodes": ["cp1", "w1", "w9"]}) == ["nodes of the cluster that are not in the inventory: w9"]


def test_kubelets_are_seen_as_clients_wherever_their_connections_are_new():
    args = at_start()
    asked = {phase.name: [one for one in phase_arguments(args, phase)["objects"]["gate"] if one["ask"] == "renews"]
             for phase in ROTATION}
    assert [name for name, gate in asked.items() if gate] == ["trust-clients", "distrust", "distrust-clients"]
    assert gates.unmet(asked["distrust"], {"renewed": {"cp1": True, "w1": True, "w9": False}}) == []
    assert gates.unmet(asked["distrust"], {"renewed": {"cp1": True, "w1": False}}) == [
        "no lease renewed, so their kubelets reach no API server: w1"]


def reloads_asked(before, minor=(1, 37), wanted=ROTATION[2]):
    args = at_start()
    args.observed["cp1"]["bundles"]["kubernetes"]["generations"] = [seen.OLD["kubernetes"], seen.NEW["kubernetes"]]  # since the phase trust
    args = args._replace(before=before, rotation=args.rotation._replace(minor=minor))
    return phase_arguments(args, wanted)["reloads"]


def test_programs_that_count_what_they_read_are_asked_on_every_node_unless_the_run_came_too_late_to_know():
    old, both = [seen.OLD["kubernetes"]], [seen.OLD["kubernetes"], seen.NEW["kubernetes"]]
    before = {"cp1": {"reloads": {"kube-proxy": 2}, "volumes": {"/a": old}}, "w1": {"reloads": {"kube-proxy": 0}, "volumes": {"/b": old}}}
    asked = reloads_asked(before)
    assert {name: gate[0]["more_than"] for name, gate in asked.items()} == {"cp1": 2, "w1": 0}
    assert gates.unmet(asked["w1"], {"reloads": {"kube-proxy": 1}, "looked_seconds": 0.0}) == []
    unread = {"reloads": {"kube-proxy": 2}, "looked_seconds": 9.0}
    assert gates.unmet(asked["cp1"], unread) == ["kube-proxy has not read its changed CA again"]
    # One that has restarted meanwhile counts from 0: it has had the time that it may take.
    assert gates.unmet(asked["cp1"], {"reloads": {}, "looked_seconds": 900.0}) == []
    assert reloads_asked(before, minor=(1, 35)) == reloads_asked(before, wanted=ROTATION[0]) == reloads_asked({}) == {}
    assert reloads_asked({**before, "w1": {"reloads": {}, "volumes": {"/b": old}}}) == {}
    assert reloads_asked({**before, "w1": {"reloads": {"kube-proxy": 0}, "volumes": {"/b": both}}}) == {}


def test_the_hosts_of_a_layout_without_homes_have_nothing_to_adopt():
    assert {one["name"] for one in arguments.adopt_arguments([ON["cp1"]])["sources"]} == {
        "signer", "etcd-ca", "front-proxy-ca", "service-accounts"}
    with pytest.raises(PkiError, match="keep no authority's pair"):
        arguments.adopt_arguments([seen.host()])
