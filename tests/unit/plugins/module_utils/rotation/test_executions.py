# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checker's sets of possible values against executions by chance, in which every value is one value."""

from __future__ import annotations

import itertools
import random

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model, model_change, model_steps
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import check


def swapped(first, second):
    phases = list(ROTATION)
    phases[first], phases[second] = phases[second], phases[first]
    return tuple(phases)


class Execution:
    """One cluster through one phase list, by chance: every value is one value, every event happens or does not.

    It shares the steps of the hosts with the checker and none of its reasoning on sets of values and ways into a state.
    """

    def __init__(self, cluster, authorities, seed):
        self.cluster, self.authorities, self.chance = cluster, authorities, random.Random(seed)
        self.settled = model_change.settled_at_start(cluster, authorities)
        self.rows = {row.name: row for row in model.rows_of(authorities)}
        self.inputs = model.inputs_of_hosts(cluster, authorities)
        self.pods_of = {host.name: host.layout.static_pods for host in cluster.hosts}
        self.live = [(host, one) for host, inputs in self.inputs.items() for one in inputs if one.live]
        self.readers = {}
        for host, one in [(host, one) for host, inputs in self.inputs.items() for one in inputs]:
            self.readers.setdefault(one.name, []).append((host, one.component))
        self.file = {(name, one.name): self.settled[name].written[one.key] for name, inputs in self.inputs.items() for one in inputs}
        self.loaded = dict(self.file)
        self.stopped, self.back = set(), set()  # by the run; come back since, because their host died
        self.nodes, self.pods = [], [(OLD,)] if model.PODS in self.rows else []
        self.published = {name: (OLD,) for name in model.PUBLISHED if name in self.rows}
        self.read = dict(self.published)
        self.info = (OLD,)

    def values(self, name):
        """What every running process has loaded under a name."""
        away = self.stopped - self.back
        found = [(host, self.loaded[host, name]) for host, component in self.readers.get(name, ()) if (host, component) not in away]
        found += [("node", node[name]) for node in self.nodes if name in node]
        found += [("pod", pod) for pod in self.pods if name == model.PODS]
        found += [("ConfigMap", self.read[name])] if name in self.read else []
        return found + ([("cluster-info", self.info)] if name == model.CLUSTER_INFO else [])

    def broken(self):
        if any(isinstance(held, tuple) for _host, held in self.values(model.SIGNER)):
            return True
        for row in self.rows.values():
            verifiers = self.values(row.name)
            for presenter in row.presenters:
                for at, leaf in self.values("signer" if presenter == "signed" else presenter):
                    if any(leaf not in trusted and (presenter != "etcd-peer" or at != where) for where, trusted in verifiers):
                        return True
        return False

    def load(self, host, one):
        """A process takes over what is written; where the signer's pair is its flags said when it started."""
        held = self.file[host, one.name]
        if one.home is not None and self.loaded[host, model.SIGNER_PLACE] == model.HOME:
            held = self.file[host, one.home.name]
            held = held[0] if len(held) == 1 else held
        self.loaded[host, one.name] = held

    def start(self, host, components):
        for one in sorted(self.inputs[host], key=lambda one: one.name != model.SIGNER_PLACE):
            if one.component in components:
                self.load(host, one)

    def do(self, host, step, change):
        self.back = {one for one in self.back if one[0] != host}
        if step.verb == "write":
            self.file.update(((host, one.name), change.wanted[host].written[one.key]) for one in self.inputs[host] if one.file in step.what)
        if step.verb == "stop":
            self.stopped.update((host, component) for component in step.what)
        if step.verb == "start":
            self.start(host, step.what)
            self.stopped -= {(host, component) for component in step.what}

    def die(self, host):
        """The host dies and comes back: what the run has stopped there runs again, unless it is a static pod."""
        components = [component for at, component in self.stopped if at == host and component not in self.pods_of[host]]
        self.start(host, components)
        self.back.update((host, component) for component in components)

    def happen(self):
        """Let one thing happen that may happen in any state."""
        event = self.chance.choice(("reload", "reload", "publish", "read", "pod", "join", "renew", "die"))
        if event == "reload":
            self.load(*self.chance.choice(self.live))
        if event == "die":
            self.die(self.chance.choice(self.cluster.hosts).name)
        if event == "publish" and self.published:
            self.publish(self.chance.choice(sorted(self.published)), just_one=True)
        if event == "read" and self.read:
            name = self.chance.choice(sorted(self.read))
            self.read[name] = self.published[name]
        signers, roots = self.values("signer"), self.values(model.ROOT_CA)
        if event == "pod" and roots:
            self.pods.append(self.chance.choice(roots)[1])
        if event == "join" and signers:
            self.nodes.append({**dict.fromkeys(model.NODE_TRUST, self.info), model.NODE_LEAF: self.chance.choice(signers)[1]})
        if event == "renew" and signers and self.nodes:
            self.chance.choice(self.nodes)[model.NODE_LEAF] = self.chance.choice(signers)[1]

    def publish(self, name, just_one=False):
        own = [value for _host, value in self.values(model.PUBLISHED[name])]
        for value in [self.chance.choice(own)] if own and just_one else own:
            self.published[name] = model.bundle(self.published[name] + value)

    def objects(self, change):
        """The steps of objects, nodes that joined, and pods, as (order, step): only cluster-info comes before nodes."""
        concerned = {name for name, row in self.rows.items() if model_change.concerns(change.phase, row, row.side)}
        if model.CLUSTER_INFO in concerned:
            yield 0, lambda: setattr(self, "info", change.wanted[model_change.OBJECTS].written[model.CLUSTER_INFO])
        brought = {name: model.bundle(change.phase.trusts) for name in concerned & {*model.NODE_TRUST}}
        brought.update({model.NODE_LEAF: NEW} if model.NODE_LEAF in change.phase.presents else {})
        if "kubernetes" in self.authorities and brought:
            yield 1, lambda: [node.update({name: model_change.further(node[name], held) for name, held in brought.items()})
                              for node in self.nodes]
        if model.PODS in concerned:
            # Where no controller-manager runs, what one has published is still there; no phase moves that and the pods.
            roots = self.values(model.ROOT_CA) or [("ConfigMap", held.written[model.ROOT_CA])
                                                   for held in self.settled.values() if model.ROOT_CA in held.written]
            yield 1, lambda: setattr(self, "pods", [self.chance.choice(roots)[1] for _pod in self.pods])
        if concerned & {*self.published} and change.phase.trusts == (NEW,):
            yield 1, lambda: self.published.update(dict.fromkeys(concerned & {*self.published}, (NEW,)))

    def fails(self, phases):
        """Run the list; say whether an edge was broken on the way or something old is left at the end."""
        for phase in phases:
            change = model_change.change_of(phase, self.cluster, self.authorities, self.settled)
            todo = [(1, [(host.name, step) for step in model_steps.host_steps(host, change)]) for host in self.cluster.hosts]
            todo += [(order, [step]) for order, step in self.objects(change)]
            while any(steps for _order, steps in todo):
                first = not any(steps for order, steps in todo if order == 0)
                ready = [steps for order, steps in todo if steps and (first or order == 0 or not self.is_worker(steps))]
                if self.chance.random() < 0.4:
                    self.happen()
                else:
                    step = self.chance.choice(ready).pop(0)
                    step() if callable(step) else self.do(*step, change)
                if self.broken():
                    return True
            self.gate(change)
            if self.broken():
                return True
        held = [value for host in self.settled.values() for value in host.written.values()]
        held += [*self.pods, *self.published.values(), *(value for node in self.nodes for value in node.values())]
        return any(value == OLD or OLD in value for value in held)

    def is_worker(self, steps):
        """Whether these steps wait for cluster-info: a node's, known or newly joined."""
        return callable(steps[0]) or next(host.components for host in self.cluster.hosts if host.name == steps[0][0]) == ("kubelet",)

    def gate(self, change):
        self.settled = change.wanted
        for host in self.inputs:
            self.start(host, {one.component for one in self.inputs[host]})
        for name in self.published:
            self.publish(name)
        self.read = dict(self.published)


