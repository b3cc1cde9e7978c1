# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The steps of one phase on one host (or one object), and what its processes may have loaded after each step.

A host does what ``pki_host`` does: it stops what the reload table says must restart, writes its files, and starts again what it
stopped; the API server goes first and comes back last. A stopped process neither presents nor verifies, unless its host dies:
a service comes back with the files that are written by then, a static pod stays away.

*Late* reloads need no states of their own: an input that is taken over live has two possible values from the moment its file
is written until its process restarts or the gate holds. Every edge compares one leaf with one bundle, two different inputs
whose delays are independent, so an edge can be broken exactly if it is for some pair of their possible values.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import RESTARTS_WITH, stopping
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_change import OBJECTS, Change, Held

BEFORE, AFTER = "before", "after"
_DOING = {"stop": "stopping", "write": "writing", "restart": "restarting", "start": "starting", "list": "listing", "renew": "renewing"}


class Step(t.NamedTuple):
    """One step of a phase: a file written, or processes stopped or started side by side.

    ``resets`` names what whoever is there at the step (running pods, listed nodes, the ConfigMap) is brought to by it; None where
    they take what they find. Who comes after the step is not touched by it.
    """

    verb: str
    what: tuple[str, ...]
    resets: t.Mapping[str, t.Any] = {}

    def __str__(self) -> str:
        return f"{self.verb} {', '.join(self.what)}"


class Stage(t.NamedTuple):
    """An actor after some of its steps: what each presenter there may present, each verifier there may trust."""

    label: str
    presents: t.Mapping[str, tuple[t.Any, ...]]
    trusts: t.Mapping[str, tuple[model.Bundle, ...]]
    resets: t.Mapping[str, t.Any]
    narrow: tuple[tuple[str, model.Bundle], ...]  # of what is trusted, what does not trust everything
    holds: tuple[Held, ...] = ()  # what may lie on a host that stands here: some steps are seen by nobody

    @property
    def seen(self) -> tuple[t.Any, ...]:
        """All of it but its name."""
        return self.presents, self.trusts, self.resets


class Actor(t.NamedTuple):
    """A host or an object that goes through a phase on its own."""

    name: str
    stages: tuple[Stage, ...]


def actors_of(change: Change) -> tuple[Actor, ...]:
    """Return everything that the phase moves, and everything that only stands by and presents or verifies."""
    actors = [Actor(host.name, stages(change.inputs[host.name], host_steps(host, change), host.name, change, host.layout.static_pods))
              for host in change.cluster.hosts]
    if OBJECTS in change.settled:
        # A join is one moment: what it reads is what is written.
        cluster_info = model.Input(model.CLUSTER_INFO, "", OBJECTS, CLIENTS, model.CLUSTER_INFO, live=True, restart=False, late=False)
        actors.append(Actor(OBJECTS, stages((cluster_info,), _cluster_info_steps(change), OBJECTS, change)))
    actors += [Actor(step.what[0], stages((), (step,), "", change)) for step in _object_steps(change)]
    return tuple(actors)


def host_steps(host: hosts.Host, change: Change) -> tuple[Step, ...]:
    """Return what a run does on the host: ``pki_host`` stops, writes leaves, then bundles, then flags, and starts."""
    found, wanted = change.settled[host.name], change.wanted[host.name]
    if found is wanted:
        return ()  # the phase does not reach it
    changed = [one for one in change.inputs[host.name] if found.written[one.key] != wanted.written[one.key]]
    needed = {one.component for one in changed if one.restart}
    needed |= {one.component for one in change.inputs[host.name] if _left_behind(one, found)}
    restarts = [name for name in host.components if name in needed or RESTARTS_WITH.get(name) in needed]
    groups = [Step("stop", tuple(group)) for group in stopping(restarts) if group]
    leaves = [one.file for one in changed if not one.side and one.name not in model.UNREAD]
    keys = [one.file for one in changed if one.name == model.SIGNER_KEY]
    bundles = [one.file for one in changed if one.side]
    flags = [one.file for one in changed if one.name == model.SIGNER_PLACE]
    steps = [Step("write", (file,)) for file in dict.fromkeys(leaves + keys + bundles + flags)]
    return (*groups, *steps, *(step._replace(verb="start") for step in reversed(groups)))


def _left_behind(one: model.Input, found: Held) -> bool:
    """Say whether a run that was killed left the input's process stopped, or older than a file that it reads at its start."""
    values = found.loaded.get(one.key)
    return values == () or (one.restart and values not in (None, (found.written[one.key],)))


def _cluster_info_steps(change: Change) -> tuple[Step, ...]:
    """Write cluster-info, then list the nodes to visit: a node that joined before is on the list, a later one needs no visit."""
    steps = []
    if change.settled[OBJECTS].written != change.wanted[OBJECTS].written:
        steps.append(Step("write", (OBJECTS,)))
    brought: dict[str, t.Any] = {name: model.bundle(change.phase.trusts) for name in model.NODE_TRUST if name in change.concerned}
    if model.NODE_LEAF in change.phase.presents:
        brought[model.NODE_LEAF] = NEW
    if brought:
        steps.append(Step("list", ("nodes",), brought))
    return tuple(steps)


