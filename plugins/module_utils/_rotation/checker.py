# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The proof of a phase list: walk every state that a cluster can be in between its first and its last step.

Inside a phase every host and object stands before, between or after its own steps, in every combination. In each of them
each of ``model.EVERYTHING`` may happen, and the invariant must hold: **whatever any running presenter presents, each of its
running verifiers has loaded trust for it.** And the file that a controller-manager signs with holds one certificate. Between
phases gates hold: everything of the phase is loaded everywhere. At the end nothing presents, trusts or publishes the old generation.

A state is one combination of positions. It stands for all combinations of late reloads (``model_steps.py`` says why that is
sound) and for all ways into it (``model_world.py`` does).
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_change import Change, Standing, change_of, settled_at_start
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_steps import BEFORE, Actor, actors_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_world import (
    State,
    World,
    after_events,
    after_step,
    at_gate,
    joined,
    leaders,
    world_at_start,
)

END = "end"
SIGNING_FILE = "signing file"  # of which a controller-manager accepts one that holds one certificate only
# In which order what is left over is told: whatever else is signed hangs on the signer.
_ORDER = {name: number for number, name in enumerate((model.SIGNER, *(row.name for row in TRUST)))}
# An etcd member dials the other members' peer ports, never its own.
_NEVER_TO_ITSELF = ("etcd-peer",)


class Violation(t.NamedTuple):
    """A broken edge, or something of the old generation left at the end (then one half of the edge is empty).

    ``positions`` names the hosts and objects that have done a part of the phase or all of it; the others stand before it.
    """

    phase: str
    positions: tuple[tuple[str, str], ...]
    presenter: str
    presented_by: str
    generation: str
    verifier: str
    verified_by: str
    trusts: tuple[str, ...]

    def __str__(self) -> str:
        positions = ", ".join(f"{name} {label}" for name, label in self.positions) or "every host before"
        presented = f"{self.presenter}({self.generation}) of {self.presented_by}"
        trusted = f"{self.verifier} of {self.verified_by} trusts ({', '.join(self.trusts)})"
        if self.verifier == SIGNING_FILE:
            return f"{self.phase}: {positions}: the {SIGNING_FILE} of {self.verified_by} holds ({', '.join(self.trusts)})"
        if self.phase == END and not self.verifier:
            return f"{END}: {presented} is still in use"
        if self.phase == END and not self.presenter:
            return f"{END}: {trusted}"
        return f"{self.phase}: {positions}: {presented} -> {trusted}"


class Walk(t.NamedTuple):
    """What a walk found, and how many states it looked at."""

    violations: list[Violation]
    states: int


class Start(t.NamedTuple):
    """Where a walk starts: how the hosts stand, what outlives the states before, and who is there that no phase reaches.

    ``away``: hosts that stay as they stand. ``also``: actors that are no host, each with one stage.
    """

    standing: Standing
    world: World
    away: tuple[str, ...] = ()
    also: tuple[Actor, ...] = ()


class Walked(t.NamedTuple):
    """One phase that was walked: its actors, the world in each state, by their positions, and the first violation."""

    change: Change
    actors: tuple[Actor, ...]
    worlds: dict[tuple[int, ...], World]
    broken: Violation | None

    def gate(self) -> World:
        """Return the world at the phase's gate."""
        at, world = list(self.worlds.items())[-1]
        return at_gate(world, state_at(self.actors, at), self.change)


def check(phases: t.Sequence[Phase], cluster: model.Cluster = model.DEFAULT, authorities: t.Sequence[str] = AUTHORITIES) -> list[Violation]:
    """Return the first violation of the phase list, the one that needs the fewest steps; an empty list is the proof.

    :raises PkiError: where a phase names a presenter or a side that no table knows.
    """
    return walk(phases, cluster, authorities).violations


def walk(phases: t.Sequence[Phase], cluster: model.Cluster = model.DEFAULT, authorities: t.Sequence[str] = AUTHORITIES,
         start: Start | None = None) -> Walk:
    """Walk the list until something breaks; as ``check``, with the number of states.

    :param start: where to start, if not before a rotation.
    """
    start = start or start_of_rotation(cluster, authorities)
    states = 0
    for phase in (*phases, Phase(END, "the state that the last gate proves")):
        walked = walk_phase(phase, cluster, authorities, start)
        states += len(walked.worlds)
        if walked.broken:
            return Walk([walked.broken], states)
        start = start._replace(standing=walked.change.wanted, world=walked.gate())
    return Walk(left_over(start), states)


def start_of_rotation(cluster: model.Cluster, authorities: t.Sequence[str]) -> Start:
    """Return the start of a walk before a rotation."""
    return Start(settled_at_start(cluster, authorities), world_at_start(authorities))


