# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gate opens only when everything it expects is seen, and says what is missing."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION as PHASES
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import actions, predict
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen


def shown(on, expected, published):
    """Return the observation in which every endpoint shows what is on disk."""
    for endpoint in gates.endpoints(on):
        view = expected["endpoints"][endpoint.name]
        view["serves"] = expected["pairs"][endpoint.serves]["generation"] if endpoint.serves else ""
        held = [name for authority, bundle in endpoint.judges if bundle in expected["bundles"] and authority != "service-accounts"
                for name in expected["bundles"][bundle]["generations"]]
        view["offers"] = sorted(held)
        for authority, bundle in endpoint.judges:
            holds = [seen.WITH_TOKENS.generations[authority][one] for one in published] if bundle == gates.PUBLISHED else \
                expected["bundles"][bundle]["generations"]
            for name in seen.WITH_TOKENS.generations[authority].values():
                view["canaries"][name] = "accepted" if name in holds else "refused"
    return expected


def after(on, phase_name):
    """Return what is on a host's disk after a phase."""
    observed = seen.healthy(on)
    for phase in PHASES:
        observed = predict(on, observed, actions(on, observed, phase, seen.ROTATION), seen.ROTATION, seen.NOW)
        if phase.name == phase_name:
            return observed
    raise KeyError(phase_name)


@pytest.mark.parametrize("phase", [phase.name for phase in PHASES])
def test_a_gate_opens_when_every_endpoint_shows_what_is_on_disk(phase):
    on = seen.host()
    published = gates.published_after(PHASES, phase)
    expected = after(on, phase)
    gate = gates.host_gate(on, expected, seen.ROTATION, published)
    assert len(gate) > 15
    assert gates.unmet(gate, shown(on, expected, published)) == []


@pytest.mark.parametrize(("change", "text"), [
    (lambda view: view["endpoints"]["etcd"]["canaries"].update({seen.NEW["etcd"]: "refused"}),
     "canary of etcd/20261122T000000Z is refused"),
    (lambda view: view["endpoints"]["etcd-peer"]["canaries"].pop(seen.NEW["etcd"]), "is not asked"),
    (lambda view: view["endpoints"]["kube-apiserver"]["canaries"].update({seen.OLD["front-proxy"]: "error: HTTP 503"}), "error: HTTP 503"),
    (lambda view: view["endpoints"]["kube-apiserver"].update(serves=seen.NEW["kubernetes"]), "kube-apiserver serves"),
    (lambda view: view["endpoints"]["kube-apiserver"].update(offers=[seen.OLD["kubernetes"]]), "kube-apiserver offers"),
    (lambda view: view["endpoints"]["kube-scheduler"].update(ready=False), "kube-scheduler is not ready"),
    (lambda view: view["processes"]["etcd"].update(started=seen.NOW - 1), "etcd is older than /e/ca.crt"),
    (lambda view: view["processes"]["kube-controller-manager"].update(running=False), "kube-controller-manager does not run"),
])
def test_a_gate_stays_shut_and_says_why(change, text):
    on = seen.host()
    expected = after(on, "trust")
    gate = gates.host_gate(on, expected, seen.ROTATION)
    view = shown(on, expected, ("old", "new"))
    change(view)
    unmet = gates.unmet(gate, view)
    assert [one for one in unmet if text in one], unmet


def test_the_last_gate_wants_the_old_generation_refused_everywhere():
    on = seen.host()
    gate = gates.host_gate(on, after(on, "distrust-clients"), seen.ROTATION, gates.published_after(PHASES, "distrust-clients"))
    refused = {(one["endpoint"], one["generation"]) for one in gate if one["ask"] == "refuses"}
    assert refused == {
        ("etcd", seen.OLD["etcd"]), ("etcd-peer", seen.OLD["etcd"]), ("kube-apiserver", seen.OLD["kubernetes"]),
        ("kube-apiserver", seen.OLD["front-proxy"]), ("kube-controller-manager", seen.OLD["kubernetes"]),
        ("kube-scheduler", seen.OLD["kubernetes"]),
    }


def test_old_tokens_keep_a_gate_shut_and_pods_need_time_to_read_new_ones():
    gate = [{"ask": "tokens", "generations": [seen.OLD["service-accounts"]], "until": 100.0}]
    held = {"/pod/token": seen.NEW["service-accounts"], "/foreign/token": ""}
    assert gates.unmet(gate, {"tokens": held, "clock": 100.0}) == []
    assert "within 1 s" in gates.unmet(gate, {"tokens": held, "clock": 99.0})[0]
    assert "/pod/token" in gates.unmet(gate, {"tokens": {**held, "/pod/token": seen.OLD["service-accounts"]}, "clock": 100.0})[0]


def test_a_process_is_not_older_than_a_key_that_it_reads_at_its_start():
    on = seen.host()
    observed = seen.healthy(on)
    gate = [one for one in gates.host_gate(on, observed, seen.WITH_TOKENS) if one["ask"] == "fresh"]
    assert gates.unmet(gate, observed) == []
    observed["copies"]["service-accounts"]["changed_at"] = seen.STARTED + 1
    assert gates.unmet(gate, observed) == [f"{name} is older than /k/service-accounts.key"
                                           for name in ("kube-apiserver", "kube-controller-manager")]


def test_objects():
    wanted = [seen.OLD["kubernetes"], seen.NEW["kubernetes"]]
    exactly = [{"ask": "holds", "name": "kube-root-ca.crt", "generations": wanted}]
    at_least = [{"ask": "holds_at_least", "name": "kube-root-ca.crt", "generations": wanted[1:]}]
    both = {"objects": {"kube-root-ca.crt": {"default": wanted, "other": list(reversed(wanted))}}}
    assert gates.unmet(exactly, both) == [] and gates.unmet(at_least, both) == []
    one_short = {"objects": {"kube-root-ca.crt": {"default": wanted, "other": wanted[:1]}}}
    assert "kube-root-ca.crt in other holds" in gates.unmet(exactly, one_short)[0]
    assert gates.unmet(at_least, one_short) != []


def test_a_file_with_an_old_leaf_is_not_clean():
    gate = [{"ask": "clean", "generations": [seen.OLD["etcd"]]}]
    assert gates.unmet(gate, {"files": {"/k/x": [seen.NEW["etcd"]]}}) == []
    assert "/k/x" in gates.unmet(gate, {"files": {"/k/x": [seen.OLD["etcd"], seen.NEW["etcd"]]}})[0]


def test_a_pod_may_have_a_foreign_ca_in_a_file_of_that_name():
    wanted = {"ask": "volumes", "generations": [seen.OLD["kubernetes"], seen.NEW["kubernetes"]], "exact": True}
    foreign = "unknown sha256:00ff"
    assert gates.unmet([wanted], {"volumes": {"/db/ca.crt": [foreign]}}) == []
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": [*wanted["generations"], foreign]}}) == []
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": [seen.OLD["kubernetes"], foreign]}}) != []
    assert gates.unmet([wanted], {"volumes": {"/pod/ca.crt": []}}) != []
