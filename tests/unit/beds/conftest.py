# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The beds' code is found as each bed.py finds it: beside bed.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

LOOPBACK = Path(__file__).resolve().parents[2] / "beds" / "loopback"
sys.path[:0] = [str(LOOPBACK), str(LOOPBACK.with_name("kubeadm"))]


@pytest.fixture
def loopback() -> Path:
    """The committed folder of the loopback bed."""
    return LOOPBACK
