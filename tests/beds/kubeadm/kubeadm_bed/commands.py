# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running commands: on this machine, in podman, and inside a node."""

from __future__ import annotations

import subprocess
import time
import typing as t
from pathlib import Path

from loopback_bed.errors import BedError

# crun can neither set the limits nor live with this mix of cgroup versions (README.md).
PODMAN = ("podman", "--runtime", "runc")


def run(*argv: str, stdin: bytes | None = None, check: bool = True, **more: t.Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command and return what came of it; :raises BedError: when it fails, with the end of what it said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False, **more)
    if check and done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise BedError(f"{' '.join(argv[:6])} … failed:\n  " + "\n  ".join(said[-15:]))
    return done


def podman(*argv: str, **more: t.Any) -> subprocess.CompletedProcess[bytes]:
    """Run podman; :raises BedError: when it fails."""
    return run(*PODMAN, *argv, **more)


def pid_of(container: str) -> str:
    """Return the process id, on this machine, of a container's first process; :raises BedError: where there is no such container."""
    return podman("inspect", "--format", "{{.State.Pid}}", container).stdout.decode().strip()


def root_of(container: str) -> Path:
    """Return the container's root file system as this machine sees it."""
    return Path("/proc", pid_of(container), "root")


def entering(container: str, namespaces: str = "muinp") -> tuple[str, ...]:
    """Return the command that runs another one in the container's namespaces (nsenter's letters).

    It takes milliseconds where ``podman exec`` takes a third of a second.
    """
    return ("nsenter", "-t", pid_of(container), *(f"-{letter}" for letter in namespaces), "--")


def inside(container: str, *argv: str, **more: t.Any) -> str:
    """Run a command in a container and return its output; :raises BedError: when it fails."""
    return run(*entering(container), *argv, **more).stdout.decode("utf-8", "replace")


def wait(what: str, look: t.Callable[[], bool], seconds: float) -> None:
    """Wait until *look* says yes; :raises BedError: after so many seconds."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise BedError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
