# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every rotation of a kubeadm bed is asked for afterwards, by programs that know nothing of the collection."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

import interruptions
import judge
import judge_kubeadm
from kubeadm_bed import cluster, nodes, topology
from kubeadm_bed.commands import inside, root_of

PROGRAM = Path(nodes.__file__).resolve().parents[1] / "bed.py"
LeaveOut = t.Callable[[str], t.NoReturn]


def bed_command(bed: nodes.Bed, *arguments: str) -> None:
    """Run bed.py; what it says is shown."""
    subprocess.run([sys.executable, PROGRAM, *arguments], env={**os.environ, **bed.environment}, check=True)


def boot(leave_out: LeaveOut, *arguments: str, command: str = "up") -> t.Iterator[nodes.Bed]:
    """Bring a bed up, and take it down afterwards.

    :param arguments: those of the command of bed.py that brings it up.
    """
    if os.geteuid() != 0:
        leave_out("the kubeadm bed needs root")
    bed = nodes.bed_of(os.environ)
    if bed.record.exists():
        pytest.fail(f"kubeadm bed {topology.NUMBER} is in use: take it down, or name another number in REKEY_KUBEADM_BED")
    try:
        bed_command(bed, command, *arguments)
        yield bed
    finally:
        bed_command(bed, "down")
    assert not bed.directory.exists()


def on_nodes(bed: nodes.Bed) -> dict[Path, tuple[str, int, float]]:
    """Return hash, mode and time of every file of Kubernetes on every node."""
    found = {}
    for one in nodes.nodes_of(bed):
        for name in ("etc/kubernetes", "var/lib/kubelet/pki"):
            for path in (root_of(one.container) / name).rglob("*"):
                if path.is_file():
                    status = path.stat()
                    found[path] = (hashlib.sha256(path.read_bytes()).hexdigest(), status.st_mode, status.st_mtime)
    return found


def problems(bed: nodes.Bed, since: str) -> list[str]:
    """Return everything that is not as it must be after a rotation that began at that time (RFC 3339)."""
    return [*judge.judge(judge_kubeadm.scene_of(bed)).problems, *judge_kubeadm.volume_problems(bed), *judge_kubeadm.complaints(bed, since)]


def ready(bed: nodes.Bed) -> dict[str, str]:
    """Return node to whether it is ready, as the cluster says."""
    listed = json.loads(cluster.kubectl(nodes.nodes_of(bed)[0], "get", "nodes", "-o", "json"))["items"]
    return {one["metadata"]["name"]: next(state["status"] for state in one["status"]["conditions"] if state["type"] == "Ready")
            for one in listed}


def authority_keys(one: topology.Node) -> list[str]:
    """Return the files of a node that hold the key of one of its authorities, whatever their names."""
    certificates = inside(one.container, "sh", "-c", "find /etc/kubernetes /var/lib/kubelet -type f -not -path '*/pods/*' "
                          "-exec grep -l 'PRIVATE KEY' {} +").split()
    return [path for path in certificates if Path(path).name in ("ca.key", "front-proxy-ca.key", "sa.key") or ".rekey/" in path]


def kubelets_issuers(bed: nodes.Bed) -> dict[str, str]:
    """Return node to who has issued what its kubelet serves; empty where it serves nothing yet."""
    ask = "openssl s_client -connect 127.0.0.1:10250 </dev/null 2>/dev/null | openssl x509 -noout -issuer 2>/dev/null || true"
    return {one.name: inside(one.container, "sh", "-c", ask).strip() for one in nodes.nodes_of(bed)}


def unserved(bed: nodes.Bed, load: t.Mapping[str, t.Any], graceful: bool = True) -> list[str]:
    """Return the failures that nothing excuses: of the balancer's clients, of pods, and of nodes outside their own interruptions.

    :param graceful: whether API servers stop with the two flags with which pods lose nothing. Without them the request that is under way
        at the moment of the stop may end with its connection, which the plan says.
    """
    found = [f"{one['time']} {name}: {one['why']}" for name, client in load["clients"].items() for one in client["errors"]]
    stops = [] if graceful else [window for direct in load["direct"].values() for window in interruptions.windows(direct)]
    found += [f"{one['time']} {one['pod']} {one['kind']}: {one}" for one in interruptions.broken(load["pods"]["errors"], stops)]
    found += [f"pod {name} has stopped counting" for name in load["pods"]["silent"]]
    swaps = [(root_of(one.container) / "etc/kubernetes/pki/apiserver-kubelet-client.crt").stat().st_mtime
             for one in nodes.nodes_of(bed) if one.control_plane]
    for one in nodes.nodes_of(bed):
        journal = inside(one.container, "journalctl", "-u", "kubelet.service", "-o", "short-unix", "--no-pager")
        allowed = interruptions.kubelet_restarts(journal)
        if one.control_plane:
            allowed += interruptions.windows(load["direct"][f"{one.address}:{topology.API_PORT}"])
        found += [f"{one.name}: {text}" for text in interruptions.unexplained(load["nodes"].get(one.name, {}), allowed, swaps)]
    return found


def counts(load: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return what was asked and what failed, kind by kind, for people."""
    rows = {**load["clients"], **{f"{kind} on {name}": seen for name, kinds in load["nodes"].items() for kind, seen in kinds.items()},
            **{f"pods, {kind}": one for kind, one in _pod_kinds(load).items()}, **load["direct"]}
    return {name: f"{seen['failed']} of {seen['requests']} failed" for name, seen in rows.items()}


def _pod_kinds(load: t.Mapping[str, t.Any]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for kinds in load["pods"]["workloads"].values():
        for kind, seen in kinds.items():
            total = found.setdefault(kind, {"requests": 0, "failed": 0})
            for what in total:
                total[what] += seen[what]
    return found
