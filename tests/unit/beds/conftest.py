# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the beds are."""

from __future__ import annotations

from pathlib import Path

import pytest

LOOPBACK = Path(__file__).resolve().parents[2] / "beds" / "loopback"


@pytest.fixture
def loopback() -> Path:
    """The committed folder of the loopback bed."""
    return LOOPBACK
