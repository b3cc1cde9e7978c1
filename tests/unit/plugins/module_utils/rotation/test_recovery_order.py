# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation that is killed in any state can be walked on from there, and turned round; no shorter way does.

Of a walk back everything is said with the roles exchanged: its "new" generation is the one that the cluster returns to.
"""

from __future__ import annotations

import functools
import itertools
import random

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import checker, model, model_change, recovery

ALL = (*AUTHORITIES, SERVICE_ACCOUNTS)
PHASES = phases_of(ALL)
BOTH = (OLD, NEW)
LAYOUTS = {"systemd": model.DEFAULT, "kubeadm": model.cluster_of(2, layout=KUBEADM)}
on_each_layout = pytest.mark.parametrize("layout", LAYOUTS)


@functools.cache
def killed_on(layout, authorities=ALL):
    return recovery.kill(phases_of(authorities), LAYOUTS[layout], authorities)


def turned_round(killed):
    return [one._replace(start=recovery.swap(one.start)) for one in killed]


def killed_in(phase, layout, authorities=ALL):
    return [one for one in killed_on(layout, authorities) if one.phase == phase]


WAYS = {"on": list, "back": turned_round}
on_and_back = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def broken(killed, phases, layout, authorities=ALL):
    """Where the run was killed and what broke after that, as two lines; nothing where the list holds from every state."""
    found = recovery.recover(killed, phases, LAYOUTS[layout], authorities)
    assert found.broken or found.starts == len(killed)
    return tuple((one.killed.phase, said(one.violation)) for one in found.broken)


def said(found):
    if found.verifier == checker.SIGNING_FILE:
        return f"{found.phase}: {found.verifier}({', '.join(found.trusts)})"
    if found.phase == checker.END:
        return f"{found.phase}: {found.presenter or found.verifier}"
    return f"{found.phase}: {found.presenter}({found.generation}) -> {found.verifier}({', '.join(found.trusts)})"


# --- it holds ---------------------------------------------------------------------------------------------------------


@on_and_back
@pytest.mark.parametrize(("layout", "authorities"), [("systemd", AUTHORITIES), ("systemd", ALL), ("kubeadm", ALL)], ids=str)
def test_a_run_that_is_killed_in_any_state_can_go_on_and_be_turned_round(layout, authorities, way):
    killed = killed_on(layout, authorities)
    assert len(killed) > 200
    assert broken(way(killed), phases_of(authorities), layout, authorities) == ()


@on_each_layout
@pytest.mark.parametrize(("first", "second"), list(itertools.product(WAYS.values(), repeat=2)),
                         ids=["on, on", "on, back", "back, on again", "back, round once more"])
def test_the_run_that_follows_can_be_killed_too(layout, first, second):
    """Some of the states, chosen by chance, then every state of what follows."""
    cluster = model.cluster_of(1, layout=LAYOUTS[layout].hosts[0].layout)
    some = random.Random(2026).sample(recovery.kill(PHASES, cluster, ALL), 4)
    again = [state for one in first(some) for state in recovery.kill(PHASES, cluster, ALL, one.start)]
    found = recovery.recover(second(again), PHASES, cluster, ALL)
    assert (found.broken, found.starts) == ([], len(again))


@on_and_back
@on_each_layout
def test_nothing_more_breaks_where_more_than_two_are_off_the_start(layout, way):
    """What recovery.py says of edges, tried: every host and object anywhere in its phase, by chance."""
    chance, cluster, start = random.Random(2026), LAYOUTS[layout], checker.start_of_rotation(LAYOUTS[layout], ALL)
    killed = []
    for phase in PHASES:
        walked = checker.walk_phase(phase, cluster, ALL, start)
        for _state in range(6):
            at = [chance.choice(recovery.places(actor)) for actor in walked.actors]
            killed.append(recovery.killed_at(walked, at))
        start = start._replace(standing=walked.change.wanted, world=walked.gate())
    assert max(len(one.positions) for one in killed) > recovery.OFF_START
    assert broken(way(killed), PHASES, layout) == ()


# --- no shorter way does ----------------------------------------------------------------------------------------------

# In which phase it must have been killed so that it shows, and the edge; where kubeadm shows another one, it stands beside.
DROPPED_BACK = {
    "trust": (("distrust", "issue: controller-manager(new) -> apiserver.client-ca(old)"),
              ("trust", "issue: signing file(old, new)")),
    "issue": (("issue", "distrust: front-proxy-client(old) -> apiserver.requestheader-ca(new)"),),
    "trust-clients": (("issue", "distrust: kubelet-client(old) -> apiserver.client-ca(new)"),),
    "serve": (("serve", "distrust: apiserver(old) -> controller-manager.server-ca(new)"),
              ("serve", "distrust: apiserver(old) -> admin.server-ca(new)")),
    "distrust": (("trust", "end: apiserver.client-ca"),),
    "distrust-clients": (("trust", "end: pods.server-ca"),),
    "renew-tokens": (("distrust", "distrust-tokens: pod-token(old) -> apiserver.service-accounts(new)"),),
    "distrust-tokens": (("trust", "end: apiserver.service-accounts"),),
}


def of_layout(expected, layout):
    return expected[min(list(LAYOUTS).index(layout), len(expected) - 1)]


@on_each_layout
@pytest.mark.parametrize("dropped", DROPPED_BACK)
def test_the_way_back_can_leave_no_phase_out(dropped, layout):
    rest = [phase for phase in PHASES if phase.name != dropped]
    where, edge = of_layout(DROPPED_BACK[dropped], layout)
    assert broken(turned_round(killed_in(where, layout)), rest, layout) == ((where, edge),)


RESUMED_AFTER = {
    "trust": ("issue: front-proxy-client(new) -> apiserver.requestheader-ca(old)",),
    "issue": ("distrust: signed(old) -> apiserver.client-ca(new)", "distrust: apiserver-etcd-client(old) -> etcd.client-ca(new)"),
    "trust-clients": ("serve: apiserver(new) -> kubelet.server-ca(old)",),
    "serve": ("distrust: kubelet-server(old) -> apiserver.kubelet-ca(new)",
              "distrust: apiserver-kubelet-client(old) -> kubelet.client-ca(new)"),
    "distrust": ("distrust-tokens: service-accounts(old) -> apiserver.service-accounts(new)",),
    "distrust-clients": ("distrust-tokens: pod-token(old) -> apiserver.service-accounts(new)",),
    "renew-tokens": ("distrust-tokens: pod-token(old) -> apiserver.service-accounts(new)",),
    "distrust-tokens": ("end: apiserver.service-accounts",),
}


@on_each_layout
@pytest.mark.parametrize("phase", RESUMED_AFTER)
def test_a_resumed_run_does_not_start_after_the_phase_in_which_it_was_killed(phase, layout):
    names = [one.name for one in PHASES]
    found, = broken(killed_in(phase, layout), PHASES[names.index(phase) + 1:], layout)
    assert found == (phase, of_layout(RESUMED_AFTER[phase], layout))


# From trust and issue on nothing else has moved yet.
@pytest.mark.parametrize("phase", ["trust-clients", "serve", "distrust", "distrust-clients", "renew-tokens", "distrust-tokens"])
@on_each_layout
def test_the_way_back_starts_at_the_first_phase_and_not_at_the_one_in_which_the_run_was_killed(phase, layout):
    names = [one.name for one in PHASES]
    (_where, edge), = broken(turned_round(killed_in(phase, layout)), PHASES[names.index(phase):], layout)
    assert edge.split(":")[0] in ("distrust", "distrust-clients", "distrust-tokens")
    assert "(old) -> " in edge


def test_to_undo_the_phases_backwards_is_no_way_back():
    """Pods would be restarted first, while controller-managers still publish the abandoned generation alone."""
    by_name = {phase.name: phase for phase in phases_of(AUTHORITIES)}
    undo = [by_name[name]._replace(name=f"undo {name}", trusts=(NEW,) if name.startswith("trust") else BOTH)
            for name in ("distrust-clients", "distrust", "serve", "trust-clients", "issue", "trust")]
    found, = broken(turned_round(killed_in("distrust-clients", "systemd", AUTHORITIES)), undo, "systemd", AUTHORITIES)
    assert found == ("distrust-clients", "undo serve: apiserver(new) -> pods.server-ca(old)")


def test_a_signer_that_is_of_the_wanted_generation_still_leaves_a_home_with_two(monkeypatch):
    """The way back finds it there, where the run was killed once it had widened the bundle."""
    move = model_change._move_signer
    monkeypatch.setattr(model_change, "_move_signer", lambda written, phase, several: move(written, phase, several=False))
    found, = broken(turned_round(killed_on("kubeadm")), PHASES, "kubeadm")
    assert found == ("trust", "trust: signing file(old, new)")


def test_what_is_told_names_the_kill_and_the_edge():
    rest = [phase for phase in PHASES if phase.name != "trust"]
    found, = recovery.recover(turned_round(killed_in("distrust", "systemd")), rest, model.DEFAULT, ALL).broken
    assert str(found) == (
        "killed in distrust: n2 half-way (after writing bundle kubernetes); then issue: n1 half-way (after writing controller-manager): "
        "controller-manager(new) of n1 -> apiserver.client-ca of n2 trusts (old)")
