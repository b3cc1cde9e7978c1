# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A host that a rotation does not reach from some phase on: the first phase in which it and the others refuse each other. Pure.

The host keeps running with what it had by then, or comes back with it. While a phase is under way the others may be before it or
through it, so each of their presenters may be of two generations, and each of their bundles as before or as after.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import LEAVES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST, Trust

_OWNERS = {leaf.name: leaf.component for leaf in LEAVES}


def first_phase_that_locks_out(on: hosts.Host, others: t.Sequence[hosts.Host], since: str, phases: t.Sequence[Phase] = ROTATION) -> str:
    """Return the first phase in which a host is refused by others, or refuses them; "" where it only keeps what is old.

    :param since: the first phase that does not reach it.
    """
    names = [phase.name for phase in phases]
    reached = phases[:names.index(since)]
    for number in range(len(reached), len(phases)):
        for done in (phases[:number], phases[:number + 1]):
            if any(_refuse(row, [on], reached, others, done) or _refuse(row, others, done, [on], reached) for row in TRUST):
                return names[number]
    return ""


def _refuse(row: Trust, verifiers: t.Sequence[hosts.Host], trust_by: t.Sequence[Phase], presenters: t.Sequence[hosts.Host],
            present_by: t.Sequence[Phase]) -> bool:
    """Say whether verifiers on some hosts refuse presenters on others; either have gone through phases of their own."""
    running = {component for host in presenters for component in host.components}
    presented = {NEW if any(name in phase.presents for phase in present_by) else OLD
                 for name in row.presenters if _OWNERS.get(name) in running}
    return any(not presented <= trusted for trusted in _trusted(row, verifiers, trust_by))


def _trusted(row: Trust, verifiers: t.Sequence[hosts.Host], done: t.Sequence[Phase]) -> list[set[str]]:
    """Return what the row's verifiers trust: where processes of a host share a file, it may move with another side than the row's."""
    found = [(host, hosts.read_by(host, row)) for host in verifiers if row.component in host.components]
    return [_of_side(hosts.side(host, bundle.name) if bundle else row.side, done) for host, bundle in found]


def _of_side(side: str, done: t.Sequence[Phase]) -> set[str]:
    """Return what a side trusts once these phases are done."""
    return {*([(OLD,)] + [phase.trusts for phase in done if phase.reaches(side)])[-1]}
