# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubeadm bed's own part of the load: the clients that its sample workloads and its nodes have."""

from __future__ import annotations

import base64
import datetime
import io
import json
import os
import threading
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.rekey.kubernetes.tests.unit.beds.scripted_server import Server, answer, make_ca, make_leaf

import load_clients as clients
from kubeadm_bed import load_nodes, load_objects, pod_counts, workloads
from kubeadm_bed.credentials import Kubeconfig
from load_tally import BALANCED, Tally

NOW = datetime.datetime(2026, 11, 25, 12, 0, 0, tzinfo=datetime.timezone.utc)


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for ca in ("old", "new"):
        make_ca(folder, ca)
        make_leaf(folder, ca, f"{ca}-client")
    make_leaf(folder, "old", "server")
    (folder / "both.crt").write_text((folder / "old.crt").read_text() + (folder / "new.crt").read_text())
    return folder


@pytest.fixture(name="server")
def fixture_server(folder: Path) -> t.Iterator[Server]:
    server = Server(folder, ca="both")
    yield server
    server.end()


@pytest.fixture(name="administrator")
def fixture_administrator(folder: Path, tmp_path: Path) -> Kubeconfig:
    write(tmp_path / "admin.conf", folder, "old-client")
    return Kubeconfig(tmp_path / "admin.conf")


def write(path: Path, folder: Path, leaf: str) -> None:
    def encoded(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    temporary = path.with_suffix(".temporary")
    temporary.write_text(yaml.safe_dump({
        "clusters": [{"cluster": {"certificate-authority-data": encoded("both.crt")}}],
        "users": [{"user": {"client-certificate-data": encoded(f"{leaf}.crt"), "client-key-data": encoded(f"{leaf}.key")}}]}))
    temporary.replace(path)


@pytest.fixture(name="on")
def fixture_on(server: Server, administrator: Kubeconfig) -> clients.Load:
    tally = Tally(io.StringIO(), balanced=(*BALANCED, *load_objects.OBJECTS))
    return clients.Load(server.address, clients.Credentials(administrator), tally, threading.Event())


def test_a_kubeconfig_is_read_again_when_it_has_changed(server: Server, on: clients.Load, administrator: Kubeconfig, folder: Path) -> None:
    clients.ask_once(on.balancer, on.credentials, clients.Request("GET", "/"))
    write(administrator.path, folder, "new-client")
    clients.ask_once(on.balancer, on.credentials, clients.Request("GET", "/"))
    administrator.path.write_text("clusters: [")
    clients.ask_once(on.balancer, on.credentials, clients.Request("GET", "/"))
    assert [issuer for _line, _port, issuer in server.seen] == ["old", "new", "new"]


@pytest.mark.parametrize("text", ["", "[", "clusters: []", "clusters: [{cluster: {server: https://x}}]"])
def test_what_is_no_kubeconfig_is_trouble(tmp_path: Path, text: str) -> None:
    (tmp_path / "admin.conf").write_text(text)
    with pytest.raises(OSError, match="is not a kubeconfig"):
        Kubeconfig(tmp_path / "admin.conf").read()


def test_a_pair_in_memory_leaves_no_descriptor_open(administrator: Kubeconfig) -> None:
    before = os.listdir("/proc/self/fd")
    administrator.context()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("warning", "failed"), [(f'299 - "{workloads.WARNING}"', 0), ('299 - "something else"', 1)])
def test_an_object_that_the_webhook_has_not_seen_is_a_failure(server: Server, on: clients.Load, warning: str, failed: int) -> None:
    server.script = [answer(201, Warning=warning)]
    on.counted(load_objects.WEBHOOK, "once", lambda: load_objects.webhook(on))
    assert on.tally.summary()["clients"][load_objects.WEBHOOK]["failed"] == failed


def test_a_certificate_request_tells_its_step(server: Server, on: clients.Load, administrator: Kubeconfig) -> None:
    steps = load_objects.Steps(on, administrator, "load-1")
    server.script = [answer(500)]
    with pytest.raises(clients.Refused):
        steps.all()
    assert steps.now == "created"
    assert server.seen[0][0] == "POST /apis/certificates.k8s.io/v1/certificatesigningrequests"


def pod(name: str, state: str = "running", **metadata: str) -> dict[str, t.Any]:
    return {"metadata": {"name": name, **metadata}, "status": {"phase": "Running", "containerStatuses": [{"state": {state: {}}}]}}


def pods(*names: str) -> t.Any:
    return answer(body=json.dumps({"items": [pod(name) for name in names]}))


@pytest.fixture(name="kubectl")
def fixture_kubectl(tmp_path: Path, administrator: Kubeconfig) -> load_nodes.Kubectl:
    """A kubectl that knows one pod, which is on node w1."""
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\ncase "$*" in *" exec new "*) echo w1;; *) echo "pods not found" >&2; exit 1;; esac\n')
    program.chmod(0o755)
    return load_nodes.Kubectl(program, administrator.path, tmp_path)


def seen(on: clients.Load) -> tuple[int, int, int]:
    _others, nodes = load_nodes.by_node(on.tally.summary()["direct"])
    counted = nodes["w1"][load_nodes.EXEC]
    return counted["requests"], counted["failed"], counted["retries"]


