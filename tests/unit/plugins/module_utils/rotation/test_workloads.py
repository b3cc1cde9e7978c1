# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workloads are restarted, which are waited for, and which are only told of."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import (
    LEFT,
    MARK,
    OPT_OUT,
    RELOADS,
    RESTARTED,
    WAITED,
    Found,
    concerned,
)

ROOT_CA = {"name": "api", "projected": {"sources": [{"serviceAccountToken": {}}, {"configMap": {"name": "kube-root-ca.crt"}}]}}
MOUNT = ({"name": "main", "volumeMounts": [{"name": "api", "mountPath": "/ca"}]},)
SUB_PATH = [{"name": "main", "volumeMounts": [{"name": "api", "mountPath": "/ca.crt", "subPath": "ca.crt"}]}]
TEN, ELEVEN = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"
HALF_PAST_TEN = 1795343400.0


def pod(name, namespace="default", owner=None, volumes=(ROOT_CA,), phase="Running", containers=MOUNT, started=TEN):
    owners = [{"controller": True, "kind": owner[0], "name": owner[1]}] if owner else []
    return {"metadata": {"name": name, "namespace": namespace, "ownerReferences": owners},
            "status": {"phase": phase, "startTime": started}, "spec": {"volumes": list(volumes), "containers": list(containers)}}


def controller(kind, name, namespace="default", owner=None, annotations=None, mark="", **spec):
    owners = [{"controller": True, "kind": owner[0], "name": owner[1]}] if owner else []
    template = {"metadata": {"annotations": {MARK: mark}} if mark else {}}
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners, "annotations": annotations or {}},
            "spec": {"template": template, **spec}}


def fate_of(controller_of_it, one_pod, **options):
    (found,) = concerned(Found([one_pod], [controller_of_it]), **options)
    return found


def test_a_pod_of_a_replica_set_stands_for_its_deployment_once_and_kube_system_comes_first():
    pods = [pod("a-1", owner=("ReplicaSet", "a-5")), pod("a-2", owner=("ReplicaSet", "a-5")),
            pod("dns-1", "kube-system", ("DaemonSet", "dns"))]
    controllers = [controller("ReplicaSet", "a-5", owner=("Deployment", "a")), controller("Deployment", "a", mark="old"),
                   controller("DaemonSet", "dns", "kube-system")]
    found = concerned(Found(pods, controllers))
    assert [(one.label, one.mark, one.fate) for one in found] == [
        ("DaemonSet kube-system/dns", "", RESTARTED), ("Deployment default/a", "old", RESTARTED)]


def test_what_does_not_trust_the_root_ca_and_what_has_ended_is_passed_over():
    pods = [pod("a", volumes=[]), pod("b", volumes=[{"name": "e", "emptyDir": {}}]), pod("c", phase="Succeeded"),
            pod("d", volumes=[{"name": "s", "secret": {"secretName": "other"}}])]
    assert concerned(Found(pods, [], {("default", "token")})) == []


@pytest.mark.parametrize("source", [
    {"configMap": {"name": "kube-root-ca.crt"}},
    {"secret": {"secretName": "token"}},
    {"projected": {"sources": [{"secret": {"name": "token"}}]}},
    {"projected": {"sources": [{"clusterTrustBundle": {"signerName": "kubernetes.io/kube-apiserver-serving"}}]}},
], ids=["config map", "legacy token", "projected token", "trust bundle"])
def test_every_way_to_the_root_ca_counts(source):
    assert [one.name for one in concerned(Found([pod("a", volumes=[{"name": "v", **source}])], [], {("default", "token")}))] == ["a"]


def test_what_nothing_restarts_is_told_with_its_reason():
    pods = [pod("bare"), pod("job-1", owner=("Job", "job")), pod("set-1", owner=("StatefulSet", "set")),
            pod("out-1", owner=("DaemonSet", "out")), pod("lone-1", owner=("ReplicaSet", "lone")),
            pod("half-1", owner=("StatefulSet", "half")), pod("still-1", owner=("ReplicaSet", "still-5")),
            pod("fixed", containers=SUB_PATH)]
    controllers = [controller("StatefulSet", "set", updateStrategy={"type": "OnDelete"}),
                   controller("StatefulSet", "half", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}),
                   controller("DaemonSet", "out", annotations={OPT_OUT: "never"}), controller("ReplicaSet", "lone"),
                   controller("ReplicaSet", "still-5", owner=("Deployment", "still")), controller("Deployment", "still", paused=True)]
    found = concerned(Found(pods, controllers))
    assert {one.fate for one in found} == {LEFT}
    assert {one.label: one.reason for one in found} == {
        "Pod default/bare": "is a bare pod", "Job default/job": "belongs to a Job, which replaces no running pod",
        "StatefulSet default/set": "its update strategy is OnDelete", "DaemonSet default/out": f"is annotated {OPT_OUT}: never",
        "ReplicaSet default/lone": "belongs to a ReplicaSet, which replaces no running pod",
        "StatefulSet default/half": "its update leaves pods below ordinal 2 alone (partition)", "Deployment default/still": "is paused",
        "Pod default/fixed": "is a bare pod, and has the CA in a way that never follows (subPath, a file of its node, or environment)"}


