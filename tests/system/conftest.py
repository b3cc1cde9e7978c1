# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The beds' code is found as each bed.py finds it. What this machine cannot run is left out loudly, and nothing may be where CI runs."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("system", "beds/loopback", "beds/kubeadm")]

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
