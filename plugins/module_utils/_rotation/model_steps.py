# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The steps of one phase on one host (or one object), and what its processes may have loaded after each step.

A host writes its files and then restarts what the reload table says. Where that is the API server or etcd, it does so in a
window: API server stopped first, started last, and meanwhile neither presenting nor verifying.

*Late* reloads need no states of their own: an input that is taken over live has two possible values from the moment its file
is written until its process restarts or the gate holds. Every edge compares one leaf with one bundle, two different inputs
whose delays are independent, so an edge can be broken exactly if it is for some pair of their possible values.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model

API_SERVER = "kube-apiserver"
WINDOW_COMPONENTS = (API_SERVER, "etcd")
OBJECTS = "cluster-info"
_DOING = {"stop": "stopping", "write": "writing", "restart": "restarting", "start": "starting", "list": "listing"}
_RESTART_ORDER = ("etcd", "kube-controller-manager", "kube-scheduler", "kubelet")


class Step(t.NamedTuple):
    """One step of a phase.

    ``resets`` names what whoever is there at the step (running pods, listed nodes, the ConfigMap) does not hold after it, with
    what they hold instead; None where they take what they find. Who comes after the step is not touched by it.
    """

    verb: str
    what: str
    resets: t.Mapping[str, t.Any] = {}


class Stage(t.NamedTuple):
    """An actor after some of its steps: what each running presenter may present, each running verifier may trust."""

    label: str
    presents: t.Mapping[str, tuple[str, ...]]
    trusts: t.Mapping[str, tuple[model.Bundle, ...]]
    resets: t.Mapping[str, t.Any]


class Actor(t.NamedTuple):
    """A host or an object that goes through a phase on its own."""

    name: str
    stages: tuple[Stage, ...]


def actors_of(change: model.Change) -> tuple[Actor, ...]:
    """Return everything that the phase moves, and everything that only stands by and presents or verifies."""
    actors = []
    for host in change.cluster.hosts:
        inputs = model.inputs_of(host, change.cluster.minor, change.authorities)
        actors.append(Actor(host.name, stages(inputs, host_steps(host, change), change)))
    if model.CLUSTER_INFO in change.settled:
        # A join is one moment: what it reads is what is written.
        cluster_info = model.Input(model.CLUSTER_INFO, "", OBJECTS, live=True, restart=False, late=False)
        actors.append(Actor(OBJECTS, stages((cluster_info,), _cluster_info_steps(change), change)))
    actors += [Actor(step.what, stages((), (step,), change)) for step in _object_steps(change)]
    return tuple(actors)


def host_steps(host: model.Host, change: model.Change) -> tuple[Step, ...]:
    """Return what a run does on the host: bundles first, then leaves in the phase's order, then restarts."""
    presents = change.phase.presents
    inputs = model.inputs_of(host, change.cluster.minor, change.authorities)
    changed = [one for one in inputs if change.settled[one.name] != change.wanted[one.name]]
    bundles = [one.file for one in changed if one.name not in presents]
    leaves = sorted((one.file for one in changed if one.name in presents), key=presents.index)
    restarts = {one.component for one in changed if one.restart}
    steps = [Step("write", file) for file in dict.fromkeys(bundles + leaves)]
    steps += [Step("restart", component) for component in _RESTART_ORDER if component in restarts]
    if API_SERVER in host.components and restarts.intersection(WINDOW_COMPONENTS):
        steps = [Step("stop", API_SERVER), *steps, Step("start", API_SERVER)]
    return tuple(steps)


def _cluster_info_steps(change: model.Change) -> tuple[Step, ...]:
    """Write cluster-info, then list the nodes to visit: a node that joined before is on the list, a later one needs no visit."""
    steps = []
    if change.settled[model.CLUSTER_INFO] != change.wanted[model.CLUSTER_INFO]:
        steps.append(Step("write", OBJECTS))
    if model.NODE_LEAF in change.phase.presents or set(model.NODE_TRUST).intersection(change.concerned):
        steps.append(Step("list", "nodes", {name: change.wanted[name] for name in (*model.NODE_TRUST, model.NODE_LEAF)}))
    return tuple(steps)


def _object_steps(change: model.Change) -> list[Step]:
    steps = []
    if model.PODS in change.concerned:
        # A restarted pod takes what is published, not what the phase would like it to hold.
        held = None if change.happens(model.POD_START) else model.bundle(change.phase.trusts)
        steps.append(Step("restart", "pods", {model.PODS: held}))
    published = [name for name in model.PUBLISHED if name in change.concerned]
    if published and change.phase.trusts == (NEW,):
        # Only then is there something to take away; all that is to be added the API servers add by themselves.
        steps.append(Step("write", "extension-apiserver-authentication", dict.fromkeys(published, (NEW,))))
    return steps


def stages(inputs: t.Sequence[model.Input], steps: t.Sequence[Step], change: model.Change) -> tuple[Stage, ...]:
    """Return the actor before its first step, after each, and so after the last."""
    loaded = {one: (change.settled[one.name],) for one in inputs}
    stopped: set[str] = set()
    found = [_stage("before", loaded, stopped, {})]
    for number, step in enumerate(steps, start=1):
        if step.verb == "stop":
            stopped.add(step.what)
        if step.verb == "start":
            stopped.discard(step.what)
        for one in inputs:
            loaded[one] = _loaded_after(step, one, loaded[one], change)
        label = "after" if number == len(steps) else f"half-way (after {_DOING[step.verb]} {step.what})"
        found.append(_stage(label, loaded, stopped, step.resets))
    if len(found) > 2 and not change.happens(model.HALF_WAY):
        resets = {name: value for stage in found for name, value in stage.resets.items()}
        found = [found[0], found[-1]._replace(resets=resets)]
    return tuple(found)


def _loaded_after(step: Step, one: model.Input, before: tuple[t.Any, ...], change: model.Change) -> tuple[t.Any, ...]:
    """Return the values that the process may have loaded for the input after the step."""
    wanted = change.wanted[one.name]
    if step.verb in ("restart", "start") and step.what == one.component:
        return (wanted,)  # restarts come after all writes
    if step.verb == "write" and step.what == one.file and one.live:
        return tuple(dict.fromkeys((*before, wanted))) if one.late and change.happens(model.LATE) else (wanted,)
    return before


def _stage(label: str, loaded: t.Mapping[model.Input, t.Any], stopped: set[str], resets: t.Mapping[str, t.Any]) -> Stage:
    running = {one.name: values for one, values in loaded.items() if one.component not in stopped}
    leaves = {name: values for name, values in running.items() if isinstance(values[0], str)}
    return Stage(label, leaves, {name: values for name, values in running.items() if name not in leaves}, resets)
