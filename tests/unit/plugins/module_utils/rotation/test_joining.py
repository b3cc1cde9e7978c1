# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who joins, whom a joining node trusts, and who signs for it: before, during and after a rotation."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.joining import View, join_arguments
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

OLD, NEW = seen.OLD["kubernetes"], seen.NEW["kubernetes"]


def kubeadm_host(name, *groups):
    return hosts.host({"name": name, "address": "192.0.2.1", "groups": list(groups), "layout": "kubeadm",
                       "kubernetes_dir": "/etc/kubernetes", "etcd_dir": "/etc/kubernetes/pki/etcd"})


ON = {"cp1": kubeadm_host("cp1", "etcd", "kube_control_plane"), "w1": kubeadm_host("w1", "kube_node"),
      "w2": kubeadm_host("w2", "kube_node")}


def planned(*wanted, held=(OLD,), signs=OLD, nodes=("cp1", "w1")):
    observed = seen.healthy(ON["cp1"])
    observed["copies"]["signer"]["generation"] = signs
    view = View(nodes, {"cp1": observed}, {"cluster-info": {"kube-public": list(held)}}, seen.known(new=True))
    return join_arguments(ON, wanted, seen.CLUSTER, view)


def test_every_host_that_is_no_node_joins_where_none_is_named():
    assert planned()["joining"] == ["w2"]


def test_a_host_that_is_a_node_already_is_passed_over():
    assert planned("w1")["joining"] == []
    assert planned("w1", "w2")["joining"] == ["w2"]


def test_a_host_that_is_not_named_does_not_join():
    assert planned("w1", nodes=("cp1",))["joining"] == ["w1"]


@pytest.mark.parametrize(("held", "signs"), [
    ((OLD,), OLD), ((OLD,), NEW), ((OLD, NEW), NEW), ((NEW,), NEW)], ids=["before", "issue", "serve", "after"])
def test_a_node_trusts_what_cluster_info_holds_and_the_generation_that_signs_signs_for_it(held, signs):
    plan = planned(held=held, signs=signs)
    assert plan["trusted"] == [f"PEM of {name}" for name in held]
    assert plan["signers"] == [{"name": "kubernetes", "certificate_path": f"/pki/{signs}.crt", "key_path": f"/pki/{signs}.key"}]


def test_a_cluster_without_the_key_of_its_authority_is_asked_by_what_its_controller_manager_presents():
    observed = seen.healthy(ON["cp1"])
    del observed["copies"]["signer"]
    observed["pairs"]["controller-manager"]["generation"] = NEW
    view = View(["cp1"], {"cp1": observed}, {"cluster-info": {"kube-public": [OLD]}}, seen.known(new=True))
    assert join_arguments(ON, ["w1"], seen.CLUSTER, view)["authorities"] == [
        {"name": "kubernetes", "certificate_content": f"PEM of {NEW}"}]


def test_a_worker_is_issued_its_own_name_and_nothing_else():
    asked = planned()["identities"]
    assert list(asked) == ["w2"]
    (identity,) = asked["w2"].pop("certificates")
    assert (identity["common_name"], identity["organizations"], identity["usages"]) == ("system:node:w2", ["system:nodes"], ["client_auth"])
    assert identity["store"] == "kubelet"
    assert not any(asked["w2"].values())


def joining_control_plane(change=None):
    """Return the plan for cp2, beside a cp1 that everything but *change* leaves at rest."""
    on, observed = {**ON, "cp2": kubeadm_host("cp2", "etcd", "kube_control_plane")}, seen.healthy(ON["cp1"])
    for row, generation in (change or {}).items():
        observed["pairs"][row]["generation"] = generation
    objects = {"cluster-info": {"kube-public": [OLD]}}
    return join_arguments(on, ["cp2"], seen.CLUSTER, View(("cp1", "w1", "w2"), {"cp1": observed}, objects, seen.known(new=True)))


def test_a_control_plane_is_provisioned_with_what_its_cluster_uses():
    plan = joining_control_plane()
    assert (plan["joining"], list(plan["provision"])) == (["cp2"], ["cp2"])
    assert {one["name"] for one in plan["signers"]} == {"kubernetes", "etcd", "front-proxy"}
    assert {one["certificate_path"] for one in plan["signers"]} == {f"/pki/{seen.OLD[one['name']]}.crt" for one in plan["signers"]}
    held = plan["provision"]["cp2"]
    assert {"apiserver", "etcd-server", "etcd-peer", "front-proxy-client"} <= {one["name"] for one in held["certificates"]}
    assert {one["host"] for one in held["seals"]} == {"cp2"}


def test_a_worker_is_not_provisioned():
    assert planned()["provision"] == {}


def test_a_control_plane_waits_for_the_end_of_a_rotation():
    with pytest.raises(PkiError, match=r"etcd: is being rotated .*finish the rotation with rotate_ca.yml"):
        joining_control_plane({"apiserver-etcd-client": seen.NEW["etcd"]})


@pytest.mark.parametrize("held", [(), ("unknown sha256:00ff",)])
def test_nobody_joins_where_nothing_sound_says_whom_to_trust(held):
    with pytest.raises(PkiError, match="cluster-info.*mend it first"):
        planned(held=held)


def test_a_host_without_a_kubelet_cannot_join():
    with pytest.raises(PkiError, match="db1.*has no kubelet"):
        planned("w2", "db1")
