# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""To roll back is to rotate the other way round, from wherever the cluster is; hosts may be at different places then."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates, plan
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import phase_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import stands
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation.test_kubeadm import ON as KUBEADM

SYSTEMD = {name: seen.host(name) for name in ("n1", "n2")}
BACK = seen.ROTATION._replace(generations={name: {OLD: both[NEW], NEW: both[OLD]} for name, both in seen.ROTATION.generations.items()})
CA_NAMES = ("kubernetes/", "etcd/", "front-proxy/")


def forward(on, done):
    """Return what is seen on hosts of which each has gone through so many phases."""
    found = {}
    for name, host in on.items():
        found[name] = {**seen.healthy(host), "tokens": {}}
        for phase in ROTATION[:done[name]]:
            found[name] = plan.predict(host, found[name], plan.actions(host, found[name], phase, seen.ROTATION), seen.ROTATION, seen.NOW)
    return found


def generations_in(observed):
    """Return every authority's generation that something of the hosts is of, or trusts."""
    found = {row["generation"] for one in observed.values() for kind in ("pairs", "copies") for row in one[kind].values()}
    found |= {row["home"] for one in observed.values() for row in one["copies"].values() if row["home"]}
    found |= {name for one in observed.values() for row in one["bundles"].values() for name in row["generations"]}
    return {name for name in found if name.startswith(CA_NAMES)}


def after(on, observed, rotation):
    for phase in ROTATION:
        observed = {name: plan.predict(host, observed[name], plan.actions(host, observed[name], phase, rotation), rotation, seen.NOW)
                    for name, host in on.items()}
    return observed


@pytest.mark.parametrize("on", [SYSTEMD, KUBEADM], ids=["systemd", "kubeadm"])
@pytest.mark.parametrize("done", [*itertools.product(range(len(ROTATION) + 1), repeat=2)], ids=str)
def test_from_wherever_two_hosts_are_the_way_back_and_the_way_on_end_at_one_generation(on, done):
    observed = forward(on, dict(zip(on, done)))
    assert generations_in(after(on, observed, BACK)) == {seen.OLD[name] for name in BACK.generations}
    assert generations_in(after(on, observed, seen.ROTATION)) == {seen.NEW[name] for name in BACK.generations}


def test_what_never_left_the_old_generation_is_not_touched_on_the_way_back():
    observed = forward(SYSTEMD, {"n1": 1, "n2": 0})
    todo = dict(plan.whole(SYSTEMD, observed, BACK, seen.NOW))
    assert {(phase.name, name) for phase, hosts in todo.items() for name, one in hosts.items() if not one.nothing} == {("distrust", "n1")}


def test_after_distrust_the_way_back_first_restores_trust():
    observed = forward(SYSTEMD, {"n1": 6, "n2": 6})
    first = plan.whole(SYSTEMD, observed, BACK, seen.NOW)[0]
    assert first[0].name == "trust"
    assert set(first[1]["n1"].bundles["kubernetes"]) == {seen.OLD["kubernetes"], seen.NEW["kubernetes"]}
    assert {one.process for one in first[1]["n1"].restarts} >= {"etcd", "kube-apiserver"}


@pytest.mark.parametrize("on", [SYSTEMD, KUBEADM], ids=["systemd", "kubeadm"])
@pytest.mark.parametrize(("done", "rotation"), [((1, 0), BACK), ((0, 1), BACK), ((5, 4), seen.ROTATION), ((4, 5), seen.ROTATION)], ids=[
    "back from the middle of trust", "back, the other one first", "on from the middle of distrust", "on, the other one first"])
def test_no_gate_waits_for_what_only_one_of_two_hosts_publishes(on, done, rotation):
    """Whichever controller-manager leads publishes what it trusts itself: while hosts differ, either is right."""
    on = {**on, "n3": on[next(iter(on))]._replace(name="n3")} if on is KUBEADM else on
    observed = forward(on, dict(zip(on, (*done, done[1]))))
    args = Arguments(on, seen.CLUSTER, observed, rotation, seen.known(new=True), {"cluster-info": {"kube-public": []}})
    for phase in ROTATION:
        given = phase_arguments(args, phase)
        written = [one["certificates"] for one in given["objects"]["bundles"] if one["object"]["name"] == "cluster-info"]
        wanted = [one["generations"] for one in given["objects"]["gate"] if one.get("name") == "cluster-info"]
        assert written == [[f"PEM of {name}" for name in names] for names in wanted], "what we write is what we wait for"
        expected = {name: plan.predict(host, args.observed[name], plan.actions(host, args.observed[name], phase, rotation), rotation,
                                       seen.NOW) for name, host in on.items()}
        published = [one["bundles"]["kubernetes"]["generations"] for name, one in expected.items() if "kubernetes" in one["bundles"]
                     and "kube-apiserver" in on[name].components]
        asked = [one for one in given["objects"]["gate"] if one.get("name") == "kube-root-ca.crt"]
        asked += [one for todo in given["todo"].values() for one in todo["gate"] if one["ask"] == "volumes"]
        for held in published:
            assert gates.unmet(asked, {"objects": {"kube-root-ca.crt": {"default": held}}, "volumes": {"/pod/ca.crt": held}}) == []
        args = args._replace(observed=expected)


def test_a_signer_whose_home_was_widened_before_the_run_was_killed_leaves_it_on_the_way_back():
    """It is of the wanted generation, and at home; but a controller-manager accepts a signing file of one certificate only."""
    on = KUBEADM["cp1"]
    observed = forward({"cp1": on}, {"cp1": 0})["cp1"]
    home = observed["bundles"]["kubernetes"]
    home["generations"] = seen.ROTATION.names("kubernetes", (OLD, NEW))  # killed before it set the flags
    observed["processes"]["kube-controller-manager"]["running"] = False
    assert home["generations"][0] == observed["copies"]["signer"]["home"] == BACK.generations["kubernetes"][NEW]
    todo = plan.actions(on, observed, ROTATION[0], BACK)
    assert (todo.apart, todo.bundles) == (("signer",), {})
    assert f"signer: signs from {home['path']}" in " ".join(todo.reasons)
    assert "kube-controller-manager" in {one.process for one in todo.restarts}
    # Once it is away it stays there until its home is narrow again.
    steps = [plan.actions(on, one, phase, BACK) for phase, one in way(on, observed)]
    assert [phase.name for phase, one in zip(ROTATION, steps) if one.apart] == ["trust"]
    assert [phase.name for phase, one in zip(ROTATION, steps) if "signer" in one.home] == ["distrust"]
    assert generations_in(after({"cp1": on}, {"cp1": observed}, BACK)) == {seen.OLD[name] for name in BACK.generations}


def way(on, observed):
    """Return each phase with what it finds on the host on the way back."""
    for phase in ROTATION:
        yield phase, observed
        observed = plan.predict(on, observed, plan.actions(on, observed, phase, BACK), BACK, seen.NOW)


def test_a_rotation_that_is_pending_can_be_turned_round():
    observed = forward(SYSTEMD, {"n1": 2, "n2": 1})
    stand = stands(seen.known(new=True), observed, {}, ["etcd"])["etcd"]
    assert (stand.old, stand.new, stand.pending) == (seen.OLD["etcd"], seen.NEW["etcd"], True)
    assert stand.back() == stand._replace(old=stand.new, new=stand.old)
