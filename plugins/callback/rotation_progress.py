# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow a rotation: say where it stands, and write down what it cost."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_progress
type: aggregate
short_description: Tell where a rotation stands and write a summary of it
version_added: 0.1.0
description:
  - While a playbook runs, this callback says which phase of a rotation has begun and what is being waited for, in one line each with
    the seconds since the start. Every line starts with C(rotation), so that it can be picked out of the rest of the output.
  - At the end it writes a summary as JSON. It holds the duration, the seconds spent waiting for processes, the phases,
    the restarts of each component, which endpoint has refused and accepted which generation, and how many tasks changed each host.
  - Neither the lines nor the summary ever hold key material.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
options:
  summary_path:
    description:
      - Where to write the summary. It replaces an older one. Nothing is written when this is empty.
    type: path
    ini:
      - section: callback_rotation_progress
        key: summary_path
    env:
      - name: REKEY_ROTATION_SUMMARY
requirements:
  - enable in configuration
"""

EXAMPLES = r"""
example: >
  Enable it in ansible.cfg and name a file for the summary.
  [defaults]
  callbacks_enabled = rekey.kubernetes.rotation_progress
  [callback_rotation_progress]
  summary_path = rotation.json
"""

import collections
import datetime
import json
import os
import time
import typing as t

from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import CallbackTaskResult
from ansible.inventory.host import Host
from ansible.playbook import Playbook
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase

COLLECTION = "rekey.kubernetes"
PLAN = f"{COLLECTION}.pki_plan"
HOST = f"{COLLECTION}.pki_host"
WAITS = frozenset({HOST, f"{COLLECTION}.pki_objects", f"{COLLECTION}.pki_workloads"})
# A shorter wait is not worth a line.
NOTABLE_SECONDS = 1.0

Seconds = t.Callable[[], float]
Result = t.Mapping[str, t.Any]


class Account:
    """What a rotation has cost so far. Times are seconds of the clock that is given."""

    def __init__(self, clock: Seconds) -> None:
        self._clock = clock
        self._started = clock()
        self._waits: dict[str, dict[str, float]] = collections.defaultdict(lambda: collections.defaultdict(float))
        self._phase_started: float | None = None
        self.phases: list[dict[str, t.Any]] = []
        self.restarts: collections.Counter[str] = collections.Counter()
        self.version = ""
        self.proof: Result = {}
        self.stragglers: list[Result] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    @property
    def waiting(self) -> float:
        """Seconds spent waiting: hosts wait side by side within a task, so the slowest one counts."""
        return sum(max(hosts.values()) for hosts in self._waits.values())

    def wait(self, task: str, host: str, seconds: float) -> None:
        """Count a wait. A loop's items add up on their host."""
        self._waits[task][host] += seconds

    def begin_phase(self, name: str) -> None:
        """End the phase before, if any, and begin this one."""
        self.end_phase()
        self.phases.append({"name": name, "seconds": 0.0, "hosts": {}})
        self._phase_started = self._clock()

    def end_phase(self) -> None:
        """End the phase, if one has begun."""
        if self._phase_started is not None:
            self.phases[-1]["seconds"] = round(self._clock() - self._phase_started, 1)
            self._phase_started = None

    def write_down(self, host: str, results: t.Iterable[Result]) -> None:
        """Take in what was done on a host: what was written, by kind, and which processes are new."""
        for one in results:
            if one["changed"] and self.phases:
                self.phases[-1]["hosts"].setdefault(host, {}).setdefault(one["kind"], []).append(one["name"])
            self.restarts.update([one["name"]] * (one["kind"] == "process"))

    def summary(self) -> dict[str, t.Any]:
        """Return what has become known."""
        return {
            "kubernetes_version": self.version,
            "duration_seconds": round(self.elapsed, 1),
            "waiting_seconds": round(self.waiting, 1),
            "phases": self.phases,
            "restarts": dict(sorted(self.restarts.items())),
            "stragglers": self.stragglers,
            "old_generation_refused": {endpoint: row["old_refused"] for endpoint, row in self.proof.items()},
            "new_generation_accepted": {endpoint: row["new_accepted"] for endpoint, row in self.proof.items()},
        }


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(path: str, summary: Result) -> None:
    """Replace the file as a whole, so that nobody reads half a summary.

    :raises OSError: when it cannot be written.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(summary, indent=2) + "\n")
    os.replace(temporary, path)


class CallbackModule(CallbackBase):
    """Hears every event of the run; documented above."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = f"{COLLECTION}.rotation_progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._account = Account(time.monotonic)
        self._started = now()
        self._said: set[tuple[str, str]] = set()

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        """Start the clock."""
        self._account = Account(time.monotonic)
        self._started = now()

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        """Say what is being waited for, and where. A host that a condition may still leave out is not named."""
        if _action(task) not in WAITS:
            return
        line = f"  {task.name}" if task.when else f"  {host.get_name()}: {task.name}"
        if (task._uuid, line) not in self._said:
            self._said.add((task._uuid, line))
            self._say(line)

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Take in a task's result."""
        self._follow(result)

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        """Take in the result of one item of a loop; the loop's own result holds nothing of its own."""
        self._follow(result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        """Say where it failed; why is told by the output of the run."""
        self._say(f"  {result.host.get_name()}: failed: {result.task.name}")

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Write the summary."""
        self._account.end_phase()
        path = self.get_option("summary_path")
        if not path:
            return
        summary = {
            **self._account.summary(),
            "started": self._started,
            "ended": now(),
            "changed": {host: stats.changed[host] for host in sorted(stats.processed) if stats.changed.get(host)},
            "failed": sorted({*stats.failures, *stats.dark}),
        }
        try:
            write(path, summary)
        except OSError as exc:
            self._display.warning(f"the rotation's summary cannot be written: {exc}")

    def _say(self, text: str) -> None:
        self._display.display(f"rotation [{self._account.elapsed:4.0f} s] {text}")

    def _follow(self, result: CallbackTaskResult) -> None:
        action, found = _action(result.task), result.result
        if action == PLAN:
            self._follow_plan(found)
        if action not in WAITS:
            return
        host, seconds = result.host.get_name(), found.get("waited_seconds", 0.0)
        self._account.wait(result.task._uuid, host, seconds)
        self._account.version = found.get("observation", {}).get("version") or self._account.version
        if action == HOST and not result.task.check_mode:
            self._account.write_down(host, found.get("results", []))
        if seconds >= NOTABLE_SECONDS:
            self._say(f"  {host}: done after {seconds:.1f} s")

    def _follow_plan(self, found: Result) -> None:
        if found.get("nothing_to_do"):
            self._say("nothing to do")
        if "phase" in found:
            phase = found["phase"]
            self._account.begin_phase(phase["name"])
            self._say(f"phase {phase['number']} of {phase['of']}, {phase['name']}: {phase['purpose']}")
        if "proof" in found:
            self._account.end_phase()
            self._account.proof = found["proof"]
            self._account.stragglers = found.get("stragglers", [])
            self._say("done: every endpoint was asked with canaries of both generations")


def _action(task: Task) -> str:
    return str(task.resolved_action or task.action)