def _object_steps(change: Change) -> list[Step]:
    steps = []
    if model.PODS in change.concerned:
        # A restarted pod takes what is published, not what the phase would like it to hold.
        held = None if change.happens(model.POD_START) else model.bundle(change.phase.trusts)
        steps.append(Step("restart", ("pods",), {model.PODS: held}))
    # A renewed token is of the key with which API servers sign by then.
    if SERVICE_ACCOUNTS in change.authorities:
        steps += [Step("renew", (name,), {name: None}) for name in model.TOKENS if name in change.phase.presents]
    published = [name for name in model.PUBLISHED if name in change.concerned]
    if published and change.phase.trusts == (NEW,):
        # Only then is there something to take away; all that is to be added the API servers add by themselves.
        steps.append(Step("write", ("extension-apiserver-authentication",), dict.fromkeys(published, (NEW,))))
    return steps


def stages(inputs: t.Sequence[model.Input], steps: t.Sequence[Step], actor: str, change: Change,
           static_pods: t.Container[str] = ()) -> tuple[Stage, ...]:
    """Return the actor before its first step, after each that shows, and so after the last."""
    place = _Place(change.settled.get(actor, _NOTHING), change.wanted.get(actor, _NOTHING), change.happens(model.LATE))
    loaded = {one: place.held.loaded.get(one.key, (place.on_disk(one, ()),)) for one in inputs}
    stopped = {one.component for one, values in loaded.items() if not values}
    written: list[str] = []
    found = [_stage(BEFORE, loaded, {}, place.held_after((), loaded))]
    for number, step in enumerate(steps, start=1):
        if step.verb == "write":
            written += step.what
        stopped = stopped.union(step.what) if step.verb == "stop" else stopped.difference(step.what)
        for one in inputs:
            if one.component in stopped:
                loaded[one] = () if one.component in static_pods else (place.on_disk(one, written),)
            else:
                loaded[one] = place.loaded_after(step, one, loaded[one], written)
        label = AFTER if number == len(steps) else f"half-way (after {_DOING[step.verb]} {', '.join(step.what)})"
        found = _with(found, _stage(label, loaded, step.resets, place.held_after(written, loaded)))
    if len(found) > 2 and not change.happens(model.HALF_WAY):
        resets = {name: value for stage in found for name, value in stage.resets.items()}
        found = [found[0], found[-1]._replace(resets=resets)]
    return tuple(found)


def _with(found: list[Stage], stage: Stage) -> list[Stage]:
    """Add a stage, or only what lies on the host where its step is seen by nobody: a file of a stopped static pod, say."""
    last = found[-1]
    if stage.seen != last.seen:
        return [*found, stage]
    label = AFTER if len(found) > 1 and stage.label == AFTER else last.label
    return [*found[:-1], last._replace(label=label, holds=(*last.holds, *stage.holds))]


class _Place(t.NamedTuple):
    """The files of one host: as the phase finds them, and as it leaves them."""

    held: Held
    wanted: Held
    late: bool  # whether a live reload may not have happened yet

    def on_disk(self, one: model.Input, written: t.Container[str]) -> t.Any:
        """Return what a process finds that starts once these files are written; several where a signing pair must not be."""
        if one.home is None or self._holds(model.SIGNER_PLACE, model.SIGNER_PLACE, written) == model.APART:
            return self._holds(one.file, one.key, written)
        found = self._holds(one.home.file, one.home.key, written)
        return found[0] if found == (self._holds(model.SIGNER_KEY, model.SIGNER_KEY, written),) else found

    def loaded_after(self, step: Step, one: model.Input, before: tuple[t.Any, ...], written: t.Sequence[str]) -> tuple[t.Any, ...]:
        """Return the values that a running process may have loaded for the input after the step."""
        if step.verb == "start" and one.component in step.what:
            return (self.on_disk(one, written),)
        if step.verb == "write" and one.live:
            # Which file a process reads its flags told it when it started.
            now = self.on_disk(one, [file for file in written if file != model.SIGNER_PLACE])
            return tuple(dict.fromkeys((*before, now))) if one.late and self.late else (now,)
        return before

    def held_after(self, written: t.Container[str], loaded: t.Mapping[model.Input, tuple[t.Any, ...]]) -> Held:
        """Return what a run that is killed once these files are written leaves behind."""
        files = {one.key: self._holds(one.file, one.key, written) for one in loaded}
        return Held(files, {one.key: values for one, values in loaded.items() if values != (files[one.key],)})

    def _holds(self, file: str, key: str, written: t.Container[str]) -> t.Any:
        return (self.wanted if file in written else self.held).written[key]


_NOTHING = Held({})


def _stage(label: str, loaded: t.Mapping[model.Input, t.Any], resets: t.Mapping[str, t.Any], held: Held) -> Stage:
    there = [(one, values) for one, values in loaded.items() if values and one.name not in model.UNREAD]
    presents = {one.name: values for one, values in there if not one.side}
    trusts = {one.name: values for one, values in there if one.side}
    narrow = tuple((name, value) for name, values in trusts.items() for value in values if value != (OLD, NEW))
    return Stage(label, presents, trusts, resets, narrow, (held,))
