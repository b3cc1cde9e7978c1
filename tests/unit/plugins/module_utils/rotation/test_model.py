# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge is judged: every feature of the model finds a wrong order that nothing else finds."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM, SYSTEMD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CONTROL_PLANE
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model, model_change, model_steps
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import check
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model import Cluster, cluster_of, host_of

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
        ("both: n1 half-way (after writing apiserver-etcd-client): "
         "apiserver-etcd-client(new) of n1 -> etcd.client-ca of n1 trusts (old)")),
    # Leaf written, then bundle written: the API server may take the second over before the first.
    model.LATE: (
        (TRUST, Phase("both", "", CONTROL_PLANE, (NEW,), ("front-proxy-client",)), DISTRUST_CLIENTS), cluster_of(1), ("front-proxy",),
        "both: n1 after: front-proxy-client(old) of n1 -> apiserver.requestheader-ca of n1 trusts (new)"),
    # The leader signs with the new generation only when its API server trusts it; a standby elsewhere does so at any time.
    model.STANDBY: (
        SIGNER_WITH_TRUST, Cluster((host_of("n1", model.components_of(KUBEADM), KUBEADM),
                                    host_of("n2", ("kube-controller-manager",), KUBEADM))), AUTHORITIES,
        "trust: n2 after: signed(new) of n2 -> apiserver.client-ca of n1 trusts (old)"),
    # Between the visit of the nodes and the new signer a kubelet renews, and is not visited again before the old one is refused.
    model.JOIN: (
        swapped(1, 2), model.DEFAULT, AUTHORITIES,
        ("distrust: n1 half-way (after writing bundle kubernetes): kubelet-client(old) of a node that joined or renewed in "
         "trust-clients -> apiserver.client-ca of n1 trusts (new)")),
    # Nodes and objects are told first, but what a pod gets is what controller-managers publish.
    model.POD_START: (
        (TRUST_CLIENTS._replace(presents=()), TRUST, ISSUE, Phase("nodes", "", presents=("kubelet-client",)), SERVE, DISTRUST,
         DISTRUST_CLIENTS), model.DEFAULT, AUTHORITIES,
        ("serve: n1 half-way (after writing apiserver): apiserver(new) of n1 -> "
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


def steps_of(phase, host="n1", authorities=AUTHORITIES, layout=SYSTEMD, flags=False):
    cluster = cluster_of(2, layout=layout)._replace(flags=flags)
    change = model_change.change_of(phase, cluster, authorities, model_change.settled_at_start(cluster, authorities))
    found = model_steps.host_steps(next(one for one in cluster.hosts if one.name == host), change)
    return [str(step) for step in found]


def test_a_window_stops_the_api_server_first_and_starts_it_last_and_writes_in_between():
    assert steps_of(TRUST) == [
        "stop kube-apiserver", "stop etcd, kube-controller-manager, kube-scheduler",
        "write bundle kubernetes", "write bundle front-proxy", "write bundle apiserver-etcd", "write bundle etcd",
        "start etcd, kube-controller-manager, kube-scheduler", "start kube-apiserver"]


def test_without_etcd_no_api_server_restarts():
    assert steps_of(TRUST, authorities=("kubernetes", "front-proxy")) == [
        "stop kube-controller-manager, kube-scheduler", "write bundle kubernetes", "write bundle front-proxy",
        "start kube-controller-manager, kube-scheduler"]
    assert steps_of(TRUST, authorities=("front-proxy",)) == ["write bundle front-proxy"]


def test_serving_certificates_are_taken_over_live():
    assert steps_of(SERVE) == ["write apiserver", "write apiserver-kubelet-client"]


def test_a_phase_has_no_steps_where_it_changes_nothing():
    assert steps_of(ISSUE, host="w1") == []
    assert steps_of(TRUST._replace(trusts=(OLD,))) == []


def test_a_worker_stops_its_kubelet_before_it_writes():
    assert steps_of(TRUST_CLIENTS, host="w1") == [
        "stop kubelet", "write kubelet-client", "write bundle kubelet-clients", "write bundle kubelet-kubeconfig", "start kubelet"]
    assert steps_of(TRUST_CLIENTS, host="w1", layout=KUBEADM) == [
        "stop kubelet", "write kubelet-client", "write bundle kubernetes", "write bundle kubelet-kubeconfig", "start kubelet"]


def test_a_control_plane_of_kubeadm_tells_its_signer_where_to_sign_from_before_that_starts():
    steps = steps_of(TRUST, layout=KUBEADM)
    assert steps.index("write bundle kubernetes") < steps.index("write signer-flags")
    assert steps[-3:] == ["write signer-flags", "start etcd, kube-controller-manager, kube-scheduler", "start kube-apiserver"]
    assert "write bundle kubernetes" not in steps_of(TRUST_CLIENTS, layout=KUBEADM)


def stages_of(phase, host="n1", minor=(1, 37), layout=SYSTEMD):
    cluster = cluster_of(2, minor=minor, layout=layout)
    change = model_change.change_of(phase, cluster, AUTHORITIES, model_change.settled_at_start(cluster, AUTHORITIES))
    actor = next(actor for actor in model_steps.actors_of(change) if actor.name == host)
    return {stage.label: stage for stage in actor.stages}


def test_a_stopped_static_pod_neither_presents_nor_verifies():
    stages = stages_of(TRUST, layout=KUBEADM)
    away = stages["half-way (after starting etcd, kube-controller-manager, kube-scheduler)"]
    assert {"apiserver", "front-proxy-client", "apiserver.client-ca"}.isdisjoint([*away.presents, *away.trusts])
    assert away.trusts["etcd.client-ca"] == (BOTH,)
    assert stages["after"].trusts["apiserver.client-ca"] == (BOTH,)


def test_a_stopped_service_comes_back_with_what_is_written_when_its_host_dies():
    stages = stages_of(TRUST)
    assert stages["half-way (after writing bundle kubernetes)"].trusts["controller-manager.root-ca"] == (BOTH,)
    assert stages["half-way (after writing bundle kubernetes)"].trusts["etcd.client-ca"] == ((OLD,),)
    assert stages["after"].trusts["etcd.client-ca"] == (BOTH,)


def test_what_is_read_live_may_be_either_until_the_gate():
    label = "half-way (after writing bundle kubernetes)"
    assert stages_of(TRUST, layout=KUBEADM)[label].trusts["kubelet.client-ca"] == ((OLD,), BOTH)
    assert stages_of(TRUST, layout=KUBEADM)["after"].trusts["kubelet.client-ca"] == ((OLD,), BOTH)
    assert stages_of(SERVE)["after"].presents["apiserver"] == (OLD, NEW)


# --- the signer where it lives in a bundle ----------------------------------------------------------------------------------


def test_the_signer_must_leave_the_file_that_becomes_a_bundle(monkeypatch):
    monkeypatch.setattr(Phase, "widens", False)
    violation, = check(ROTATION, cluster_of(1, layout=KUBEADM))
    assert str(violation) == (
        "trust: n1 half-way (after starting etcd, kube-controller-manager, kube-scheduler): the signing file of n1 holds (old, new)")


def test_the_signer_must_be_down_when_its_file_becomes_a_bundle(monkeypatch):
    rows = {"--root-ca-file", "flags", "kubeconfig certificate-authority-data"}
    live = {name: row._replace(live_since=(1, 0)) if name[1] in rows else row for name, row in model._RELOAD.items()}
    monkeypatch.setattr(model, "_RELOAD", live)
    monkeypatch.setattr(model, "run_reason", lambda component, _loaded, _minor: "etcd" * (component == "etcd"))
    violation, = check(ROTATION, cluster_of(1, layout=KUBEADM))
    assert str(violation) == "trust: n1 half-way (after writing bundle kubernetes): the signing file of n1 holds (old, new)"


def test_the_signer_comes_home_only_when_one_certificate_is_there(monkeypatch):
    monkeypatch.setattr(Phase, "narrows", property(lambda phase: phase.name == "issue"))
    violation, = check(ROTATION, cluster_of(1, layout=KUBEADM))
    assert str(violation) == "issue: n1 after: the signing file of n1 holds (old, new)"


def test_a_file_that_a_layout_forgets_on_a_host_is_found():
    """Where etcd has hosts of its own, control planes hold its CA for their API servers."""
    forgets = KUBEADM._replace(bundles=tuple(row._replace(group="etcd") if row.name == "etcd" else row for row in KUBEADM.bundles))
    names = model.components_of(KUBEADM)
    violation, = check(ROTATION, Cluster((host_of("e1", names[:1], forgets), host_of("n1", names[1:], forgets))))
    assert str(violation) == (
        "issue: e1 half-way (after writing etcd-server): etcd-server(new) of e1 -> apiserver.etcd-ca of n1 trusts (old)")
