# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Looking at a host until it shows what is expected, or until time is up."""

from __future__ import annotations

import datetime
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.observe import Observer
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.scan import scan
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates

SELDOM_SECONDS = 2


class Wanted(t.NamedTuple):
    """What must be seen: a gate's expectations, whether every file counts, and then commands that must succeed, one after the other."""

    expect: t.Sequence[gates.Expectation]
    scan: bool
    commands: t.Sequence[t.Sequence[str]]
    everything: bool = True  # False: files alone are looked at, and less often


class Proof(t.NamedTuple):
    """What is still unmet, what was seen last, and the seconds waited (0.0 when the first look showed all)."""

    unmet: list[str]
    seen: dict[str, t.Any]
    waited: float


def until_seen(eye: Observer, wanted: Wanted, limit: float) -> Proof:
    """Observe until nothing is unmet or *limit* seconds are over; ``_rotation.gates`` says what an expectation is."""
    begun = time.monotonic()

    def look() -> tuple[list[str], dict[str, t.Any]]:
        seen = eye.observe(datetime.datetime.now(datetime.timezone.utc), wanted.everything)
        seen["looked_seconds"] = time.monotonic() - begun
        if wanted.scan:
            seen["files"] = scan(hosts.directories(eye.on), eye.on.state_dir, eye.generations)
        unmet = gates.unmet(wanted.expect, seen)
        return unmet or next(([why] for why in (failure(argv, eye.run) for argv in wanted.commands) if why), []), seen

    return Proof(*until(look, limit, time.monotonic, lambda pause: time.sleep(pause if wanted.everything else SELDOM_SECONDS)))


def failure(argv: t.Sequence[str], run: Run) -> str:
    """Run a command, if there is one; say why it failed, empty where it did not."""
    code, output, message = run(argv, "") if argv else (0, "", "")
    return f"{' '.join(argv)}: exit status {code}: {(message or output).strip()}" if code else ""
