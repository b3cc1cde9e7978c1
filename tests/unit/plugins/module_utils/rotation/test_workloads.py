# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workloads are restarted, and which are only told of."""

from __future__ import annotations

from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import MARK, OPT_OUT, concerned

TRUSTS = [{"projected": {"sources": [{"serviceAccountToken": {}}, {"configMap": {"name": "kube-root-ca.crt"}}]}}]


def pod(name, namespace="default", owner=None, volumes=None, phase="Running"):
    owners = [{"controller": True, "kind": owner[0], "name": owner[1]}] if owner else []
    return {"metadata": {"name": name, "namespace": namespace, "ownerReferences": owners}, "status": {"phase": phase},
            "spec": {"volumes": TRUSTS if volumes is None else volumes}}


def controller(kind, name, namespace="default", owner=None, annotations=None, mark="", strategy="RollingUpdate"):
    owners = [{"controller": True, "kind": owner[0], "name": owner[1]}] if owner else []
    template = {"metadata": {"annotations": {MARK: mark}} if mark else {}}
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners, "annotations": annotations or {}},
            "spec": {"template": template, "updateStrategy": {"type": strategy}}}


def test_a_pod_of_a_replica_set_stands_for_its_deployment_once_and_kube_system_comes_first():
    pods = [pod("a-1", owner=("ReplicaSet", "a-5")), pod("a-2", owner=("ReplicaSet", "a-5")),
            pod("dns-1", "kube-system", ("DaemonSet", "dns"))]
    controllers = [controller("ReplicaSet", "a-5", owner=("Deployment", "a")), controller("Deployment", "a", mark="old"),
                   controller("DaemonSet", "dns", "kube-system")]
    found = concerned(pods, controllers)
    assert [(one.label, one.mark, one.left) for one in found] == [
        ("DaemonSet kube-system/dns", "", ""), ("Deployment default/a", "old", "")]


def test_what_does_not_trust_the_root_ca_and_what_has_ended_is_passed_over():
    assert concerned([pod("a", volumes=[]), pod("b", volumes=[{"emptyDir": {}}]), pod("c", phase="Succeeded")], []) == []


def test_what_nothing_restarts_is_told_with_its_reason():
    pods = [pod("bare"), pod("job-1", owner=("Job", "job")), pod("set-1", owner=("StatefulSet", "set")),
            pod("out-1", owner=("DaemonSet", "out")), pod("lone-1", owner=("ReplicaSet", "lone"))]
    controllers = [controller("StatefulSet", "set", strategy="OnDelete"), controller("DaemonSet", "out", annotations={OPT_OUT: "never"}),
                   controller("ReplicaSet", "lone")]
    assert {one.label: one.left for one in concerned(pods, controllers)} == {
        "Pod default/bare": "is a bare pod", "Job default/job": "belongs to a Job, which replaces no running pod",
        "StatefulSet default/set": "its update strategy is OnDelete", "DaemonSet default/out": f"is annotated {OPT_OUT}: never",
        "ReplicaSet default/lone": "belongs to a ReplicaSet, which replaces no running pod"}
