# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception of the bed: what is wrong, and what a person can do about it."""

from __future__ import annotations


class BedError(Exception):
    """Something that stops the bed; its text is all that the user gets to see."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n  {remedy}" if remedy else problem)
