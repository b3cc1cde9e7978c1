# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees while the bed works: one line a step, with the seconds since the start."""

from __future__ import annotations

import time

REPEAT_SECONDS = 15


class Progress:
    """Prints steps; a long step repeats what it does every REPEAT_SECONDS."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._said = self._started

    def say(self, text: str) -> None:
        """Print a line."""
        self._said = time.monotonic()
        print(f"[{self._said - self._started:4.0f} s] {text}", flush=True)

    def still(self, text: str) -> None:
        """Print a line unless one was printed a moment ago."""
        if time.monotonic() - self._said >= REPEAT_SECONDS:
            self.say(text)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started
