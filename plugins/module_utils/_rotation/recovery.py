# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The proof of resume and rollback: kill a rotation in any state, then walk a list from there.

Resume walks the same list again from its first phase. Rollback is a rotation in which the generations have changed their roles,
so it walks the same list from the state with the two names swapped: whatever it says of the new generation is of the one that
the cluster returns to.

A killed run is left in a state in which at most two actors stand off the start of the phase. That is enough: what an actor does
after the kill hangs on its own files alone, and what a pod, a node or the ConfigMap holds it took from one actor, so a broken
edge hangs on where the two actors at its ends were left. The others' positions change neither; the ConfigMap is a union, and the
narrowest is the one to which fewest have added. Walks that meet in the same state at a gate go on as one.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import (
    END,
    Start,
    Violation,
    Walked,
    left_over,
    start_of_rotation,
    walk_phase,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_change import Held
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_steps import BEFORE, Actor

OFF_START = 2  # an edge has two ends
_OTHER = {OLD: NEW, NEW: OLD}

Place = tuple[int, Held]  # the number of an actor's stage, and what lies there


class Killed(t.NamedTuple):
    """A state in which a run was killed, and where in which phase that was."""

    phase: str
    positions: tuple[tuple[str, str], ...]
    start: Start

    def __str__(self) -> str:
        where = ", ".join(f"{name} {label}" for name, label in self.positions) or "every host before"
        return f"killed in {self.phase}: {where}"


class Broken(t.NamedTuple):
    """What a list breaks that is walked after the kill."""

    killed: Killed
    violation: Violation

    def __str__(self) -> str:
        return f"{self.killed}; then {self.violation}"


class Recovery(t.NamedTuple):
    """What was found, from how many killed states, in how many states after them."""

    broken: list[Broken]
    starts: int
    states: int


def kill(phases: t.Sequence[Phase], cluster: model.Cluster, authorities: t.Sequence[str], start: Start | None = None) -> list[Killed]:
    """Return the states in which a run of the list can be killed, each once.

    :param start: where the list was started, if not before a rotation.
    """
    start = start or start_of_rotation(cluster, authorities)
    found: dict[t.Any, Killed] = {}
    for phase in (*phases, Phase(END, "the state that the last gate proves")):
        walked = walk_phase(phase, cluster, authorities, start)
        for one in _killed(walked):
            found.setdefault(_key(one.start), one)
        start = start._replace(standing=walked.change.wanted, world=walked.gate())
    return list(found.values())


def swap(start: Start) -> Start:
    """Return the state with the generations' roles swapped."""
    standing = {name: Held({key: _swapped(value) for key, value in held.written.items()},
                           {key: tuple(map(_swapped, values)) for key, values in held.loaded.items()})
                for name, held in start.standing.items()}
    world = {name: {_swapped(value): holder for value, holder in held.items()} for name, held in start.world.items()}
    return start._replace(standing=standing, world=world)


def recover(killed: t.Iterable[Killed], phases: t.Sequence[Phase], cluster: model.Cluster, authorities: t.Sequence[str]) -> Recovery:
    """Walk the list from each of the states; stop at the first in which something breaks."""
    met: set[t.Any] = set()
    starts = states = 0
    for one in killed:
        starts, start = starts + 1, one.start
        for number, phase in enumerate((*phases, Phase(END, "the state that the last gate proves"))):
            if (number, _key(start)) in met:
                break
            met.add((number, _key(start)))
            walked = walk_phase(phase, cluster, authorities, start)
            states += len(walked.worlds)
            if walked.broken:
                return Recovery([Broken(one, walked.broken)], starts, states)
            start = start._replace(standing=walked.change.wanted, world=walked.gate())
        else:
            if left := left_over(start):
                return Recovery([Broken(one, left[0])], starts, states)
    return Recovery([], starts, states)


def killed_at(walked: Walked, at: t.Sequence[Place]) -> Killed:
    """Return the state in which each of the phase's actors is left at its place."""
    labels = [(actor.name, actor.stages[step].label) for actor, (step, _held) in zip(walked.actors, at)]
    standing = {actor.name: held for actor, (_step, held) in zip(walked.actors, at) if actor.name in walked.change.settled}
    positions = tuple((name, label) for name, label in labels if label != BEFORE)
    world = walked.worlds[tuple(step for step, _held in at)]
    return Killed(walked.change.phase.name, positions, Start(standing, world))


def places(actor: Actor) -> list[Place]:
    """Return where a run that is killed may leave the actor."""
    return [(step, held) for step, stage in enumerate(actor.stages) for held in stage.holds]


def _killed(walked: Walked) -> t.Iterator[Killed]:
    """Return the states of one phase in which at most two actors are off the phase's start, by what lies on the hosts."""
    possible = [places(actor) for actor in walked.actors]
    for off in itertools.combinations(range(len(possible)), min(OFF_START, len(possible))):
        for chosen in itertools.product(*(possible[number] for number in off)):
            at = [where[0] for where in possible]
            for number, place in zip(off, chosen):
                at[number] = place
            yield killed_at(walked, at)


def _swapped(value: t.Any) -> t.Any:
    if isinstance(value, tuple):
        return model.bundle([_OTHER[one] for one in value])
    return _OTHER.get(value, value)


def _key(start: Start) -> t.Any:
    """Return what tells one state from another, for a set."""
    standing = tuple((name, frozenset(held.written.items()), frozenset(held.loaded.items())) for name, held in start.standing.items())
    return standing, tuple((name, frozenset(held)) for name, held in sorted(start.world.items()))