def static(name, component="", path="/etc/kubernetes/pki"):
    """A mirror pod, as the kubelet makes one for a manifest on its node."""
    made = pod(name, "kube-system", ("Node", "cp1"), volumes=[{"name": "host", "hostPath": {"path": path}}])
    made["metadata"]["labels"] = {"component": component, "tier": "control-plane"} if component else {}
    return made


def test_who_reads_the_node_s_pki_is_told_of_or_restarted_but_for_what_the_windows_restart():
    pods = [static("kube-apiserver-cp1", "kube-apiserver"), static("kube-vip-cp1", path="/etc/kubernetes/admin.conf"),
            static("proxy-cp1", path="/etc/kubernetes/pki/"), static("other-cp1", path="/etc/kubernetes-other"),
            pod("ccm-1", "kube-system", ("DaemonSet", "ccm"), volumes=[{"name": "h", "hostPath": {"path": "/etc/kubernetes"}}])]
    found = concerned(Found(pods, [controller("DaemonSet", "ccm", "kube-system")]))
    never = "has the CA in a way that never follows (subPath, a file of its node, or environment)"
    assert {one.label: (one.fate, one.reason) for one in found} == {
        "DaemonSet kube-system/ccm": (RESTARTED, ""), "Pod kube-system/proxy-cp1": (LEFT, "is a static pod of its node"),
        "Pod kube-system/kube-vip-cp1": (LEFT, f"is a static pod of its node, and {never}")}


def test_one_that_says_it_reloads_is_waited_for_unless_it_cannot_or_must_not():
    reloading = controller("DaemonSet", "a", annotations={RELOADS: "5m", MARK: "seen"})
    one = fate_of(reloading, pod("a-1", owner=("DaemonSet", "a")))
    assert (one.fate, one.seconds, one.mark) == (WAITED, 300, "seen")
    assert fate_of(reloading, pod("a-1", owner=("DaemonSet", "a")), reloads=False).fate == RESTARTED
    assert fate_of(reloading, pod("a-1", owner=("DaemonSet", "a"), containers=SUB_PATH)).fate == RESTARTED
    variable = {"name": "CA", "valueFrom": {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "ca.crt"}}}
    by_variable = [{"name": "main", "env": [variable]}]
    assert fate_of(reloading, pod("a-1", owner=("DaemonSet", "a"), containers=by_variable)).fate == RESTARTED


@pytest.mark.parametrize(("images", "fate"), [
    (["registry.k8s.io/kube-proxy:v1.37.2"], WAITED),
    (["mirror.example.com:5000/k8s/kube-proxy:v1.36.0-patched"], WAITED),
    (["registry.k8s.io/kube-proxy:v1.35.4"], RESTARTED),
    (["registry.k8s.io/kube-proxy:latest"], RESTARTED),
    (["registry.k8s.io/kube-proxy@sha256:0123"], RESTARTED),
    (["registry.k8s.io/kube-proxy:v1.37.2", "example.com/sidecar:v1.40.0"], RESTARTED),
    (["registry.k8s.io/coredns/coredns:v1.14.6"], RESTARTED),
])
def test_a_program_that_is_known_to_reload_is_waited_for(images, fate):
    containers = [{**MOUNT[0], "name": image, "image": image} for image in images]
    one = fate_of(controller("DaemonSet", "a"), pod("a-1", owner=("DaemonSet", "a"), containers=containers))
    assert (one.fate, one.seconds) == (fate, 900 if fate == WAITED else 0)
    forced = fate_of(controller("DaemonSet", "a"), pod("a-1", owner=("DaemonSet", "a"), containers=containers), reloads=False)
    assert forced.fate == RESTARTED


def test_a_time_that_nobody_understands_is_an_error_that_names_the_workload():
    with pytest.raises(PkiError, match="DaemonSet default/a: annotation rekey.kubernetes/reloads is 'soon'"):
        fate_of(controller("DaemonSet", "a", annotations={RELOADS: "soon"}), pod("a-1", owner=("DaemonSet", "a")))


def test_one_that_was_started_again_by_hand_is_not_told_of():
    out = controller("DaemonSet", "out", annotations={OPT_OUT: "never"})
    pods = [pod("bare", started=ELEVEN), pod("older"), pod("out-1", owner=("DaemonSet", "out"), started=ELEVEN),
            pod("out-2", owner=("DaemonSet", "out"))]
    assert [one.name for one in concerned(Found(pods, [out]), HALF_PAST_TEN)] == ["out", "older"]
    assert [one.name for one in concerned(Found(pods[:3], [out]), HALF_PAST_TEN)] == ["older"]


def test_what_was_seen_to_have_read_the_ca_is_not_waited_for_unless_something_else_runs_beside_it():
    def seconds(*images):
        containers = [{"name": name, "image": image} for name, image in zip("ab", images)]
        running = pod("p-1", "kube-system", ("DaemonSet", "p"), containers=containers)
        one = fate_of(controller("DaemonSet", "p", "kube-system", annotations={RELOADS: "5m"}), running, reloaded=["kube-proxy"])
        assert one.fate == WAITED
        return one.seconds

    assert seconds("registry.k8s.io/kube-proxy:v1.37.2") == 0
    assert seconds("registry.k8s.io/kube-proxy:v1.37.2", "example.com/sidecar:1") == 300
    assert seconds() == 300
