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
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import RESTARTS_WITH, stopping
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model

OBJECTS = "cluster-info"
BEFORE, AFTER = "before", "after"
_DOING = {"stop": "stopping", "write": "writing", "restart": "restarting", "start": "starting", "list": "listing", "renew": "renewing"}


class Step(t.NamedTuple):
    """One step of a phase: a file written, or processes stopped or started side by side.

    ``resets`` names what whoever is there at the step (running pods, listed nodes, the ConfigMap) does not hold after it, with
    what they hold instead; None where they take what they find. Who comes after the step is not touched by it.
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

    @property
    def seen(self) -> tuple[t.Any, ...]:
        """All of it but its name."""
        return self.presents, self.trusts, self.resets


class Actor(t.NamedTuple):
    """A host or an object that goes through a phase on its own."""

    name: str
    stages: tuple[Stage, ...]


def actors_of(change: model.Change) -> tuple[Actor, ...]:
    """Return everything that the phase moves, and everything that only stands by and presents or verifies."""
    actors = [Actor(host.name, stages(change.inputs[host.name], host_steps(host, change), change, host.layout.static_pods))
              for host in change.cluster.hosts]
    if model.CLUSTER_INFO in change.settled:
        # A join is one moment: what it reads is what is written.
        cluster_info = model.Input(model.CLUSTER_INFO, "", OBJECTS, CLIENTS, model.CLUSTER_INFO, live=True, restart=False, late=False)
        actors.append(Actor(OBJECTS, stages((cluster_info,), _cluster_info_steps(change), change)))
    actors += [Actor(step.what[0], stages((), (step,), change)) for step in _object_steps(change)]
    return tuple(actors)


def host_steps(host: hosts.Host, change: model.Change) -> tuple[Step, ...]:
    """Return what a run does on the host: ``pki_host`` stops, writes leaves, then bundles, then flags, and starts."""
    changed = [one for one in change.inputs[host.name] if change.settled[one.key] != change.wanted[one.key]]
    needed = {one.component for one in changed if one.restart}
    restarts = [name for name in host.components if name in needed or RESTARTS_WITH.get(name) in needed]
    groups = [Step("stop", tuple(group)) for group in stopping(restarts) if group]
    leaves = [one.file for one in changed if not one.side and one.name != model.SIGNER_PLACE]
    bundles = [one.file for one in changed if one.side]
    flags = [one.file for one in changed if one.name == model.SIGNER_PLACE]
    steps = [Step("write", (file,)) for file in dict.fromkeys(leaves + bundles + flags)]
    return (*groups, *steps, *(step._replace(verb="start") for step in reversed(groups)))


def _cluster_info_steps(change: model.Change) -> tuple[Step, ...]:
    """Write cluster-info, then list the nodes to visit: a node that joined before is on the list, a later one needs no visit."""
    steps = []
    if change.settled[model.CLUSTER_INFO] != change.wanted[model.CLUSTER_INFO]:
        steps.append(Step("write", (OBJECTS,)))
    if model.NODE_LEAF in change.phase.presents or set(model.NODE_TRUST).intersection(change.concerned):
        steps.append(Step("list", ("nodes",), {name: change.wanted[name] for name in (*model.NODE_TRUST, model.NODE_LEAF)}))
    return tuple(steps)


def _object_steps(change: model.Change) -> list[Step]:
    steps = []
    if model.PODS in change.concerned:
        # A restarted pod takes what is published, not what the phase would like it to hold.
        held = None if change.happens(model.POD_START) else model.bundle(change.phase.trusts)
        steps.append(Step("restart", ("pods",), {model.PODS: held}))
    # A renewed token is of the key with which API servers sign by then.
    steps += [Step("renew", (name,), {name: None}) for name in model.TOKENS if change.settled.get(name) != change.wanted.get(name)]
    published = [name for name in model.PUBLISHED if name in change.concerned]
    if published and change.phase.trusts == (NEW,):
        # Only then is there something to take away; all that is to be added the API servers add by themselves.
        steps.append(Step("write", ("extension-apiserver-authentication",), dict.fromkeys(published, (NEW,))))
    return steps


def stages(inputs: t.Sequence[model.Input], steps: t.Sequence[Step], change: model.Change,
           static_pods: t.Container[str] = ()) -> tuple[Stage, ...]:
    """Return the actor before its first step, after each that shows, and so after the last."""
    loaded: dict[model.Input, tuple[t.Any, ...]] = {one: (_on_disk(one, (), change),) for one in inputs}
    stopped: set[str] = set()
    written: list[str] = []
    found = [_stage(BEFORE, loaded, {})]
    for number, step in enumerate(steps, start=1):
        if step.verb == "write":
            written += step.what
        stopped = stopped.union(step.what) if step.verb == "stop" else stopped.difference(step.what)
        for one in inputs:
            if one.component in stopped:
                loaded[one] = () if one.component in static_pods else (_on_disk(one, written, change),)
            else:
                loaded[one] = _loaded_after(step, one, loaded[one], written, change)
        label = AFTER if number == len(steps) else f"half-way (after {_DOING[step.verb]} {', '.join(step.what)})"
        found = _with(found, _stage(label, loaded, step.resets))
    if len(found) > 2 and not change.happens(model.HALF_WAY):
        resets = {name: value for stage in found for name, value in stage.resets.items()}
        found = [found[0], found[-1]._replace(resets=resets)]
    return tuple(found)


def _with(found: list[Stage], stage: Stage) -> list[Stage]:
    """Add a stage, or nothing where its step is seen by nobody: a file of a stopped static pod, say."""
    if stage.seen != found[-1].seen:
        return [*found, stage]
    return [*found[:-1], stage] if len(found) > 1 and stage.label == AFTER else found


def _loaded_after(step: Step, one: model.Input, before: tuple[t.Any, ...], written: t.Sequence[str],
                  change: model.Change) -> tuple[t.Any, ...]:
    """Return the values that a running process may have loaded for the input after the step."""
    if step.verb == "start" and one.component in step.what:
        return (_on_disk(one, written, change),)
    if step.verb == "write" and one.live:
        # Which file a process reads its flags told it when it started.
        now = _on_disk(one, [file for file in written if file != model.SIGNER_PLACE], change)
        return tuple(dict.fromkeys((*before, now))) if one.late and change.happens(model.LATE) else (now,)
    return before


def _on_disk(one: model.Input, written: t.Container[str], change: model.Change) -> t.Any:
    """Return what a process finds that starts once these files are written."""
    def held(which: model.Input | str) -> t.Any:
        file, key = (which, which) if isinstance(which, str) else (which.file, which.key)
        return (change.wanted if file in written else change.settled)[key]

    if one.home is None or held(model.SIGNER_PLACE) == model.APART:
        return held(one)
    found = held(one.home)
    return found[0] if len(found) == 1 else found


def _stage(label: str, loaded: t.Mapping[model.Input, t.Any], resets: t.Mapping[str, t.Any]) -> Stage:
    there = [(one, values) for one, values in loaded.items() if values and one.name != model.SIGNER_PLACE]
    presents = {one.name: values for one, values in there if not one.side}
    trusts = {one.name: values for one, values in there if one.side}
    narrow = tuple((name, value) for name, values in trusts.items() for value in values if value != (OLD, NEW))
    return Stage(label, presents, trusts, resets, narrow)
