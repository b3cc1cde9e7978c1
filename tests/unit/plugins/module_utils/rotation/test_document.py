# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan as a document: it has the form that its schema promises, and says of every phase what the plan does in it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import plan, report
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.document import document
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation.test_kubeadm import ON as KUBEADM
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation.test_rollback import forward

SCHEMA = json.loads((Path(__file__).parents[5] / "docs" / "plan.schema.json").read_text(encoding="utf-8"))
REST = {"nothing_to_do": False, "problems": [], "stragglers": [], "workloads": [], "text": []}
SYSTEMD = {name: seen.host(name) for name in ("n1", "n2", "n3")}


def made(on, rotation=seen.ROTATION, **flags):
    """Return the document and the plan that it tells of."""
    observed = {name: seen.healthy(host) for name, host in on.items()}
    for one in observed.values():
        one["processes"].get("kube-apiserver", {}).update(flags=flags)
    args = Arguments(on, seen.CLUSTER, observed, rotation, seen.known(new=True), {})
    phases = plan.whole(on, observed, rotation, seen.NOW)
    return document(args, phases, dict.fromkeys(rotation.generations, False)), phases


@pytest.mark.parametrize("on", [SYSTEMD, KUBEADM], ids=["systemd", "kubeadm"])
def test_it_has_the_form_that_the_schema_promises(on):
    found, _phases = made(on)
    jsonschema.validate({**found, **REST}, SCHEMA)
    jsonschema.validate({**REST, "nothing_to_do": True}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, **REST, "surprise": 1}, SCHEMA)


@pytest.mark.parametrize("on", [SYSTEMD, KUBEADM], ids=["systemd", "kubeadm"])
def test_it_says_what_every_phase_does(on):
    found, phases = made(on)
    assert len(found["phases"]) == len(phases)
    for told, (phase, todo) in zip(found["phases"], phases):
        assert told["name"] == phase.name
        assert {name: (set(one["bundles"]), one["certificates"], set(one["restarts"])) for name, one in told["hosts"].items()} == {
            name: (set(one.bundles), one.leaves, {restart.process for restart in one.restarts})
            for name, one in todo.items() if not one.nothing}
    assert {one["name"] for one in found["certificates"]} >= {"apiserver", "etcd-server", "front-proxy-client"}
    assert found["restarts"]["etcd"] == 2 * sum("etcd" in host.components for host in on.values())


@pytest.mark.parametrize("on", [SYSTEMD, KUBEADM], ids=["systemd", "kubeadm"])
@pytest.mark.parametrize("done", range(len(ROTATION) + 1))
def test_a_run_that_goes_on_late_has_a_plan_too(on, done):
    observed = forward(on, dict.fromkeys(on, done))
    args = Arguments(on, seen.CLUSTER, observed, seen.ROTATION, seen.known(new=True), {})
    found = document(args, plan.whole(on, observed, seen.ROTATION, seen.NOW), dict.fromkeys(seen.ROTATION.generations, True))
    jsonschema.validate({**found, **REST}, SCHEMA)
    text = report.document_lines(found)
    assert ("new leaves: none" in text) == (not found["certificates"])
    assert any(line.startswith("expected time: about") for line in text)


def test_its_seconds_are_those_of_its_windows():
    found, _phases = made(SYSTEMD)
    seconds = {phase["name"]: phase["seconds"] for phase in found["phases"]}
    assert seconds["trust"] == seconds["distrust"] > seconds["issue"] > seconds["serve"] > 0
    assert found["seconds"] == sum(seconds.values())


def test_an_api_server_that_gets_its_shutdown_flags_is_away_for_longer_only_once():
    on = {"cp1": KUBEADM["cp1"]}
    found, _phases = made(on, seen.ROTATION._replace(graceful=True), **{"--secure-port": "6443"})
    away = [one["api_server_away_seconds"] for phase in found["phases"] for one in phase["hosts"].values() if one["window"]]
    assert len(away) == 2
    assert away[0] > away[1] > 0
