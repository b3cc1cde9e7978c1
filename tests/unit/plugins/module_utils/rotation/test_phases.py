# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which phase is the first that hurts a client that never reloads: what is said of it is what the walk finds."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import (
    NEW,
    OLD,
    PREPARED_BEFORE,
    ROTATION,
    first_phase_that_hurts,
    phases_of,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import checker, model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model_steps import BEFORE, Actor, Stage

BOTH = (OLD, NEW)
LAYOUTS = {"systemd": model.DEFAULT, "kubeadm": model.cluster_of(2, layout=KUBEADM)}


def client(trusts, presents):
    """Return a client somewhere, as an administrator with a kubeconfig that no inventory knows."""
    trusted = {"admin.server-ca": (trusts,)}
    narrow = tuple((name, value) for name, values in trusted.items() for value in values if value != BOTH)
    return Actor("a client", (Stage(BEFORE, {"admin": (presents,)} if presents else {}, trusted, {}, narrow),))


def walked(trusts, presents, layout="systemd", authorities=AUTHORITIES):
    """Return the first violation of the rotation while the client is there; None where there is none."""
    start = checker.start_of_rotation(LAYOUTS[layout], authorities)._replace(also=(client(trusts, presents),))
    return next(iter(checker.walk(phases_of(authorities), LAYOUTS[layout], authorities, start).violations), None)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("trusts", "presents"), list(itertools.product([(OLD,), (NEW,), BOTH], ["", OLD, NEW])), ids=str)
def test_a_client_that_never_reloads_is_hurt_first_where_the_walk_first_breaks(trusts, presents, layout):
    found = walked(trusts, presents, layout)
    assert (found.phase if found else "") == first_phase_that_hurts(trusts, presents)
    assert not found or "a client" in (found.presented_by, found.verified_by)


def test_who_trusts_the_old_generation_alone_is_hurt_first_when_a_server_shows_the_new_one():
    found = walked((OLD,), OLD)
    assert (found.phase, found.presenter, found.generation, found.verified_by) == (PREPARED_BEFORE, "apiserver", NEW, "a client")
    assert first_phase_that_hurts((OLD,), "") == first_phase_that_hurts((OLD,), OLD) == PREPARED_BEFORE == "serve"


def test_who_presents_the_old_generation_alone_is_hurt_first_when_a_server_forgets_it():
    found = walked(BOTH, OLD)
    assert (found.phase, found.presented_by, found.verifier, found.trusts) == ("distrust", "a client", "apiserver.client-ca", (NEW,))
    assert first_phase_that_hurts(BOTH, OLD) == "distrust"


def test_who_trusts_both_and_presents_nothing_is_never_hurt():
    assert first_phase_that_hurts(BOTH, "") == ""
    assert first_phase_that_hurts(BOTH, "", phases_of((*AUTHORITIES, SERVICE_ACCOUNTS))) == ""


def test_before_the_cluster_is_prepared_no_client_of_the_old_generation_is_hurt():
    names = [phase.name for phase in ROTATION]
    prepared = ROTATION[:names.index(PREPARED_BEFORE)]
    assert first_phase_that_hurts((OLD,), OLD, prepared) == ""
    assert first_phase_that_hurts((OLD,), OLD, ROTATION[:len(prepared) + 1]) == PREPARED_BEFORE
