# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the clients in pods have counted, read from the nodes' files and taken together. Pods that have ended count, too."""

from __future__ import annotations

import datetime
import json
import typing as t

from kubeadm_bed.commands import root_of
from kubeadm_bed.topology import Node
from kubeadm_bed.workloads import COUNTS

STRAGGLER = "straggler"
SILENT_SECONDS = 15.0
ERRORS_KEPT = 100

Counts = dict[str, dict[str, t.Any]]


def read(nodes: t.Iterable[Node]) -> Counts:
    """Return pod's uid to what the pod has counted so far, of all nodes.

    :raises BedError: where a node does not run.
    """
    found: Counts = {}
    for one in nodes:
        for path in (root_of(one.container) / COUNTS.lstrip("/")).glob("*.json"):
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return found


def between(before: Counts, after: Counts, now: datetime.datetime) -> dict[str, t.Any]:
    """Return what was counted between two readings: that of pods that can follow the rotation, and that of stragglers, apart. Pure."""
    pods, stragglers = _Sum(), _Sum()
    for uid, counts in after.items():
        (stragglers if counts["workload"] == STRAGGLER else pods).add(before.get(uid, {}), counts, now)
    return {"pods": pods.summary(), "stragglers": stragglers.summary()}


class _Sum:
    def __init__(self) -> None:
        self._pods = 0
        self._workloads: dict[str, dict[str, dict[str, int]]] = {}
        self._errors: list[dict[str, t.Any]] = []
        self._silent: list[str] = []
        self._slowest_start = 0.0

    def add(self, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], now: datetime.datetime) -> None:
        if after["ended"] and after == before:
            return
        self._pods += 1
        self._slowest_start = max(self._slowest_start, after["slowest_start_seconds"])
        if not after["ended"] and (now - datetime.datetime.fromisoformat(after["updated"])).total_seconds() > SILENT_SECONDS:
            self._silent.append(after["pod"])
        for kind, seen in after["kinds"].items():
            known = before.get("kinds", {}).get(kind, {"requests": 0, "failed": 0, "errors": []})
            total = self._workloads.setdefault(after["workload"], {}).setdefault(kind, {"requests": 0, "failed": 0})
            for what in total:
                total[what] += seen[what] - known[what]
            about = {"pod": after["pod"], "node": after["node"], "kind": kind}
            self._errors += [{**about, **error} for error in seen["errors"][len(known["errors"]):]]

    def summary(self) -> dict[str, t.Any]:
        kinds = [kind for workload in self._workloads.values() for kind in workload.values()]
        return {"pods": self._pods, "requests_total": sum(kind["requests"] for kind in kinds),
                "requests_failed": sum(kind["failed"] for kind in kinds), "workloads": self._workloads,
                "slowest_start_seconds": round(self._slowest_start, 2), "silent": sorted(self._silent),
                "errors": sorted(self._errors, key=lambda error: error["time"])[:ERRORS_KEPT]}
