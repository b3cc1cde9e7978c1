# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the load that reach into a node through its kubelet: logs, exec, port-forward.

Logs are asked for as kubectl does, but without it: a process of kubectl costs a tenth of a second of a core.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import typing as t
from pathlib import Path

import load_clients as clients
from kubeadm_bed import workloads

LOGS, EXEC, FORWARD = "logs", "exec", "port-forward"
SECONDS = {LOGS: 5.0, EXEC: 5.0, FORWARD: 15.0}
_ANSWER_SECONDS = 20
_REPLACED_SECONDS = 60.0
_LEAVING_SECONDS = 5.0
_SUCCESSORS = 3
_PORT = 8080
_PODS = f"/api/v1/namespaces/{workloads.NAMESPACE}/pods"
_ON_NODE = f"{_PODS}?labelSelector=app%3D{workloads.EVERYWHERE}&fieldSelector=spec.nodeName%3D"


def name_of(kind: str, node: str) -> str:
    """Return the name under which a client of a node is counted."""
    return f"{kind}@{node}"


def by_node(counted: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, dict[str, t.Any]]]:
    """Return what is counted for others, and node to kind to what is counted for clients of nodes. Pure."""
    others: dict[str, t.Any] = {}
    nodes: dict[str, dict[str, t.Any]] = {}
    for name, seen in counted.items():
        kind, at, node = name.partition("@")
        if at:
            nodes.setdefault(node, {})[kind] = seen
        else:
            others[name] = seen
    return others, nodes


def running(pods: t.Iterable[t.Mapping[str, t.Any]]) -> str | None:
    """Return the name of the pod that runs and is there to stay, if there is one. Pure."""
    for pod in pods:
        state = pod.get("status", {})
        started = all("running" in one.get("state", {}) for one in state.get("containerStatuses", [{}]))
        if state.get("phase") == "Running" and started and "deletionTimestamp" not in pod["metadata"]:
            return str(pod["metadata"]["name"])
    return None


class Kubectl(t.NamedTuple):
    """The administrator's kubectl, which reads the kubeconfig as it is at each call."""

    program: Path
    kubeconfig: Path
    cache: Path

    def command(self, *argv: str) -> list[str]:
        """Return a command line that is over in time, even when nobody is left to end it."""
        return ["timeout", "--kill-after=2", str(_ANSWER_SECONDS), str(self.program), "--kubeconfig", str(self.kubeconfig),
                "--cache-dir", str(self.cache), "--namespace", workloads.NAMESPACE, *argv]

    def said(self, *argv: str) -> str:
        """Return what it says; :raises OSError: when it fails."""
        done = subprocess.run(self.command(*argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"kubectl {argv[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def forwarded(self, pod: str) -> bytes:
        """Return what a pod answers through a forwarded port; :raises OSError, http.client.HTTPException: when it does not."""
        command = self.command("port-forward", "--address", "127.0.0.1", f"pod/{pod}", f":{_PORT}")
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", process.stdout.readline())
                if not found:
                    raise OSError(f"kubectl port-forward: {process.stderr.read().strip()[-300:]}")
                connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=clients.ANSWER_SECONDS)
                connection.request("GET", "/")
                return connection.getresponse().read()
            finally:
                process.terminate()


class NodeClient:
    """Does one of the three to the DaemonSet's pod on one node.

    A pod that is replaced meanwhile, as by a rolling update, is no fault of its node: its successor is asked, and a retry counted.
    """

    def __init__(self, load: clients.Load, kubectl: Kubectl, kind: str, node: str) -> None:
        self._load, self._kubectl, self._kind, self._node = load, kubectl, kind, node
        self._pod: str | None = None

    def run(self, offset: float) -> None:
        """Do it until the load is stopped."""
        for _number in self._load.ticks(SECONDS[self._kind], offset):
            self.once()

    def once(self) -> None:
        """Do it once and count how it went."""
        name, started, error = name_of(self._kind, self._node), self._load.tally.now(), ""
        try:
            self._pod = self._pod or self._find()
            self._ask(self._pod)
        except clients.TROUBLE as exc:
            error = self._again(name, clients.describe(exc))
        if not self._load.stop.is_set():
            self._load.tally.request(name, started, error)

    def _again(self, name: str, error: str) -> str:
        """Ask the pod's successors, where it is being replaced; return what went wrong in the end."""
        for _number in range(_SUCCESSORS):
            before = self._pod
            try:
                self._pod = self._successor()
                if self._pod == before:
                    return error
                self._load.tally.retry(name, error)
                self._ask(self._pod)
                return ""
            except clients.TROUBLE as exc:
                error = f"{error}, then {clients.describe(exc)}"
        return error

    def _successor(self) -> str:
        """Return the pod that runs now. One that is about to be replaced may look like one that stays for a moment."""
        deadline = self._load.tally.now() + _LEAVING_SECONDS
        found = self._find()
        while found == self._pod and self._load.tally.now() < deadline and not self._load.stop.wait(1.0):
            found = self._find()
        return found

    def _find(self) -> str:
        deadline = self._load.tally.now() + _REPLACED_SECONDS
        for _number in self._load.ticks(1.0):
            found = running(json.loads(self._get(f"{_ON_NODE}{self._node}"))["items"])
            if found:
                return found
            if self._load.tally.now() > deadline:
                break
        raise TimeoutError(f"no pod of {workloads.EVERYWHERE} runs on {self._node}")

    def _get(self, path: str) -> bytes:
        return clients.ask_once(self._load.balancer, self._load.credentials, clients.Request("GET", path))

    def _ask(self, pod: str) -> None:
        if self._kind == LOGS:
            answer = self._get(f"{_PODS}/{pod}/log?tailLines=5").decode()
        elif self._kind == EXEC:
            answer = self._kubectl.said("exec", pod, "--", "/workload", "node")
        else:
            answer = self._kubectl.forwarded(pod).decode()
        # A pod that has just started has said nothing yet.
        if self._node not in answer and not (self._kind == LOGS and not answer):
            raise OSError(f"{self._kind} of {pod} has not answered for {self._node}: {answer[:100]!r}")
