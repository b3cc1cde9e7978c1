# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The supervisor: started as a daemon, controlled through its socket, ended without a trace."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
import xmlrpc.client
from pathlib import Path

from supervisor.states import STOPPED_STATES
from supervisor.xmlrpc import SupervisorTransport

from loopback_bed.configs import STOP_SECONDS
from loopback_bed.errors import BedError
from loopback_bed.places import Bed

# Every process of a bed inherits this variable: by it, and by nothing else, one that outlived its supervisor is known as ours.
MARK = "REKEY_LOOPBACK_BED_PROCESS"
_POLL_SECONDS = 0.1
_END_SECONDS = 15


class State(t.NamedTuple):
    """A program as the supervisor sees it."""

    name: str
    state: str
    pid: int
    seconds: int


class Supervisor:
    """The supervisor of one bed."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    @property
    def _rpc(self) -> t.Any:
        # A new one for every call: the transport cannot be used again after a failed connection.
        transport = SupervisorTransport(None, None, f"unix://{self._bed.supervisor_socket}")
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor

    def answers(self) -> bool:
        """Whether it runs and takes orders; one that is ending takes none."""
        try:
            self._rpc.getState()
        except (OSError, xmlrpc.client.Fault):
            return False
        return True

    def launch(self) -> None:
        """Start the daemon; its socket answers on return.

        :raises BedError: when it does not start.
        """
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home()), MARK: str(self._bed.directory)}
        done = subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", str(self._bed.supervisor_config)],
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode or not self.answers():
            raise BedError(f"supervisord did not start: {done.stderr.strip()}", f"See {self._bed.log_dir('supervisor')}.")

    def states(self) -> list[State]:
        """Return all programs."""
        return [State(row["name"], row["statename"], row["pid"], max(0, row["now"] - row["start"]) if row["pid"] else 0)
                for row in self._rpc.getAllProcessInfo()]

    def start(self, names: t.Iterable[str]) -> None:
        """Start those of these programs that do not run, and return at once."""
        stopped = {row["name"] for row in self._rpc.getAllProcessInfo() if row["state"] in STOPPED_STATES}
        for name in names:
            if name in stopped:
                self._rpc.startProcess(name, False)

    def stop(self, names: t.Iterable[str], patience_seconds: float = STOP_SECONDS) -> None:
        """Stop these programs, all at once, and return when their processes are gone; kill those that outlast *patience_seconds*."""
        wanted = set(names)
        for row in self._rpc.getAllProcessInfo():
            if row["name"] in wanted and row["state"] not in STOPPED_STATES:
                self._rpc.stopProcess(row["name"], False)
        _wait_until_gone(self._pids(wanted), patience_seconds)
        _signal(self._pids(wanted), signal.SIGKILL)
        _wait_until_gone(self._pids(wanted), _END_SECONDS)

    def _pids(self, names: t.Collection[str]) -> list[int]:
        return [state.pid for state in self.states() if state.name in names and state.pid]

    def shut_down(self) -> None:
        """End the supervisor with whatever still runs under it."""
        pid = self._rpc.getPID()
        self._rpc.shutdown()
        _wait_until_gone([pid], STOP_SECONDS + _END_SECONDS)


def _wait_until_gone(pids: t.Collection[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _signal(pids: t.Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def left_over(bed: Bed) -> dict[int, str]:
    """Return id and command of the processes that a supervisor of this bed started and that still live."""
    mark = f"{MARK}={bed.directory}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not re.fullmatch(r"\d+", entry.name):
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "comm").read_text(encoding="utf-8").strip()
        except OSError:
            continue  # another user's, so not ours, or already gone
    return found


def end_left_over(bed: Bed) -> dict[int, str]:
    """End the processes of this bed that no supervisor could be asked to stop, and return them."""
    found = left_over(bed)
    for number in (signal.SIGTERM, signal.SIGKILL):
        living = left_over(bed)
        _signal(living, number)
        _wait_until_gone(living, _END_SECONDS)
    return found
