# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests on the loopback bed share: a bed of their own, and rotations that are killed on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

import playing
from loopback_bed import binaries, lifecycle
from loopback_bed.errors import BedError
from loopback_bed.places import Bed, bed_of, cache_of
from loopback_bed.progress import Progress
from loopback_bed.supervision import left_over

LeaveOut = t.Callable[[str], t.NoReturn]


def boot(folder: Path, leave_out: LeaveOut) -> t.Iterator[Bed]:
    """Bring a provisioned bed up, and take it down afterwards."""
    if not shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"):
        leave_out("haproxy is not installed")
    try:
        binaries.obtain(os.environ, cache_of(os.environ), Progress())
    except BedError as exc:
        leave_out(str(exc))
    bed = bed_of({**os.environ, "REKEY_BED_DIR": str(folder)})
    try:
        lifecycle.start(bed, os.environ, Progress(), provision=True)
        yield bed
    finally:
        lifecycle.end(bed, Progress())
    assert left_over(bed) == {}
    assert not bed.directory.exists()


def begin(bed: Bed, number: int, arguments: t.Sequence[str], log: Path) -> subprocess.Popen[str]:
    """Start a rotation and return it as soon as a host has changed in this phase; it goes on meanwhile."""
    process = playing.start_playbook(bed, playing.ROTATE, arguments, log.with_suffix(".json"))
    assert process.stdout is not None
    phase_begun = False
    said = []
    for line in process.stdout:
        said.append(line)
        phase_begun = phase_begun or f"phase {number} of" in line and line.startswith(playing.PROGRESS)
        if phase_begun and line.startswith("changed: ["):
            return process
    pytest.fail(f"it ended before phase {number}: {''.join(said[-40:])}")


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a rotation with everything that it has started."""
    playing.kill(process)
    assert process.stdout is not None
    process.stdout.close()
