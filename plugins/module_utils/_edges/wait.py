# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Asking again until the answer is right, with a limit."""

from __future__ import annotations

import typing as t

PAUSE_SECONDS = 0.2

Seen = t.TypeVar("Seen")


def until(look: t.Callable[[], tuple[list[str], Seen]], limit: float, clock: t.Callable[[], float],
          sleep: t.Callable[[float], None]) -> tuple[list[str], Seen, float]:
    """Call *look* until it names nothing unmet.

    :param look: returns what is unmet and what was seen.
    :param limit: seconds after which the last answer stands; *look* is called at least once.
    :returns: what is still unmet, what was seen last, and the seconds waited: 0.0 when the first look names nothing.
    """
    begun = clock()
    unmet, seen = look()
    if not unmet:
        return unmet, seen, 0.0
    while unmet and clock() - begun < limit:
        sleep(PAUSE_SECONDS)
        unmet, seen = look()
    return unmet, seen, clock() - begun
