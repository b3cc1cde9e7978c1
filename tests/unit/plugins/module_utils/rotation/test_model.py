# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge is judged: every feature of the model finds a wrong order that nothing else finds."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CONTROL_PLANE
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model, model_steps
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import check
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model import Cluster, Host, cluster_of

BOTH = (OLD, NEW)
TRUST, ISSUE, TRUST_CLIENTS, SERVE, DISTRUST, DISTRUST_CLIENTS = ROTATION
ISSUE_WITHOUT_SIGNER = ISSUE._replace(presents=tuple(name for name in ISSUE.presents if name != "signer"))
SIGNER_WITH_TRUST = (TRUST._replace(presents=("signer",)), ISSUE_WITHOUT_SIGNER, *ROTATION[2:])


def swapped(first, second):
    phases = list(ROTATION)
    phases[first], phases[second] = phases[second], phases[first]
    return tuple(phases)


# --- what each feature of the model is there for --------------------------------------------------------------------------

ETCD = tuple(name for name in ISSUE.presents if "etcd" in name)
FOUND_ONLY_BY = {
    # A lone host is never seen beside one that is further: only its own steps can break an edge.
    model.HALF_WAY: (
        (Phase("both", "", CONTROL_PLANE, BOTH, ETCD), DISTRUST), cluster_of(1), ("etcd",),
        ("both: n1 half-way (after writing etcd-healthcheck-client): "
         "etcd-healthcheck-client(new) of n1 -> etcd.client-ca of n1 trusts (old)")),
    # Bundle written, then signer written: the API server may take the first over after the second.
    model.LATE: (
        SIGNER_WITH_TRUST, cluster_of(1), ("kubernetes",),
        "trust: n1 half-way (after writing signer): signed(new) of n1 -> apiserver.client-ca of n1 trusts (old)"),
    # The leader signs with the new generation while the one API server is stopped; a standby elsewhere does so at any time.
    model.STANDBY: (
        SIGNER_WITH_TRUST, Cluster((Host("n1", model.CONTROL_PLANE_COMPONENTS), Host("n2", ("kube-controller-manager",)))), AUTHORITIES,
        "trust: n2 half-way (after writing signer): signed(new) of n2 -> apiserver.client-ca of n1 trusts (old)"),
    # Between the visit of the nodes and the new signer a kubelet renews, and is not visited again before the old one is refused.
    model.JOIN: (
        swapped(1, 2), model.DEFAULT, AUTHORITIES,
        ("distrust: n1 after: kubelet-client(old) of a node that joined or renewed in trust-clients -> "
         "apiserver.client-ca of n1 trusts (new)")),
    # Nodes and objects are told first, but what a pod gets is what controller-managers publish.
    model.POD_START: (
        (TRUST_CLIENTS._replace(presents=()), TRUST, ISSUE, Phase("nodes", "", presents=("kubelet-client",)), SERVE, DISTRUST,
         DISTRUST_CLIENTS), model.DEFAULT, AUTHORITIES,
        ("serve: n1 after: apiserver(new) of n1 -> "
         "pods.server-ca of a pod that started in trust-clients trusts (old)")),
    # Cleaned too early, the ConfigMap is filled again by API servers that still trust the old generation.
    model.WRITE_BACK: (
        swapped(4, 5), model.DEFAULT, ("front-proxy",),
        "end: published.requestheader-ca of extension-apiserver-authentication trusts (old, new)"),
}


def test_every_feature_of_the_model_has_its_witness():
    assert set(FOUND_ONLY_BY) == model.EVERYTHING


@pytest.mark.parametrize("feature", FOUND_ONLY_BY)
def test_each_feature_finds_an_order_that_nothing_else_finds(feature):
    phases, cluster, authorities, message = FOUND_ONLY_BY[feature]
    assert [str(violation) for violation in check(phases, cluster, authorities)] == [message]
    assert check(phases, cluster._replace(happens=model.EVERYTHING - {feature}), authorities) == []


def test_nodes_are_listed_only_once_cluster_info_is_written(monkeypatch):
    steps = model_steps._cluster_info_steps
    monkeypatch.setattr(model_steps, "_cluster_info_steps", lambda change: steps(change)[::-1])
    violation, = check(ROTATION)
    assert (violation.phase, violation.verifier) == ("serve", "kubelet.server-ca")
    assert violation.verified_by == "a node that joined or renewed in trust-clients"


