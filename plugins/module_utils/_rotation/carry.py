# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What becomes of the cluster's authorities in objects that are somebody else's: webhooks, APIServices, CRDs, trust bundles. Pure.

Wherever one holds a generation that is rotated, the new one is added, and the old one removed at the end. All else in it is its
owner's. A caBundle judges the server behind it, whose certificate its owner makes: as long as that is of the old generation, or
cannot be seen, the old one stays, the server is told of as a straggler, and a later run removes it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stragglers import SERVER, Straggler

Rotation = t.Mapping[str, t.Mapping[str, str]]  # authority -> {"old": name, "new": name}


class Server(t.NamedTuple):
    """Who is behind a caBundle: the generations of the leaves that it shows (an empty name for a foreign one), or why none was seen."""

    name: str
    shows: tuple[str, ...]
    problem: str


class Place(t.NamedTuple):
    """A field of an owner's object, the generations of ours that it holds, and its server; None where it names none."""

    field: objects.Field
    generations: tuple[str, ...]
    server: Server | None


def concerned(places: t.Iterable[Place], rotation: Rotation) -> list[Place]:
    """Return the places that hold a generation which is rotated."""
    rotated = {name for both in rotation.values() for name in both.values()}
    return [place for place in places if rotated & set(place.generations)]


def added(place: Place, rotation: Rotation) -> list[str]:
    """Return the new generations that are missing beside an old one."""
    return [both[NEW] for both in rotation.values() if both[OLD] in place.generations and both[NEW] not in place.generations]


def removed(place: Place, rotation: Rotation) -> list[str]:
    """Return the old generations that can go: no server would be hurt."""
    return [both[OLD] for both in rotation.values() if both[OLD] in place.generations and not _needs(place, both[OLD])]


def stragglers(places: t.Iterable[Place], rotation: Rotation) -> list[Straggler]:
    """Return the servers that need an old generation, or may need it."""
    found = {}
    for place in places:
        for both in rotation.values():
            reason = _needs(place, both[OLD]) if both[OLD] in place.generations else ""
            if reason:
                name = f"{place.field.kind} {place.field.place}"
                found[name] = Straggler(SERVER, name, t.cast(Server, place.server).name, reason)
    return list(found.values())


def gate(places: t.Sequence[Place], rotation: Rotation, trusts: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """Return what the owners' objects must hold after a phase, as ``_rotation.gates`` takes it."""
    kept = {(place.field.row, place.field.place) for place in places for both in rotation.values() if _needs(place, both[OLD])}
    return [{"ask": "carries", "name": row.name, "rotation": {name: dict(both) for name, both in rotation.items()},
             "last": OLD not in trusts, "kept": sorted(place for name, place in kept if name == row.name)}
            for row in objects.OBJECTS if row.keeper == objects.OWNER]


def _needs(place: Place, old: str) -> str:
    """Say why the old generation must stay; empty where it need not."""
    if place.server is None:
        return ""
    if place.server.problem:
        return f"its server cannot be asked which generation it shows: {place.server.problem}"
    return f"its server shows a certificate of {old}" if old in place.server.shows else ""