def walk_phase(phase: Phase, cluster: model.Cluster, authorities: t.Sequence[str], start: Start) -> Walked:
    """Walk one phase until something breaks."""
    change = change_of(phase, cluster, authorities, start.standing, start.away)
    actors = (*actors_of(change), *start.also)
    worlds: dict[tuple[int, ...], World] = {}
    for at in _positions(actors):
        state = state_at(actors, at)
        before = [(number, (*at[:number], step - 1, *at[number + 1:])) for number, step in enumerate(at)]
        ways = [after_step(worlds[way], state[number][1].resets, change) for number, way in before if way in worlds]
        worlds[at] = after_events(joined(ways or [start.world]), state, change)
        broken = _two_in_signing_file(state, change) or _broken_edge(state, worlds[at], change)
        if broken:
            return Walked(change, actors, worlds, broken)
    return Walked(change, actors, worlds, None)


def state_at(actors: t.Sequence[Actor], at: t.Sequence[int]) -> State:
    """Return the state in which each actor stands at its position."""
    return [(actor.name, actor.stages[step]) for actor, step in zip(actors, at)]


def _positions(actors: t.Sequence[Actor]) -> list[tuple[int, ...]]:
    """Return every combination of positions, those with fewer steps first: the first broken one is a shortest witness."""
    whole = itertools.product(*(range(len(actor.stages)) for actor in actors))
    return sorted(whole, key=lambda at: (sum(at), [-step for step in at]))


def _broken_edge(state: State, world: World, change: Change) -> Violation | None:
    refusing = _refusing(state, world)
    presented: dict[str, list[tuple[str, str]]] = {}
    for row in change.rows:
        # What the signer signs first: the node that keeps it is only its consequence.
        for presenter in sorted(row.presenters, key=lambda name: name != model.SIGNED) if row.name in refusing else ():
            if presenter not in presented:
                presented[presenter] = _presented(presenter, state, world, change)
            for (generation, at), (values, name) in itertools.product(presented[presenter], refusing[row.name]):
                if generation not in values and not (presenter in _NEVER_TO_ITSELF and at == name):
                    return Violation(change.phase.name, _positions_of(state), presenter, at, generation, row.name, name, values)
    return None


def _refusing(state: State, world: World) -> dict[str, list[tuple[model.Bundle, str]]]:
    """Return, by trust row, what is trusted by those who do not trust everything, and who they are."""
    found: dict[str, list[tuple[model.Bundle, str]]] = {}
    for name, stage in state:
        for row, values in stage.narrow:
            found.setdefault(row, []).append((values, name))
    for row, held in world.items():
        for values, name in held.items():
            if values != (OLD, NEW):
                found.setdefault(row, []).append((values, name))
    return found


def _two_in_signing_file(state: State, change: Change) -> Violation | None:
    for name, stage in state:
        for value in stage.presents.get(model.SIGNER, ()):
            if not isinstance(value, str):
                return Violation(change.phase.name, _positions_of(state), model.SIGNER, name, "", SIGNING_FILE, name, value)
    return None


def _positions_of(state: State) -> tuple[tuple[str, str], ...]:
    return tuple((actor, stage.label) for actor, stage in state if stage.label != BEFORE)


def _presented(presenter: str, state: State, world: World, change: Change) -> list[tuple[str, str]]:
    """Return every generation that the presenter may present in the state, and who presents it."""
    if presenter == model.SIGNED:
        return [(value, name) for name, stage in leaders(state, change) for value in stage.presents[model.SIGNER]]
    found = [(value, name) for name, stage in state for value in stage.presents.get(presenter, ())]
    return found + list(world.get(presenter, {}).items())


def left_over(start: Start) -> list[Violation]:
    """Return the first thing that still presents or trusts the old generation: presenters first, then verifiers."""
    holders: dict[tuple[str, t.Any], list[str]] = {}
    for host, held in start.standing.items():
        for key, value in held.written.items():
            holders.setdefault((key, value), []).append(host)
    keys = [key for key, _value in holders]
    held_by = [(name, value, "every host" if keys.count(name) == 1 else ", ".join(hosts)) for (name, value), hosts in holders.items()]
    held_by += [(name, value, holder) for name, values in start.world.items() for value, holder in values.items()]
    for name, value, holder in sorted(held_by, key=_told_first):
        if value == OLD:
            return [Violation(END, (), name, holder, OLD, "", "", ())]
        if isinstance(value, tuple) and OLD in value:
            return [Violation(END, (), "", "", "", name, holder, value)]
    return []


def _told_first(held: tuple[str, t.Any, str]) -> tuple[bool, bool, int]:
    name, value, _holder = held
    return name in model.UNREAD, not isinstance(value, str), _ORDER.get(name, len(_ORDER))
