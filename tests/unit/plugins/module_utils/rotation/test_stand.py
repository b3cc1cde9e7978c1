# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an authority stands is read from what the hosts use."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import stands
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen


def one(observed, known, objects=None):
    """Return the stand of the authority etcd."""
    return stands(known, {"n1": observed}, objects or {}, ["etcd"])["etcd"]


def test_everything_on_the_newest_generation_is_steady():
    stand = one(seen.healthy(seen.host()), seen.known())
    assert (stand.old, stand.new, stand.pending) == (seen.OLD["etcd"], "etcd/coming", False)


def test_a_minted_generation_that_nobody_uses_is_pending():
    stand = one(seen.healthy(seen.host()), seen.known(new=True))
    assert (stand.old, stand.new, stand.pending) == (seen.OLD["etcd"], seen.NEW["etcd"], True)


def test_an_object_that_still_holds_the_old_generation_keeps_the_rotation_pending():
    observed = seen.healthy(seen.host())
    for row in [*observed["pairs"].values(), *observed["copies"].values()]:
        row["generation"] = row["generation"].replace("20250101", "20261122")
    for row in observed["bundles"].values():
        row["generations"] = [name.replace("20250101", "20261122") for name in row["generations"]]
    assert not one(observed, seen.known(new=True)).pending
    held = {"requestheader-client-ca-file": {"kube-system": [seen.OLD["etcd"], seen.NEW["etcd"]]}}
    assert one(observed, seen.known(new=True), held).pending


def test_three_generations_in_use_are_refused():
    observed = seen.healthy(seen.host())
    observed["bundles"]["etcd"]["generations"] += ["etcd/20240101T000000Z", seen.NEW["etcd"]]
    with pytest.raises(PkiError, match="use 3 generations"):
        one(observed, {"etcd/20240101T000000Z": {"age_days": 900}, **seen.known(new=True)})


def test_an_authority_without_a_generation_is_refused():
    with pytest.raises(PkiError, match=r"keeps no generation.*provision\.yml"):
        one(seen.healthy(seen.host()), {})