def test_a_restarted_pod_takes_what_is_published_whatever_the_phase_wants():
    without_nodes = cluster_of(2, workers=0)
    violation, = check((Phase("pods", "", "pod", (NEW,)),), without_nodes, ("kubernetes",))
    assert (violation.phase, violation.presenter) == ("end", "signer")


def test_a_lone_etcd_member_has_no_peer():
    peer = Phase("both", "", CONTROL_PLANE, BOTH, ("etcd-peer",))
    rest = Phase("issue", "", presents=tuple(name for name in ETCD if name != "etcd-peer"))
    assert check((peer, rest, DISTRUST), cluster_of(1), ("etcd",)) == []
    assert [found.verifier for found in check((peer, rest, DISTRUST), cluster_of(2), ("etcd",))] == ["etcd.peer-ca"]


# --- the steps of a host --------------------------------------------------------------------------------------------------


def steps_of(phase, host="n1", minor=(1, 37), authorities=AUTHORITIES):
    cluster = cluster_of(2, minor=minor)
    change = model.change_of(phase, cluster, authorities, model.settled_at_start(authorities))
    found = model_steps.host_steps(next(one for one in cluster.hosts if one.name == host), change)
    return [f"{step.verb} {step.what}" for step in found]


def test_a_window_stops_the_api_server_first_and_starts_it_last():
    assert steps_of(TRUST) == [
        "stop kube-apiserver", "write bundle kubernetes", "write bundle front-proxy", "write bundle apiserver-etcd", "write bundle etcd",
        "restart etcd", "restart kube-controller-manager", "restart kube-scheduler", "start kube-apiserver"]


def test_without_etcd_no_api_server_restarts():
    assert steps_of(TRUST, authorities=("kubernetes", "front-proxy")) == [
        "write bundle kubernetes", "write bundle front-proxy", "restart kube-controller-manager", "restart kube-scheduler"]
    assert steps_of(TRUST, authorities=("front-proxy",)) == ["write bundle front-proxy"]


def test_serving_certificates_are_taken_over_live():
    assert steps_of(SERVE) == ["write apiserver"]


def test_a_phase_has_no_steps_where_it_changes_nothing():
    assert steps_of(SERVE, host="w1") == []
    assert steps_of(TRUST._replace(trusts=(OLD,))) == []


def test_a_worker_restarts_its_kubelet_after_all_files():
    assert steps_of(TRUST_CLIENTS, host="w1") == [
        "write bundle kubelet-clients", "write bundle kubelet-kubeconfig", "write kubelet-client", "restart kubelet"]


def stages_of(phase, host="n1", minor=(1, 37)):
    change = model.change_of(phase, cluster_of(2, minor=minor), AUTHORITIES, model.settled_at_start(AUTHORITIES))
    actor = next(actor for actor in model_steps.actors_of(change) if actor.name == host)
    return {stage.label: stage for stage in actor.stages}


def test_a_stopped_api_server_neither_presents_nor_verifies():
    stages = stages_of(TRUST)
    away = stages["half-way (after restarting etcd)"]
    assert {"apiserver", "front-proxy-client", "apiserver.client-ca"}.isdisjoint([*away.presents, *away.trusts])
    assert away.trusts["etcd.client-ca"] == (BOTH,)
    assert stages["after"].trusts["apiserver.client-ca"] == (BOTH,)


def test_what_is_read_at_start_changes_by_the_restart_alone():
    stages = stages_of(TRUST)
    assert stages["half-way (after writing bundle etcd)"].trusts["etcd.client-ca"] == ((OLD,),)
    assert stages["half-way (after writing bundle etcd)"].trusts["controller-manager.root-ca"] == ((OLD,),)


def test_what_is_read_live_may_be_either_until_the_restart():
    label = "half-way (after writing bundle kubernetes)"
    assert stages_of(TRUST)[label].trusts["controller-manager.server-ca"] == ((OLD,), BOTH)
    assert stages_of(TRUST, minor=(1, 35))[label].trusts["controller-manager.server-ca"] == ((OLD,),)
    assert stages_of(TRUST)["after"].trusts["controller-manager.server-ca"] == (BOTH,)