def test_exec_in_the_pod_on_a_node(server: Server, on: clients.Load, kubectl: load_nodes.Kubectl) -> None:
    one = load_nodes.NodeClient(on, kubectl, load_nodes.EXEC, "w1")
    server.script = [pods("new")]
    one.once()
    one.once()
    assert seen(on) == (2, 0, 0)
    assert len(server.seen) == 1


def test_logs_need_no_kubectl(server: Server, on: clients.Load, kubectl: load_nodes.Kubectl) -> None:
    server.script = [pods("new"), answer(body="asking from w1")]
    load_nodes.NodeClient(on, kubectl._replace(program=Path("none")), load_nodes.LOGS, "w1").once()
    assert load_nodes.by_node(on.tally.summary()["direct"])[1]["w1"][load_nodes.LOGS]["failed"] == 0
    assert server.seen[1][0] == f"GET /api/v1/namespaces/{workloads.NAMESPACE}/pods/new/log?tailLines=5"


def test_a_pod_that_was_replaced_is_no_failure(server: Server, on: clients.Load, kubectl: load_nodes.Kubectl) -> None:
    server.script = [pods("old"), pods("new")]
    load_nodes.NodeClient(on, kubectl, load_nodes.EXEC, "w1").once()
    assert seen(on) == (1, 0, 1)


@pytest.fixture(name="nobody_leaves")
def fixture_nobody_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_nodes, "_LEAVING_SECONDS", 0.0)


@pytest.mark.usefixtures("nobody_leaves")
def test_a_pod_that_does_not_answer_is_one(server: Server, on: clients.Load, kubectl: load_nodes.Kubectl) -> None:
    server.script = [pods("old"), pods("old")]
    load_nodes.NodeClient(on, kubectl, load_nodes.EXEC, "w1").once()
    assert seen(on) == (1, 1, 0)
    error = load_nodes.by_node(on.tally.summary()["direct"])[1]["w1"][load_nodes.EXEC]["errors"][0]
    assert "kubectl exec ended with 1: pods not found" in error["why"]
    assert datetime.datetime.fromisoformat(error["time"]).tzinfo


def test_a_pod_that_seems_to_stay_for_a_moment_is_no_failure(server: Server, on: clients.Load, kubectl: load_nodes.Kubectl) -> None:
    server.script = [pods("old"), pods("old"), pods("new")]
    load_nodes.NodeClient(on, kubectl, load_nodes.EXEC, "w1").once()
    assert seen(on) == (1, 0, 1)


@pytest.mark.usefixtures("nobody_leaves")
def test_an_answer_of_another_node_is_a_failure(server: Server, on: clients.Load, kubectl: load_nodes.Kubectl) -> None:
    server.script = [pods("new"), pods("new")]
    load_nodes.NodeClient(on, kubectl, load_nodes.EXEC, "w2").once()
    assert load_nodes.by_node(on.tally.summary()["direct"])[1]["w2"][load_nodes.EXEC]["failed"] == 1


def test_only_a_pod_that_stays_is_asked() -> None:
    leaving, starting = pod("leaving", deletionTimestamp="x"), pod("starting", "waiting")
    pending = {"metadata": {"name": "pending"}, "status": {"phase": "Pending"}}
    there = pod("there")
    assert load_nodes.running([leaving, pending, starting, there]) == "there"
    assert load_nodes.running([leaving, pending, starting]) is None


def counts(workload: str, requests: int, errors: t.Sequence[str] = (), ended: bool = False,
           updated: datetime.datetime = NOW) -> dict[str, t.Any]:
    failures = [{"time": f"2026-11-25T11:59:0{number}.123456789Z", "seconds": 0.1, "why": why} for number, why in enumerate(errors)]
    fresh = {"requests": requests, "failed": len(errors), "slowest_seconds": 0.1, "errors": failures}
    return {"pod": f"{workload}-x", "node": "w1", "workload": workload, "starts": 1, "slowest_start_seconds": 0.2, "ended": ended,
            "updated": updated.isoformat(), "kinds": {"fresh": fresh}}


def test_counts_are_those_between_two_readings() -> None:
    before = {"1": counts("deployment", 10, ["long ago"]), "2": counts("deployment", 5, ended=True)}
    after = {**before, "1": counts("deployment", 30, ["long ago", "just now"]), "3": counts("daemonset", 7, ended=True)}
    found = pod_counts.between(before, after, NOW)["pods"]
    assert found["workloads"] == {"deployment": {"fresh": {"requests": 20, "failed": 1}},
                                  "daemonset": {"fresh": {"requests": 7, "failed": 0}}}
    assert (found["pods"], found["requests_total"], found["requests_failed"], found["silent"]) == (2, 27, 1, [])
    assert [(error["why"], error["pod"], error["node"], error["kind"]) for error in found["errors"]] == [
        ("just now", "deployment-x", "w1", "fresh")]


def test_stragglers_are_counted_apart() -> None:
    found = pod_counts.between({}, {"1": counts("straggler", 3, ["x509"]), "2": counts("statefulset", 4)}, NOW)
    assert (found["pods"]["requests_failed"], found["stragglers"]["requests_failed"]) == (0, 1)


def test_a_pod_that_has_stopped_counting_is_told() -> None:
    late = counts("deployment", 3, updated=NOW - datetime.timedelta(seconds=60))
    assert pod_counts.between({}, {"1": late}, NOW)["pods"]["silent"] == ["deployment-x"]
