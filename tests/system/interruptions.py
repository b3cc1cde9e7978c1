# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a node's ``logs``, ``exec`` and ``port-forward`` may fail: at its kubelet's restarts, and in its own API server's window.

The times come from those who have seen them: the journal of the node, and the load that asked the API server directly.
"""

from __future__ import annotations

import datetime
import re
import typing as t

# Its port is closed for a second and answers 404 for another; on a machine as busy as this one it takes some more.
KUBELET_SECONDS = 20.0
# A kubelet keeps an answer for half a minute that its API server has given before it was ready.
WINDOW_SECONDS = 40.0
BEFORE_SECONDS = 8.0  # the server goes on serving for some seconds after it has been told to stop
_UNIT_LINE = re.compile(r"^(\d+\.\d+) .*\b(?:Stopping|Stopped|Started) kubelet\.service\b", flags=re.MULTILINE)

Interval = tuple[float, float]
Load = t.Mapping[str, t.Any]


def kubelet_restarts(journal: str) -> list[Interval]:
    """Return when a kubelet was away, from its unit's journal with times as seconds since the epoch (``-o short-unix``)."""
    return [(float(moment) - 1.0, float(moment) + KUBELET_SECONDS) for moment in _UNIT_LINE.findall(journal)]


def windows(direct: Load) -> list[Interval]:
    """Return when an API server was away, from the failures of those who asked it directly."""
    moments = [(_seconds(one["time"]) - one["seconds"], _seconds(one["time"])) for one in direct["errors"]]
    return [(begun - BEFORE_SECONDS, ended + WINDOW_SECONDS) for begun, ended in moments]


def unexplained(kinds: t.Mapping[str, Load], allowed: t.Iterable[Interval]) -> list[str]:
    """Return the failures of a node's clients that began outside all these times."""
    intervals = list(allowed)
    return [f"{one['time']} {kind}: {one['why']}" for kind, seen in kinds.items() for one in seen["errors"]
            if not any(begun <= _seconds(one["time"]) - one["seconds"] <= ended for begun, ended in intervals)]


def _seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment).timestamp()
