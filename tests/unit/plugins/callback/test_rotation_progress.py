# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback in real runs of ansible-playbook, with actions of the modules' names that answer what they are told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.rekey.kubernetes.plugins.callback import rotation_progress

COLLECTION = Path("ansible_collections", "rekey", "kubernetes", "plugins")
# An action costs a tenth of what a module does, and the callback sees no difference.
ECHO = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        return self._task.args["answer"]
"""
PHASES = [
    {"name": "trust", "purpose": "control planes trust both", "number": 1, "of": 2, "last": False},
    {"name": "distrust", "purpose": "control planes trust the new one alone", "number": 2, "of": 2, "last": True},
]
PROOF = {
    "a/etcd": {"old_refused": {"etcd": True}, "new_accepted": {"etcd": True}},
    "a/kube-apiserver": {"old_refused": {"kubernetes": False}, "new_accepted": {"kubernetes": True}},
}


class Run(t.NamedTuple):
    status: int
    output: str
    summary: dict[str, t.Any]

    @property
    def lines(self) -> list[str]:
        """What the callback has said, without the seconds."""
        return [line.partition("] ")[2] for line in self.output.splitlines() if line.startswith("rotation [")]


def task(name: str, module: str, answer: t.Any, **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, f"rekey.kubernetes.{module}": {"answer": answer}, **more}


def bring(waited: t.Any, *restarted: str, **more: t.Any) -> dict[str, t.Any]:
    """A task that brings a host to a phase: a bundle is written, and processes are restarted."""
    written = [{"kind": "bundle", "name": "etcd", "changed": True, "reasons": []}]
    results = [*written, *({"kind": "process", "name": name, "changed": True, "reasons": []} for name in restarted)]
    answer = {"changed": True, "waited_seconds": waited, "results": results, "observation": {"version": "v1.37.2"}}
    return task("Bring the host there", "pki_host", answer, **more)


Play = t.Callable[..., Run]


def stage(tmp_path: Path) -> Play:
    """Return a function that runs tasks on two hosts, a and b, with the callback enabled."""
    for folder in ("action", "callback"):
        (tmp_path / COLLECTION / folder).mkdir(parents=True)
    for name in ("pki_plan", "pki_host", "pki_objects", "ca_bundle"):
        (tmp_path / COLLECTION / "action" / f"{name}.py").write_text(ECHO)
    (tmp_path / COLLECTION / "callback" / "rotation_progress.py").symlink_to(rotation_progress.__file__)
    summary = tmp_path / "made" / "summary.json"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
                   "ANSIBLE_CALLBACKS_ENABLED": "rekey.kubernetes.rotation_progress", "REKEY_ROTATION_SUMMARY": str(summary),
                   "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_NOCOLOR": "true", "ANSIBLE_LOCALHOST_WARNING": "false"}

    def run(tasks: list[dict[str, t.Any]], *options: str) -> Run:
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        playbook = tmp_path / "playbook.yml"
        playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}]))
        done = subprocess.run([Path(sys.executable).parent / "ansible-playbook", "-i", "a,b,", playbook, *options],
                              env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        return Run(done.returncode, done.stdout + done.stderr, json.loads(summary.read_text()) if summary.exists() else {})

    return run


@pytest.fixture(name="play")
def fixture_play(tmp_path: Path) -> Play:
    return stage(tmp_path)


@pytest.fixture(name="rotation", scope="module")
def fixture_rotation(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of a rotation's kind of tasks, asked about by several tests."""
    waits = {"a": 2.0, "b": 7.5}
    return stage(tmp_path_factory.mktemp("rotation"))([
        task("Plan the phase", "pki_plan", {"phase": PHASES[0]}, run_once=True),
        bring(4.0, "etcd", "kube-apiserver", when="inventory_hostname == 'a'"),
        bring("{{ waits[inventory_hostname] }}", vars={"waits": waits}),
        task("Plan the phase", "pki_plan", {"phase": PHASES[1]}, run_once=True),
        task("Change a bundle", "ca_bundle", {"changed": True, "waited_seconds": 99.0}),
        task("Prove the signer", "pki_objects", {"waited_seconds": 0.5}, loop=[1, 2], run_once=True),
        task("Report", "pki_plan", {"proof": PROOF}, run_once=True),
    ])


def test_phases_are_told_and_timed(rotation: Run) -> None:
    assert rotation.status == 0, rotation.output
    said = [line for line in rotation.lines if line.startswith("phase")]
    assert said == ["phase 1 of 2, trust: control planes trust both", "phase 2 of 2, distrust: control planes trust the new one alone"]
    assert [phase["name"] for phase in rotation.summary["phases"]] == ["trust", "distrust"]
    assert sum(phase["seconds"] for phase in rotation.summary["phases"]) <= rotation.summary["duration_seconds"] + 0.2
    assert all(phase["seconds"] > 0 for phase in rotation.summary["phases"])


def test_hosts_that_wait_side_by_side_count_once_and_other_modules_not_at_all(rotation: Run) -> None:
    assert rotation.summary["waiting_seconds"] == 4.0 + 7.5 + 2 * 0.5


def test_what_is_waited_for_is_told_with_its_host(rotation: Run) -> None:
    assert rotation.lines.index("  b: Bring the host there") < rotation.lines.index("  b: done after 7.5 s")
    # Whether a task with a condition runs on a host is not known when it is announced.
    assert rotation.lines.count("  Bring the host there") == 1


def test_restarts_are_counted_and_written_files_are_not(rotation: Run) -> None:
    assert rotation.summary["restarts"] == {"etcd": 1, "kube-apiserver": 1}


def test_what_was_done_is_written_down_by_phase_host_and_kind(rotation: Run) -> None:
    first, second = (phase["hosts"] for phase in rotation.summary["phases"])
    assert first["a"]["process"] == ["etcd", "kube-apiserver"]
    assert second == {}


def test_version_proof_and_changes_are_written_down(rotation: Run) -> None:
    assert rotation.summary["kubernetes_version"] == "v1.37.2"
    assert rotation.summary["old_generation_refused"] == {"a/etcd": {"etcd": True}, "a/kube-apiserver": {"kubernetes": False}}
    assert rotation.summary["new_generation_accepted"] == {"a/etcd": {"etcd": True}, "a/kube-apiserver": {"kubernetes": True}}
    assert rotation.summary["changed"] == {"a": 3, "b": 2}
    assert rotation.summary["failed"] == []
    assert rotation.summary["started"] <= rotation.summary["ended"]


def test_check_mode_counts_no_restart(play: Play) -> None:
    run = play([bring(0.0, "etcd")], "--check")
    assert run.status == 0, run.output
    assert run.summary["restarts"] == {}


def test_a_failed_host_is_named(play: Play) -> None:
    run = play([task("Prove the host", "pki_host", {"failed": True, "msg": "not proved"}, when="inventory_hostname == 'b'")])
    assert run.status != 0
    assert run.lines[-1] == "  b: failed: Prove the host"
    assert run.summary["failed"] == ["b"]


def test_nothing_to_do_is_said_and_a_summary_that_cannot_be_written_is_a_warning(play: Play, tmp_path: Path) -> None:
    (tmp_path / "made").write_text("a file where the directory should be")
    run = play([task("Plan", "pki_plan", {"nothing_to_do": True, "phases": ["trust"]}, run_once=True)])
    assert run.status == 0, run.output
    assert run.lines == ["nothing to do"]
    assert "summary cannot be written" in run.output
