# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all tests on beds share. What this machine cannot run is left out loudly, and nothing may be where CI runs."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

import playing
from plays import Play, extra

TESTS = Path(__file__).resolve().parents[1]
LeaveOut = t.Callable[[str], t.NoReturn]


@pytest.fixture(name="leave_out", scope="session")
def fixture_leave_out(pytestconfig: pytest.Config) -> LeaveOut:
    """Return a function that says why the tests cannot run here: they are skipped, and with CI=true they fail."""

    def leave_out(reason: str) -> t.NoReturn:
        done = subprocess.run([TESTS / "tools" / "left_out.sh", "rotation-test", reason], capture_output=True, text=True, check=False)
        pytestconfig.get_terminal_writer().line(f"\n{done.stdout}{done.stderr}")
        if done.returncode:
            pytest.fail(reason)
        pytest.skip(reason)

    return leave_out


@pytest.fixture(name="play")
def fixture_play(bed: playing.Bed, tmp_path: Path) -> Play:
    """Return a function that plays a playbook on the module's bed, with options and with these extra variables."""

    def play(playbook: str, *options: str, succeeds: bool = True, **variables: t.Any) -> playing.Played:
        log = tmp_path / f"play-{len(list(tmp_path.iterdir()))}.log"
        played = playing.play(bed, playbook, [*extra(**variables), *options], log)
        assert (played.status == 0) == succeeds, played.last_lines
        return played

    return play
