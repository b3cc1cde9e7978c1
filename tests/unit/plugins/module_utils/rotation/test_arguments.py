# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phase's arguments: which hosts go in which wave, what they are given there, and what objects and signer must show."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION as PHASES
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import phase_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import actions, predict
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

HOSTS = {
    "n1": seen.host("n1"),
    "n2": seen.host("n2"),
    "n3": seen.host("n3", components=("etcd", "kube-apiserver")),
}


def planned(objects: t.Mapping[str, t.Any] | None = None, leader: str = "n1", down: str = "") -> dict[str, dict[str, t.Any]]:
    """Return each phase's arguments of a rotation of all authorities."""
    observed = {name: {**seen.healthy(on), "etcd_leader": name == leader} for name, on in HOSTS.items()}
    if down:
        observed[down]["processes"]["etcd"]["running"] = False
    found = {}
    for phase in PHASES:
        given = Arguments(HOSTS, seen.CLUSTER, observed, seen.ROTATION, seen.known(new=True), objects or {})
        found[phase.name] = phase_arguments(given, phase)
        observed = {name: predict(on, observed[name], actions(on, observed[name], phase, seen.ROTATION), seen.ROTATION, seen.NOW)
                    for name, on in HOSTS.items()}
    return found


def test_windows_come_one_at_a_time_and_the_etcd_leader_last():
    phases = planned(leader="n1")
    assert phases["trust"]["waves"] == [["n2"], ["n3"], ["n1"]]
    assert phases["distrust"]["waves"] == [["n2"], ["n3"], ["n1"]]


def test_a_host_that_a_killed_run_left_with_a_process_down_comes_first():
    assert planned(leader="n1", down="n1")["trust"]["waves"][0] == ["n1"]


def test_hosts_without_restarts_go_along_with_the_last_that_has_some():
    phases = planned()
    assert phases["issue"]["waves"] == [["n1"], ["n2", "n3"]]
    assert phases["serve"]["waves"] == [["n1", "n2", "n3"]]


def test_no_wave_has_two_hosts_with_restarts():
    for name, phase in planned().items():
        assert all(sum(bool(phase["todo"][host]["restarts"]) for host in wave) <= 1 for wave in phase["waves"]), name


def test_a_phase_that_changes_no_host_asks_none_unless_it_is_the_last():
    phases = planned()
    assert phases["trust-clients"]["waves"] == []
    assert phases["distrust-clients"]["waves"] == [["n1", "n2", "n3"]]


@pytest.mark.parametrize("name", HOSTS)
def test_canaries_of_both_generations_are_put_in_place_by_the_first_phase_alone(name):
    given = {phase: [one for one in arguments["todo"][name]["certificates"] if one.startswith("canary-")]
             for phase, arguments in planned().items()}
    assert len(given.pop("trust")) == 2 * 3
    assert not any(given.values())


def test_the_signer_is_asked_where_it_moves_and_where_the_old_one_ends():
    asked = {phase: [one["generation"] for one in arguments["objects"]["gate"] if one["ask"] == "signs"]
             for phase, arguments in planned().items()}
    new = seen.NEW["kubernetes"]
    assert {phase: signers for phase, signers in asked.items() if signers} == {"issue": [new], "distrust": [new]}


def test_objects_are_proved_where_control_planes_publish_and_where_they_are_changed():
    def proved(phases):
        return {phase for phase, arguments in phases.items() if any(one["ask"] != "signs" for one in arguments["objects"]["gate"])}

    assert proved(planned()) == {"trust", "distrust", "distrust-clients"}
    assert proved(planned({"cluster-info": {"kube-public": []}})) == {"trust", "trust-clients", "distrust", "distrust-clients"}


def test_what_the_controller_manager_publishes_is_proved_and_signatures_where_cluster_info_changes():
    phases = planned({"cluster-info": {"kube-public": []}})
    exact = {phase: [one["name"] for one in arguments["objects"]["gate"] if one["ask"] == "holds"] for phase, arguments in phases.items()}
    assert exact["trust"] == exact["distrust"] == ["kube-root-ca.crt", "token-secrets", "serving-trust-bundle"]
    assert set(exact["distrust-clients"]) == {*exact["trust"], "client-ca-file", "requestheader-client-ca-file", "cluster-info"}
    assert {phase for phase, arguments in phases.items() if {"ask": "signed"} in arguments["objects"]["gate"]} == {
        "trust-clients", "distrust-clients"}
