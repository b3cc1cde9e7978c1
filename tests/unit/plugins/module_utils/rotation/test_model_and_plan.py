# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is proved is what is done: the model's steps of a host are the plan's actions there, in the order in which pki_host acts."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, layouts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION, phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model, model_change, model_steps, plan, recovery
from ansible_collections.rekey.kubernetes.plugins.modules import pki_host
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(AUTHORITIES, size)]
SUBSETS += [(SERVICE_ACCOUNTS,), seen.ALL]
HOSTS = {
    "systemd, stacked": ("systemd", ("etcd", "kube_control_plane"), ()),
    "systemd, etcd alone": ("systemd", ("etcd",), ()),
    "systemd, no etcd": ("systemd", ("kube_control_plane",), ()),
    "systemd, no controller-manager": ("systemd", ("etcd", "kube_control_plane"), ("etcd", "kube-apiserver")),
    "kubeadm, stacked": ("kubeadm", ("etcd", "kube_control_plane"), ()),
    "kubeadm, etcd alone": ("kubeadm", ("etcd",), ()),
    "kubeadm, no etcd": ("kubeadm", ("kube_control_plane",), ()),
    "kubeadm, worker": ("kubeadm", ("kube_node",), ()),
}


def host(layout, groups, components):
    return hosts.host({"name": "n1", "address": "192.0.2.1", "groups": list(groups), "layout": layout, "components": list(components),
                       "kubernetes_dir": "/k", "etcd_dir": "/k/pki/etcd"})


def observed(on, flags):
    """Return what is seen on a host that has every optional pair and, where asked for, every optional flag."""
    found = {**seen.healthy(on, optional=True), "tokens": {}}  # in the model pods' tokens belong to no host
    for edge in TRUST if flags else ():
        if edge.optional and edge.component in found["processes"]:
            found["processes"][edge.component]["flags"] = {edge.input: hosts.read_by(on, edge).path}
    return found


def planned(on, minor, authorities, flags=True):
    """Return, by phase, what the plan writes and what it restarts."""
    rotation = plan.Rotation({name: seen.WITH_TOKENS.generations[name] for name in authorities}, minor)
    found = {}
    for phase, todo in plan.whole({"n1": on}, {"n1": observed(on, flags)}, rotation, seen.NOW):
        found[phase.name] = act(todo["n1"])
    return found


def act(done):
    """Return what the plan writes on a host, as the model names it, and what it restarts."""
    # Of the copies that a phase installs only these two are read by a process.
    signer = {model.SIGNER: model.SIGNER in done.copies, model.SIGNER_PLACE: model.SIGNER in (*done.apart, *done.home),
              model.SIGNER_KEY: model.SIGNER in done.home, SERVICE_ACCOUNTS: SERVICE_ACCOUNTS in done.copies}
    written = {f"bundle {name}" for name in done.bundles} | {*done.leaves} | {name for name, moves in signer.items() if moves}
    return written, {one.process for one in done.restarts}


def modelled(on, minor, authorities, flags=True):
    """Return, by phase, the model's steps on the host."""
    cluster = model.Cluster((on,), minor, flags=flags)
    settled, found = model_change.settled_at_start(cluster, authorities), {}
    for phase in phases_of(authorities):
        change = model_change.change_of(phase, cluster, authorities, settled)
        found[phase.name] = model_steps.host_steps(on, change)
        settled = change.wanted
    return found


def of_verb(steps, verb):
    return {what for step in steps if step.verb == verb for what in step.what}


@pytest.mark.parametrize("minor", [(1, 35), (1, 36), (1, 37)], ids=str)
@pytest.mark.parametrize("name", HOSTS)
def test_the_model_writes_and_restarts_what_the_plan_does(name, minor):
    on = host(*HOSTS[name])
    elsewhere = {leaf.name for leaf in LEAVES} - {*hosts.pairs(on)}  # the model has every leaf, whether the layout keeps it or not
    for authorities, flags in itertools.product(SUBSETS, (True, False)):
        plans = planned(on, minor, authorities, flags)
        for phase, steps in modelled(on, minor, authorities, flags).items():
            found = (of_verb(steps, "write") - elsewhere, of_verb(steps, "stop"))
            assert found == plans[phase], f"{phase} of {authorities}, flags: {flags}"
            assert of_verb(steps, "start") == of_verb(steps, "stop")


