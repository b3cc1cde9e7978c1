# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What outlives the state it was taken in: pods, nodes that joined or renewed, and the published ConfigMap.

Each is kept as the set of values that somebody may hold, with a word on who. Joining the sets of all ways into a state loses
nothing: pods and nodes come in any number and do not touch each other, an edge has one of them (or the ConfigMap) at one end,
and the presenter or verifier at its other end is the state's own. What a pod holds that waits for its restart, a listed node for
its visit, or a late reader of the ConfigMap is judged in the states before that step: no other step depends on it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import OLD, POD_TOKEN, PROJECTED_TOKEN
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_change import Change, further
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_steps import Stage

_WHO = {model.PODS: ("pod", "started"), PROJECTED_TOKEN: ("kubelet", "renewed tokens"), POD_TOKEN: ("pod", "read its token")}

World = dict[str, dict[t.Any, str]]  # a trust row's or presenter's name -> value that may be held -> its first holder
State = t.Sequence[tuple[str, Stage]]  # every actor's name and stage


def world_at_start(authorities: t.Sequence[str]) -> World:
    """Return the world before a rotation: pods and ConfigMap of the old generation, no node but the inventory's."""
    names = [row.name for row in model.rows_of(authorities)]
    world: World = {name: {(OLD,): _holder(name, "")} for name in (model.PODS, *model.PUBLISHED) if name in names}
    if "kubernetes" in authorities:
        world.update((name, {}) for name in (*model.NODE_TRUST, model.NODE_LEAF))
    if SERVICE_ACCOUNTS in authorities:
        world.update((name, {OLD: _holder(name, "")}) for name in model.TOKENS)
    return world


def joined(worlds: t.Sequence[World]) -> World:
    """Return the world in which whatever may be held in one of the worlds may be held."""
    whole: World = {name: dict(held) for name, held in worlds[0].items()}
    for world in worlds[1:]:
        for name, held in world.items():
            whole[name] = {**held, **whole[name]}
    return whole


def after_step(world: World, resets: t.Mapping[str, t.Any], change: Change) -> World:
    """Return the world after a step: pods restarted, nodes visited, the ConfigMap rewritten, or nothing of that."""
    visited = {name: _visited(name, change.phase.name) for name in resets}
    reset = {name: {further(held, value): visited[name] for held in world[name]} if value else {} for name, value in resets.items()}
    return {**world, **reset}


def after_events(world: World, state: State, change: Change) -> World:
    """Add to the world all that may happen in the state: nodes join, kubelets renew, pods start, API servers publish."""
    leading = leaders(state, change)
    taken: dict[str, list[t.Any]] = {}
    if change.happens(model.POD_START):
        taken[model.PODS] = [value for name, stage in leading for value in stage.trusts.get(model.ROOT_CA, ())]
    if change.happens(model.JOIN):
        published = [value for name, stage in state for value in stage.trusts.get(model.CLUSTER_INFO, ())]
        taken.update((name, published) for name in model.NODE_TRUST)
        taken[model.NODE_LEAF] = [value for name, stage in leading for value in stage.presents.get(model.SIGNER, ())]
    if change.happens(model.POD_START) and PROJECTED_TOKEN in world:
        signed = [value for _name, stage in state for value in stage.presents.get(SERVICE_ACCOUNTS, ())]
        taken[PROJECTED_TOKEN], taken[POD_TOKEN] = signed, [*signed, *world[PROJECTED_TOKEN]]
    for name in model.PUBLISHED:
        written = _written(name, state, change)
        taken[name] = [model.bundle(value + more) for value in world[name] for more in written] if name in world else []
    for name, values in taken.items():
        for value in values:
            world[name].setdefault(value, _holder(name, change.phase.name))
    return world


def at_gate(world: World, state: State, change: Change) -> World:
    """Return the world once the phase's gate holds: each API server has published, every reader has what is published."""
    settled = dict(world)
    for name in model.PUBLISHED:
        if name in world:
            whole = [generation for value in _written(name, state, change, last=True) for generation in value]
            settled[name] = {model.bundle((*value, *whole)): _holder(name, change.phase.name) for value in world[name]}
    return settled


def _written(name: str, state: State, change: Change, *, last: bool = False) -> list[model.Bundle]:
    """Return what running API servers may add to the published bundle; of each the last is what the gate waits for."""
    source = model.PUBLISHED[name]
    found: list[model.Bundle] = []
    for actor, stage in state:
        own = stage.trusts.get(source, ())
        if own and not change.happens(model.WRITE_BACK):
            wanted = change.wanted[actor].written.get(source)
            own = tuple(value for value in own if value == wanted != change.settled[actor].written[source])
        found += own[-1:] if last else own
    return found


def leaders(state: State, change: Change) -> list[tuple[str, Stage]]:
    """Return the controller-managers that may lead: they publish the pods' trust, and sign."""
    running = [(name, stage) for name, stage in state if model.SIGNER in stage.presents]
    return running if change.happens(model.STANDBY) else running[:1]


def _holder(name: str, phase: str) -> str:
    if name in model.PUBLISHED:
        return "extension-apiserver-authentication"
    whom, doing = _WHO.get(name, ("node", "joined or renewed"))
    return f"a {whom} that {doing} {'in ' + phase if phase else 'before'}"


def _visited(name: str, phase: str) -> str:
    return _holder(name, phase).replace("that joined or renewed", "visited")
