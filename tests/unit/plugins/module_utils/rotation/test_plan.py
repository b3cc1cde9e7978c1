# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: what each phase does on a host, why, and that it never goes back."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION as PHASES
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Rotation, actions, predict, whole
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

PHASE = {phase.name: phase for phase in PHASES}


def walk(on, observed, rotation=seen.ROTATION, until=None):
    """Return the observation after the phases up to and including *until*."""
    for phase in PHASES:
        observed = predict(on, observed, actions(on, observed, phase, rotation), rotation, seen.NOW)
        if phase.name == until:
            break
    return observed


def test_trust_writes_every_bundle_and_opens_a_window():
    on = seen.host()
    done = actions(on, seen.healthy(on), PHASE["trust"], seen.ROTATION)
    assert done.bundles == {
        "kubernetes": [seen.OLD["kubernetes"], seen.NEW["kubernetes"]],
        "front-proxy": [seen.OLD["front-proxy"], seen.NEW["front-proxy"]],
        "apiserver-etcd": [seen.OLD["etcd"], seen.NEW["etcd"]],
        "etcd": [seen.OLD["etcd"], seen.NEW["etcd"]],
    }
    assert [one.process for one in done.restarts] == ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert done.window
    assert not done.leaves and not done.copies


def test_without_etcd_no_window_is_needed():
    on = seen.host()
    rotation = Rotation({name: seen.ROTATION.generations[name] for name in ("kubernetes", "front-proxy")}, (1, 37))
    for phase, todo in whole({"n1": on}, {"n1": seen.healthy(on)}, rotation, seen.NOW):
        assert not todo["n1"].window, phase.name
        assert {one.process for one in todo["n1"].restarts} <= {"kube-controller-manager", "kube-scheduler"}


def test_a_whole_rotation_restarts_each_process_as_often_as_the_reload_table_says():
    on = seen.host()
    plan = whole({"n1": on}, {"n1": seen.healthy(on)}, seen.ROTATION, seen.NOW)
    restarts = [one.process for _phase, todo in plan for one in todo["n1"].restarts]
    counts = {name: restarts.count(name) for name in set(restarts)}
    assert counts == {"etcd": 2, "kube-apiserver": 2, "kube-controller-manager": 3, "kube-scheduler": 3}
    assert [phase.name for phase, todo in plan if todo["n1"].window] == ["trust", "distrust"]


def test_issue_and_serve_move_each_leaf_once():
    on = seen.host()
    plan = whole({"n1": on}, {"n1": seen.healthy(on)}, seen.ROTATION, seen.NOW)
    leaves = [(phase.name, leaf) for phase, todo in plan for leaf in todo["n1"].leaves]
    assert ("serve", "apiserver") in leaves and ("issue", "etcd-peer") in leaves
    assert sorted(leaf for _phase, leaf in leaves) == sorted(seen.healthy(on)["pairs"])
    assert [(phase.name, todo["n1"].copies) for phase, todo in plan if todo["n1"].copies] == [("issue", ["signer"])]


def test_after_the_last_phase_only_the_new_generation_is_left():
    on = seen.host()
    after = walk(on, seen.healthy(on))
    new = {both["new"] for both in seen.ROTATION.generations.values()}
    assert {row["generation"] for row in after["pairs"].values()} == new
    bundles = {name: row["generations"] for name, row in after["bundles"].items()}
    assert bundles.pop("service-accounts") == [seen.OLD["service-accounts"]]
    assert all(len(held) == 1 and held[0] in new for held in bundles.values())


@pytest.mark.parametrize("reached", [phase.name for phase in PHASES])
def test_phases_run_again_do_nothing_and_never_go_back(reached):
    on = seen.host()
    after = walk(on, seen.healthy(on), until=reached)
    for phase in PHASES:
        assert actions(on, after, phase, seen.ROTATION).nothing, phase.name
        if phase.name == reached:
            break


def test_a_process_older_than_its_file_is_restarted_with_that_reason():
    on = seen.host()
    observed = walk(on, seen.healthy(on), until="trust")
    observed["processes"]["etcd"]["started"] = seen.NOW - 1
    done = actions(on, observed, PHASE["trust"], seen.ROTATION)
    assert [one.process for one in done.restarts] == ["etcd", "kube-apiserver"]
    assert "older than /e/ca.crt" in done.restarts[0].reasons[0]
    assert done.restarts[1].reasons == ["etcd beside it restarts, which it must not see"]


def test_a_process_that_is_down_is_started():
    on = seen.host()
    observed = seen.healthy(on)
    observed["processes"]["kube-apiserver"]["running"] = False
    done = actions(on, walk(on, observed, until="distrust-clients") | {"processes": observed["processes"]}, PHASE["trust"], seen.ROTATION)
    assert ("kube-apiserver", ["is not running"]) in [(one.process, one.reasons) for one in done.restarts]


def test_before_1_36_nothing_waits_for_a_reload_of_the_ca_file():
    on = seen.host()
    old_minor = seen.ROTATION._replace(minor=(1, 35))
    done = actions(on, seen.healthy(on), PHASE["trust"], old_minor)
    assert "kube-scheduler" in [one.process for one in done.restarts]


def test_every_action_has_a_reason():
    on = seen.host()
    for phase, todo in whole({"n1": on}, {"n1": seen.healthy(on)}, seen.ROTATION, seen.NOW):
        done = todo["n1"]
        changes = len(done.bundles) + len(done.leaves) + len(done.copies) + len(done.restarts)
        assert len(done.reasons) >= changes, phase.name
