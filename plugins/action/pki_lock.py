# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell a lock who runs the playbook, and which holder has ended. Documented in plugins/modules/pki_lock.py."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run the module as whoever runs the playbook; take the place of a run whose process is gone from this controller."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module once, and once more in place of a run that was killed."""
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "holder": {"run": run_of(os.getppid()), "operator": operator(), "controller": platform.node()}}
        answer: dict[str, t.Any] = self._execute_module("rekey.kubernetes.pki_lock", arguments, task_vars=task_vars)
        held = answer.get("held_by")
        if answer.get("failed") and held and is_gone(held["run"]):
            answer = self._execute_module("rekey.kubernetes.pki_lock", {**arguments, "break_run": held["run"]}, task_vars=task_vars)
        return answer


def operator() -> str:
    """Return who runs the playbook, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # in a container without a user of that id
        return str(os.getuid())


def run_of(process: int) -> str:
    """Return the name of the run that is this process of the controller (the tasks of a run are its children).

    A process id means one process only together with the processes' namespace and its start, where the system tells them.
    """
    space, started = "", ""
    with contextlib.suppress(OSError):
        space = str(os.stat("/proc/self/ns/pid").st_ino)
        started = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return f"{platform.node()}.{space}.{process}.{started}"


def is_gone(run: str) -> bool:
    """Say whether a run was one of this controller and its process is not there any more; False where that cannot be known."""
    here, _ours, _started = run_of(os.getpid()).rsplit(".", 2)
    where, process, _started = run.rsplit(".", 2) if run.count(".") >= 3 else ("", "", "")
    if where != here or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return run_of(int(process)) != run
