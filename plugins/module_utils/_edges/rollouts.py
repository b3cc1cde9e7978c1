# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Restarting workloads by their own rolling updates, as far as disruption budgets allow, and waiting for those that reload."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import threading
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl, Objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.disruptions import hindrance, selects
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import MARK, ROLLING, WAITED, Found, Workload

BUDGETS = "poddisruptionbudgets"
BUDGET_PAUSE_SECONDS = 2.0
_REACHED = ("updatedReplicas", "updatedNumberScheduled", "availableReplicas", "numberAvailable")
READERS = 4
_NAMES = '{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'


class Limits(t.NamedTuple):
    """How many workloads of a namespace go side by side, and how long an update and a budget may take, in seconds."""

    batch: int
    update: int
    disruption: int


def running(kubectl: Kubectl) -> Found:
    """Return pods, controllers and the names of token Secrets, whose content is not asked for."""
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        pods = pool.submit(kubectl.list, "pods")
        controllers = [(kind, pool.submit(kubectl.list, f"{kind.lower()}s")) for kind in (*ROLLING, "ReplicaSet")]
        names = pool.submit(kubectl.text, ["get", "secrets", "--all-namespaces", "-o", f"jsonpath={_NAMES}",
                                           "--field-selector=type=kubernetes.io/service-account-token"])
    secrets = {(namespace, name) for namespace, _slash, name in (line.partition("/") for line in names.result().splitlines())}
    return Found(pods.result(), [{"kind": kind, **one} for kind, found in controllers for one in found.result()], secrets)


class Rollouts:
    """One run over the workloads of a cluster; *mark* is what their pods trust from now on."""

    def __init__(self, kubectl: Kubectl, mark: str, limits: Limits) -> None:
        self._kubectl, self._mark, self._limits = kubectl, mark, limits
        self._budgets: Objects = []
        # Two workloads of one budget side by side would take down what it allows to one.
        self._budgeted = threading.Lock()

    def carry_out(self, workloads: t.Sequence[Workload]) -> dict[str, str]:
        """Restart namespace by namespace, a batch at a time, then wait for those that reload.

        Return the labels of those that a budget hinders, and why.

        :raises PkiError: for the first that does not come to its end.
        """
        begun = time.monotonic()
        self._budgets = self._kubectl.list(BUDGETS)
        hindered = {}
        restarted = [one for one in workloads if one.fate != WAITED]
        for _namespace, group in itertools.groupby(restarted, key=lambda one: one.namespace):
            with concurrent.futures.ThreadPoolExecutor(self._limits.batch) as pool:
                for one, done in [(one, pool.submit(self._restart, one)) for one in group]:
                    if done.result():
                        hindered[one.label] = done.result()
        for one in sorted((one for one in workloads if one.fate == WAITED and one.mark != self._mark), key=lambda one: one.seconds):
            time.sleep(max(0.0, begun + one.seconds - time.monotonic()))
            self._kubectl.patch(ROLLING[one.kind], one.name, {"metadata": {"annotations": {MARK: self._mark}}}, one.namespace)
        return hindered

    def hindered_now(self, workloads: t.Sequence[Workload]) -> dict[str, str]:
        """Return the labels of those that a budget would hinder at this moment, and why."""
        budgets = self._kubectl.list(BUDGETS)
        found = {one.label: hindrance(one.down, one.namespace, one.labels, budgets) for one in workloads
                 if one.fate != WAITED and one.mark != self._mark}
        return {label: reason for label, reason in found.items() if reason}

    def _restart(self, one: Workload) -> str:
        """Start a workload's rolling update unless its template has the mark, and wait for its end; return what hinders it."""
        budgets = [one_budget for one_budget in self._budgets if one_budget["metadata"]["namespace"] == one.namespace]
        protected = one.down and any(selects(budget["spec"].get("selector"), one.labels) for budget in budgets)
        with self._budgeted if protected else contextlib.nullcontext():
            if one.mark != self._mark:
                hindered = self._hindrance(one) if protected else ""
                if hindered:
                    return hindered
                self._kubectl.patch(ROLLING[one.kind], one.name, {"spec": {"template": {"metadata": {"annotations": {MARK: self._mark}}}}},
                                    one.namespace)
            self._ends(one)
        return ""

    def _ends(self, one: Workload) -> None:
        """Wait for the end, as long as one pod after the other comes up: a DaemonSet of many nodes takes its time."""
        place = [f"{ROLLING[one.kind]}/{one.name}", f"--namespace={one.namespace}"]
        reached = self._reached(one)
        while True:
            try:
                self._kubectl.text(["rollout", "status", *place, f"--timeout={self._limits.update}s"])
                return
            except PkiError as exc:
                before, reached = reached, self._reached(one)
                if reached == before:
                    raise PkiError(one.label, f"its rolling update does not go on: {exc.problem}",
                                   f"see kubectl rollout status {' '.join(place)}, mend it, then run again") from exc

    def _reached(self, one: Workload) -> list[int]:
        """Return how many pods are of the new template, and how many are available."""
        status = (self._kubectl.get(ROLLING[one.kind], one.name, one.namespace) or {}).get("status") or {}
        return [status.get(name) or 0 for name in _REACHED]

    def _hindrance(self, one: Workload) -> str:
        def look() -> tuple[list[str], None]:
            found = hindrance(one.down, one.namespace, one.labels, self._kubectl.list(BUDGETS, one.namespace))
            return ([found] if found else []), None

        unmet, _seen, _waited = until(look, self._limits.disruption, time.monotonic, lambda _pause: time.sleep(BUDGET_PAUSE_SECONDS))
        return "; ".join(unmet)
