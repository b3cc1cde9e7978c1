# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a node's ``logs``, ``exec`` and ``port-forward`` may fail: at its kubelet's restarts, and in its own API server's window.

Besides, an API server that takes over a new client certificate towards kubelets closes all its connections to them, once, which
cuts whoever is in the middle of something (client-go transport/cert_rotation.go). No order of phases spares that: see phases.py.

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
CUT_SECONDS = 30.0  # client-go looks at its files every few seconds
_CUT = re.compile(r"closed network connection|unexpected EOF|error dialing backend|connection reset")
# Without its flags it leaves the service kubernetes only as it stops; until a node has followed, a new connection meets a closed port.
_ENDED = re.compile(r"EOF|connection reset|connection refused")
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


def unexplained(kinds: t.Mapping[str, Load], allowed: t.Sequence[Interval], swaps: t.Sequence[float] = ()) -> list[str]:
    """Return the failures of a node's clients that began outside all these times.

    :param swaps: when API servers were given a new client certificate towards kubelets, in seconds since the epoch.
    """
    return [f"{one['time']} {kind}: {one['why']}" for kind, seen in kinds.items() for one in seen["errors"]
            if not any(begun <= _seconds(one["time"]) - one["seconds"] <= ended for begun, ended in allowed)
            and not (_CUT.search(one["why"]) and any(swap <= _seconds(one["time"]) <= swap + CUT_SECONDS for swap in swaps))]


def broken(errors: t.Sequence[Load], stops: t.Sequence[Interval]) -> list[Load]:
    """Return the failures of pods but for connections that ended, or came late, while an API server was stopped."""
    return [one for one in errors if not (_ENDED.search(one["why"]) and any(
        begun <= _seconds(one["time"]) <= ended for begun, ended in stops))]


def _seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment).timestamp()