MUTATIONS = [
    *(ROTATION[:number] + ROTATION[number + 1:] for number in range(6)),
    *(swapped(*pair) for pair in itertools.combinations(range(6), 2)),
]


SHAPES = {"systemd": model.DEFAULT, "kubeadm": model.cluster_of(2, layout=KUBEADM)}


@pytest.mark.parametrize("cluster", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("authorities", [AUTHORITIES, ("kubernetes", "front-proxy")], ids="+".join)
def test_no_execution_of_the_rotation_breaks(authorities, cluster):
    for seed in range(25):
        assert not Execution(cluster, authorities, seed).fails(ROTATION), f"seed {seed}"


@pytest.mark.parametrize("cluster", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("phases", MUTATIONS, ids=lambda phases: ",".join(phase.name for phase in phases))
def test_every_mutation_breaks_in_some_execution(phases, cluster):
    assert any(Execution(cluster, AUTHORITIES, seed).fails(phases) for seed in range(200))


def shuffled(chance):
    """The rotation with one or two presenters moved to a phase chosen by chance."""
    phases = [list(phase.presents) for phase in ROTATION]
    for _move in range(chance.randrange(1, 3)):
        source = chance.choice([names for names in phases if names])
        chance.choice(phases).append(source.pop(chance.randrange(len(source))))
    return [phase._replace(presents=tuple(names)) for phase, names in zip(ROTATION, phases)]


@pytest.mark.parametrize("cluster", SHAPES.values(), ids=SHAPES)
def test_no_execution_breaks_a_list_that_the_checker_lets_pass(cluster):
    chance = random.Random(2026)
    lists = [shuffled(chance) for _list in range(30)]
    failed = [phases for seed, phases in enumerate(lists) if Execution(cluster, AUTHORITIES, seed).fails(phases)]
    assert 5 < len(failed) < 25
    assert [phases for phases in failed if check(phases, cluster) == []] == []
