# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs beside the bed: playbooks on it and the load, each in a session of its own, so that it can be ended as a whole."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

from loopback_bed.errors import BedError

ROTATE = "rekey.kubernetes.rotate_ca"
CALLBACK = "rekey.kubernetes.rotation_progress"
PROGRESS = "rotation ["  # how every line of the callback begins
_END_SECONDS = 20
_LAST_LINES = 40
# What a program reads, and later a person who looks for the reason of a failure: everything, uncoloured.
_WHOLE = {"ANSIBLE_NOCOLOR": "true", "ANSIBLE_FORCE_COLOR": "false", "PYTHONUNBUFFERED": "1",
          "ANSIBLE_DISPLAY_OK_HOSTS": "true", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}


class Bed(t.Protocol):
    """What a program beside a bed must know of it."""

    @property
    def inventory(self) -> Path:
        """Its inventory."""

    @property
    def load_program(self) -> Path:
        """Its load."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs and the inventory find it."""


class Played(t.NamedTuple):
    """How a playbook ended: status (0 for success), where its output is, and what the callback wrote down."""

    status: int
    log: Path
    summary: dict[str, t.Any]

    @property
    def last_lines(self) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])


def descendants(pid: int) -> list[int]:
    """Return the processes below this one, children before their own; Ansible's workers leave its session and are found so alone."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a program and all that it has started, at once and without a word of warning."""
    for pid in (process.pid, *descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def end(process: subprocess.Popen[str]) -> int:
    """Ask a program to end, kill it when it does not, and return its status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)
    return process.wait()


def start_playbook(bed: Bed, name: str, arguments: t.Sequence[str], summary: Path) -> subprocess.Popen[str]:
    """Start ansible-playbook on the bed with the callback enabled; its output is to be read from ``stdout``."""
    command: list[str | Path] = [Path(sys.executable).parent / "ansible-playbook", "-i", bed.inventory, name, *arguments]
    environment = {**os.environ, **_WHOLE, **bed.environment, "ANSIBLE_CALLBACKS_ENABLED": CALLBACK,
                   "REKEY_ROTATION_SUMMARY": str(summary)}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", start_new_session=True)


def play(bed: Bed, name: str, arguments: t.Sequence[str], log: Path, hear: t.Callable[[str], None] = lambda line: None) -> Played:
    """Run a playbook on the bed to its end.

    :param log: where its output goes; the callback's summary goes beside it.
    :param hear: is given every line; when it raises, the playbook is ended.
    """
    summary = log.with_suffix(".json")
    summary.unlink(missing_ok=True)
    process = start_playbook(bed, name, arguments, summary)
    assert process.stdout is not None
    try:
        with log.open("w", encoding="utf-8") as output:
            for line in process.stdout:
                output.write(line)
                output.flush()
                hear(line.rstrip("\n"))
        status = process.wait()
    finally:
        end(process)
    return Played(status, log, json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else {})


@contextlib.contextmanager
def load(bed: Bed, folder: Path) -> t.Iterator[t.Callable[[], dict[str, t.Any]]]:
    """Keep the load on the bed; call what this gives to end it and to have its summary.

    :raises BedError: when the load cannot be put on or fails itself.
    """
    summary = folder / "load.json"
    summary.unlink(missing_ok=True)
    command: list[str | Path] = [sys.executable, bed.load_program, "--summary", summary, "--log", folder / "load.log"]
    process = subprocess.Popen(command, env={**os.environ, **bed.environment}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None

    def finish() -> dict[str, t.Any]:
        if end(process) or not summary.exists():
            raise BedError("the load has failed", f"What it said stands above and in {folder / 'load.log'}.")
        found: dict[str, t.Any] = json.loads(summary.read_text(encoding="utf-8"))
        return found

    try:
        if not process.stdout.readline():
            raise BedError("the load does not run", "What it said stands above.")
        yield finish
    finally:
        end(process)
        process.stdout.close()
