# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bed's code is found as bed.py finds it: beside bed.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

LOOPBACK = Path(__file__).resolve().parents[2] / "beds" / "loopback"
sys.path.insert(0, str(LOOPBACK))


@pytest.fixture
def loopback() -> Path:
    """The committed folder of the loopback bed."""
    return LOOPBACK
