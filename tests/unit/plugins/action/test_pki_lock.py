# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of pki_lock knows which runs have ended."""

from __future__ import annotations

import os
import subprocess
import sys

from ansible_collections.rekey.kubernetes.plugins.action import pki_lock as action


def test_only_a_process_of_this_controller_that_is_gone_has_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        run = action.run_of(child.pid)
        assert not action.is_gone(run)
        assert child.stdin is not None
        child.stdin.close()
    assert action.is_gone(run)
    assert not action.is_gone(action.run_of(os.getpid()))
    node, space, process, started = action.run_of(os.getpid()).rsplit(".", 3)
    assert action.is_gone(f"{node}.{space}.{process}.{int(started) - 1}"), "another process had that id before"
    assert not action.is_gone(f"{node}.{int(space) + 1}.{process}.{started}"), "another container of the same name"
    assert not action.is_gone(f"elsewhere.{space}.{process}.{started}")
    assert not action.is_gone("unknown")
