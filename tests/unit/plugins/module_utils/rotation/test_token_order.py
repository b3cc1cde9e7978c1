# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order holds with the service accounts' key in the run, and no phase, gate or presenter of it can be left out."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM, SYSTEMD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION, phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CONTROL_PLANE
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import check

ALL = (*AUTHORITIES, SERVICE_ACCOUNTS)
PHASES = phases_of(ALL)
SUBSETS = [(*subset, SERVICE_ACCOUNTS) for size in range(4) for subset in itertools.combinations(AUTHORITIES, size)]


def broken(phases, authorities=(SERVICE_ACCOUNTS,)):
    """The first violation as one line without the positions; empty where the list passes."""
    return "".join(f"{found.phase}: {found.presenter}({found.generation}) of {found.presented_by} -> {found.verifier}"
                   for found in check(phases, authorities=authorities))


@pytest.mark.parametrize("layout", [SYSTEMD, KUBEADM], ids=lambda layout: layout.name)
@pytest.mark.parametrize("authorities", SUBSETS, ids="+".join)
def test_the_rotation_holds_in_every_state_whatever_else_rotates(authorities, layout):
    assert check(PHASES, model.cluster_of(2, layout=layout), authorities) == []


def test_only_where_the_key_rotates_there_are_phases_more():
    assert phases_of(AUTHORITIES) == ROTATION
    assert [phase.name for phase in PHASES[len(ROTATION):]] == ["renew-tokens", "distrust-tokens"]


DROPPED = {
    "trust": "distrust: service-accounts(new) of n1 -> apiserver.service-accounts",
    "distrust": "distrust-tokens: service-accounts(old) of n1 -> apiserver.service-accounts",
    # Kubelets renewed nothing: what pods read again was still of the old key.
    "distrust-clients": "distrust-tokens: pod-token(old) of a pod that read its token in renew-tokens -> apiserver.service-accounts",
    # Volumes hold new tokens, but nobody waited until pods had read them.
    "renew-tokens": "distrust-tokens: pod-token(old) of a pod that read its token before -> apiserver.service-accounts",
    "distrust-tokens": "end: () of  -> apiserver.service-accounts",
}


@pytest.mark.parametrize("dropped", DROPPED)
def test_no_phase_can_be_dropped(dropped):
    assert broken([phase for phase in PHASES if phase.name != dropped]) == DROPPED[dropped]


def test_both_public_keys_must_be_there_before_anything_is_signed_with_the_new_one():
    alone = [phase._replace(side=CONTROL_PLANE) if phase.name == "trust" else phase for phase in PHASES]
    assert broken(alone, ALL) == "distrust: service-accounts(new) of n1 -> apiserver.service-accounts"


@pytest.mark.parametrize("layout", [SYSTEMD, KUBEADM], ids=lambda layout: layout.name)
def test_the_bundle_of_public_keys_cannot_be_left_behind(layout):
    forgets = layout._replace(bundles=tuple(row for row in layout.bundles if row.name != SERVICE_ACCOUNTS))
    violation, = check(PHASES, model.cluster_of(2, layout=forgets), (SERVICE_ACCOUNTS,))
    assert (violation.verifier, violation.generation, violation.trusts) == ("apiserver.service-accounts", "new", ("old",))


def moved(presenter, there):
    return [phase._replace(presents=(*(name for name in phase.presents if name != presenter), *([presenter] * (phase.name == there))))
            for phase in PHASES]


TOKENS = {SERVICE_ACCOUNTS: "distrust", "secret-tokens": "distrust", "projected-token": "distrust-clients", "pod-token": "renew-tokens"}


@pytest.mark.parametrize("presenter", TOKENS)
def test_no_presenter_can_be_left_behind(presenter):
    assert broken(moved(presenter, "nowhere")).startswith("distrust-tokens: ")


# Any window after ``trust`` would do for the key, and what Secrets hold may be of any key until the end.
HARMLESS = {
    *itertools.product((SERVICE_ACCOUNTS, "secret-tokens"), ("issue", "trust-clients", "serve")),
    ("secret-tokens", "distrust-clients"), ("secret-tokens", "renew-tokens"),
}


@pytest.mark.parametrize(("presenter", "there"), [
    (presenter, phase.name) for presenter, here in TOKENS.items() for phase in PHASES if phase.name != here])
def test_a_presenter_moves_in_another_phase_only_where_that_is_known_to_be_harmless(presenter, there):
    assert (broken(moved(presenter, there)) == "") == ((presenter, there) in HARMLESS)


def test_a_pod_that_starts_while_windows_roll_is_what_renewing_is_for():
    """Without such pods the kubelets could renew as soon as one API server signs with the new key."""
    early = moved("projected-token", "distrust")
    assert broken(early).startswith("distrust-tokens: pod-token(old)")
    cluster = model.DEFAULT._replace(happens=model.EVERYTHING - {model.POD_START})
    assert check(early, cluster, (SERVICE_ACCOUNTS,)) == []
