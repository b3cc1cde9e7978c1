# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pki_workloads: what it restarts, what it waits for, whom a budget protects, and what it tells of."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import rollouts
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import MARK, RELOADS
from ansible_collections.rekey.kubernetes.plugins.modules import pki_workloads
from ansible_collections.rekey.kubernetes.tests.unit.plugins.fake_cluster import KUBECTL, FakeCluster

VOLUME = {"name": "api", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hooks = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for hook in self.hooks:
            hook()


@pytest.fixture
def clock(monkeypatch):
    made_up = Clock()
    monkeypatch.setattr(rollouts, "time", made_up)
    return made_up


@pytest.fixture
def cluster(monkeypatch, clock):
    assert clock.now == 0.0
    made_up = FakeCluster()
    monkeypatch.setattr(pki_workloads, "runner", lambda _module: made_up.run)
    return made_up


def run(capsys, _cluster, check=False, **options):
    with patch_module_args({"kubectl": KUBECTL, "kubeconfig": "/k", "mark": "new", "_ansible_check_mode": check, **options}), \
            pytest.raises(SystemExit):
        pki_workloads.main()
    return json.loads(capsys.readouterr().out)


def put(cluster, kind, name, namespace="default", annotations=None, labels=None, **spec):
    """A workload with one pod."""
    cluster.put(kind, name, namespace, {"annotations": annotations or {}}, spec={"template": {"metadata": {}}, **spec})
    owner = {"controller": True, "kind": kind, "name": name}
    cluster.put("pod", f"{name}-1", namespace, {"labels": labels or {}, "ownerReferences": [owner]},
                spec={"volumes": [VOLUME]}, status={"phase": "Running", "startTime": "2026-01-01T00:00:00Z"})


def mark_of(cluster, kind, name, namespace="default"):
    return (cluster.get(kind, name, namespace)["spec"]["template"]["metadata"].get("annotations") or {}).get(MARK)


def updates(cluster):
    return [call[call.index("patch") + 2] for call in cluster.calls if "patch" in call]


def test_kube_system_comes_first_and_a_second_run_starts_nothing_anew(capsys, cluster):
    put(cluster, "DaemonSet", "agent")
    put(cluster, "DaemonSet", "dns", "kube-system")
    assert [one["changed"] for one in run(capsys, cluster, check=True)["results"]] == [True, True]
    assert updates(cluster) == []
    did = run(capsys, cluster)
    assert updates(cluster) == ["dns", "agent"] and did["changed"]
    assert mark_of(cluster, "daemonset", "agent") == "new"
    again = run(capsys, cluster)
    assert updates(cluster) == ["dns", "agent"] and not again["changed"]
    assert sum("rollout" in call for call in cluster.calls) == 4


def test_one_that_reloads_is_waited_for_and_that_is_remembered(capsys, cluster, clock):
    put(cluster, "DaemonSet", "proxy", "kube-system", {RELOADS: "5m"})
    did = run(capsys, cluster)
    assert (did["results"], clock.now) == ([{"name": "DaemonSet kube-system/proxy", "changed": True, "fate": "waited for"}], 300.0)
    assert mark_of(cluster, "daemonset", "proxy", "kube-system") is None
    assert not run(capsys, cluster)["changed"] and clock.now == 300.0
    assert run(capsys, cluster, policy="restart")["results"][0]["fate"] == "restarted"
    assert mark_of(cluster, "daemonset", "proxy", "kube-system") == "new"


def put_budget(cluster, allowed):
    cluster.put("poddisruptionbudget", "keep", "default", spec={"selector": {"matchLabels": {"app": "web"}}},
                status={"disruptionsAllowed": allowed})


def test_a_budget_that_allows_nothing_is_waited_for_and_then_reported(capsys, cluster, clock):
    put(cluster, "StatefulSet", "web", labels={"app": "web"}, replicas=2)
    put(cluster, "StatefulSet", "other", labels={"app": "other"})
    put_budget(cluster, 0)
    foretold = run(capsys, cluster, policy="report")["stragglers"]
    did = run(capsys, cluster)
    assert foretold == did["stragglers"] and 120 <= clock.now < 130
    assert mark_of(cluster, "statefulset", "web") is None and mark_of(cluster, "statefulset", "other") == "new"
    (told,) = did["stragglers"]
    assert told["name"] == "StatefulSet default/web"
    assert told["reason"] == "PodDisruptionBudget default/keep allows 0 disruptions, its update takes 1 down"
    assert [one["name"] for one in did["results"]] == ["StatefulSet default/other"]


def test_a_budget_that_allows_it_in_time_is_enough(capsys, cluster, clock):
    put(cluster, "StatefulSet", "web", labels={"app": "web"}, replicas=2)
    put_budget(cluster, 0)
    clock.hooks.append(lambda: put_budget(cluster, 1))
    assert run(capsys, cluster)["stragglers"] == []
    assert mark_of(cluster, "statefulset", "web") == "new" and clock.now < 10


def test_an_update_that_makes_new_pods_first_needs_no_budget(capsys, cluster, clock):
    put(cluster, "DaemonSet", "web", labels={"app": "web"}, updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    put_budget(cluster, 0)
    assert run(capsys, cluster)["stragglers"] == [] and clock.now == 0.0


def test_an_update_without_end_is_an_error_that_names_the_workload(capsys, cluster):
    put(cluster, "DaemonSet", "agent")
    cluster.stuck = True
    did = run(capsys, cluster)
    assert did["failed"] and did["msg"].startswith("DaemonSet default/agent: its rolling update does not go on")
    assert "kubectl rollout status daemonset/agent" in did["msg"]


def test_an_update_that_goes_on_is_waited_for_however_long_it_takes(capsys, cluster, monkeypatch):
    put(cluster, "DaemonSet", "agent")
    updated = itertools.count(1)

    def rollout(*_given):
        number = next(updated)
        cluster.get("daemonset", "agent", "default")["status"] = {"updatedNumberScheduled": number}
        if number < 4:
            raise ValueError("error: timed out waiting for the condition")
        return ""

    monkeypatch.setattr(cluster, "_rollout", rollout)
    assert "failed" not in run(capsys, cluster)
    assert next(updated) == 5


def test_report_only_tells(capsys, cluster):
    put(cluster, "DaemonSet", "agent")
    cluster.put("pod", "bare", "default", spec={"volumes": [VOLUME], "serviceAccountName": "jane"}, status={"phase": "Running"})
    cluster.put("secret", "token", "default", type="kubernetes.io/service-account-token", data={"token": "c2VjcmV0"})
    volume = {"name": "t", "secret": {"secretName": "token"}}
    cluster.put("pod", "legacy", "default", spec={"volumes": [volume]}, status={"phase": "Running"})
    did = run(capsys, cluster, policy="report")
    assert not did["changed"] and updates(cluster) == []
    assert [(one["name"], one["owner"]) for one in did["stragglers"]] == [
        ("Pod default/bare", "service account default/jane"), ("Pod default/legacy", "service account default/default")]
    assert "c2VjcmV0" not in json.dumps(did)


def test_one_started_by_hand_since_is_not_told_of_again(capsys, cluster):
    cluster.put("pod", "bare", "default", spec={"volumes": [VOLUME]}, status={"phase": "Running", "startTime": "2026-01-01T00:00:00Z"})
    assert len(run(capsys, cluster, since=time.time())["stragglers"]) == 1
    assert run(capsys, cluster, since=1.0)["stragglers"] == []
