# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which process is meant, and when it started, on the clock of file modification times."""

from __future__ import annotations

import os
import time


def started(pid: int) -> float | None:
    """Return the start of a process in seconds since the epoch (resolution 1/100 s), None when it is gone.

    /proc counts from boot; the boot time is taken from the two clocks rather than from /proc/stat, which has whole seconds.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] == "Z":
        return None
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def pass_tick() -> None:
    """Let the clock pass by which the kernel stamps starts: what starts from now on is seen to be younger than what was just written."""
    time.sleep(3 / os.sysconf("SC_CLK_TCK"))


def find(name: str, argument: str) -> int:
    """Return the id of the oldest process whose program is called *name* and that has *argument* in an argument; 0 for none."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as handle:
                command = handle.read().decode("utf-8", "replace").split("\0")
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError, PermissionError):
            continue
        born = started(int(entry)) if entry.isdigit() and os.path.basename(command[0]) == name else None
        if born is not None and any(argument in one for one in command[1:]):
            found.append((born, int(entry)))
    return min(found)[1] if found else 0