def left(on, held, rotation):
    """Return what is seen on a host that a killed run has left like this."""
    found = observed(on, flags=True)
    for one in model.inputs_of(on, rotation.minor, seen.ALL):
        value, bundle = held.written[one.key], found["bundles"].get(one.file.replace("bundle ", ""))
        if one.side and bundle:
            bundle["generations"] = rotation.names(hosts.bundles(on)[one.file.replace("bundle ", "")].authority, value)
        elif one.name in found["pairs"]:
            found["pairs"][one.name]["generation"] = rotation.names(AUTHORITY[one.name], [value])[0]
        elif one.name == SERVICE_ACCOUNTS:
            found["copies"][one.name]["generation"] = rotation.names(SERVICE_ACCOUNTS, [value])[0]
        elif one.name == model.SIGNER_PLACE:
            found["copies"][model.SIGNER]["apart"] = value == model.APART
        elif one.name in (model.SIGNER, model.SIGNER_KEY):
            place = "generation" if one.name == model.SIGNER else "home"
            found["copies"][model.SIGNER][place] = rotation.names("kubernetes", [value])[0]
        loaded = held.loaded.get(one.key)
        if loaded == ():
            found["processes"][one.component].update(running=False)
        elif loaded and one.restart and loaded != (value,):
            found["processes"][one.component].update(started=0.0)
    return found


AUTHORITY = {leaf.name: leaf.authority for leaf in LEAVES}
BACK = plan.Rotation({name: {OLD: both[NEW], NEW: both[OLD]} for name, both in seen.WITH_TOKENS.generations.items()}, (1, 37))


@pytest.mark.parametrize("rotation", [seen.WITH_TOKENS, BACK], ids=["on", "back"])
@pytest.mark.parametrize("name", HOSTS)
def test_the_model_does_what_the_plan_does_wherever_a_killed_run_has_left_the_host(name, rotation):
    on = host(*HOSTS[name])
    cluster, phases = model.Cluster((on,)), phases_of(seen.ALL)
    elsewhere = {leaf.name for leaf in LEAVES} - {*hosts.pairs(on)}
    for killed in recovery.kill(phases, cluster, seen.ALL):
        settled = (killed.start if rotation is seen.WITH_TOKENS else recovery.swap(killed.start)).standing
        expected = left(on, settled["n1"], rotation)
        for phase in phases:
            change = model_change.change_of(phase, cluster, seen.ALL, settled)
            steps, done = model_steps.host_steps(on, change), plan.actions(on, expected, phase, rotation)
            planned_writes, planned_restarts = act(done)
            # The plan copies a key home that is there already: nothing changes by it.
            moot = {name for name in (model.SIGNER_KEY,) if settled["n1"].written.get(name) == NEW}
            where = f"{killed}; then {phase.name}"
            assert of_verb(steps, "write") - elsewhere == planned_writes - moot, where
            assert of_verb(steps, "stop") == planned_restarts, where
            settled, expected = change.wanted, plan.predict(on, expected, done, rotation, seen.NOW)


def kind(step):
    """What a step of the model is to pki_host."""
    if step.verb != "write":
        return step.verb
    file, = step.what
    copies = dict.fromkeys((model.SIGNER, SERVICE_ACCOUNTS), "copies")
    moves = {model.SIGNER_KEY: "moves", model.SIGNER_PLACE: "flags"}
    return {**copies, **moves}.get(file, "bundles" if file.startswith("bundle ") else "certificates")


class Recorder:
    """Stands for all that pki_host acts with, and keeps the order."""

    def __init__(self, monkeypatch):
        self.done = []
        for owner, function, name, answer in (
                (pki_host.restart, "stop", "stop", {}), (pki_host.restart, "start", "start", []),
                (pki_host.leaf_batch, "install", "certificates", []), (pki_host.key_copy, "apply", "copies", None),
                (pki_host.batch_files, "apply", "moves", None), (pki_host.bundles, "apply", "bundles", None)):
            monkeypatch.setattr(owner, function, self.record(name, answer))

    def record(self, name, answer):
        def do(*_args):
            self.done.append(name)
            return answer
        return do

    def set_flags(self, *_args):
        self.done.append("flags")


@pytest.mark.parametrize("name", HOSTS)
def test_the_model_takes_its_steps_in_the_order_in_which_pki_host_does(name, monkeypatch):
    on = host(*HOSTS[name])
    recorder = Recorder(monkeypatch)
    params = {"bundles": [], "certificates": [], "copies": [], "moves": [], "remove_canaries": False, "flags": {"any": {}}}
    pki_host.carry_out(params, on, recorder, {})
    assert recorder.done == ["stop", "certificates", "copies", "moves", "bundles", "flags", "start"]
    for phase, steps in modelled(on, (1, 37), seen.ALL).items():
        kinds = [kind(step) for step in steps]
        assert kinds == sorted(kinds, key=recorder.done.index), phase


def test_static_pods_are_what_the_kubelet_runs():
    names = {process.name for process in layouts.KUBEADM.processes}
    assert names - {*layouts.KUBEADM.static_pods} == {"kubelet"}
    assert layouts.SYSTEMD.static_pods == ()


def test_an_etcd_member_never_restarts_under_its_running_api_server():
    """A run that was killed may leave one of the two older than its files, and the other not."""
    on = host(*HOSTS["kubeadm, stacked"])
    for phase in ROTATION:
        left = observed(on, flags=True)
        left["processes"]["etcd"].update(running=False, started=0.0)
        done = plan.actions(on, left, phase, seen.ROTATION)
        assert {"etcd", "kube-apiserver"} <= {one.process for one in done.restarts}, phase.name
        assert done.window
