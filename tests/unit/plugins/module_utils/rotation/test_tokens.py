# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service accounts' key pair in the plan: three windows, tokens renewed by kubelets, canaries of both keys, who is left behind."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import TOKEN_READ_SECONDS
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import arguments, report
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checks import Look, problems
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import phase_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Rotation, predict, whole
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import SIGNED_SECRETS, stands
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation.test_kubeadm import ON, restarts

KEY = "service-accounts"
OLD, NEW = seen.OLD[KEY], seen.NEW[KEY]
ALONE = Rotation({KEY: seen.WITH_TOKENS.generations[KEY]}, (1, 37))
PHASE = {phase.name: phase for phase in phases_of(seen.WITH_TOKENS.generations)}


def observed():
    return {name: seen.healthy(on) for name, on in ON.items()}


def given(phase, rotation=seen.WITH_TOKENS, there=None):
    args = Arguments(ON, seen.CLUSTER, there or observed(), rotation, seen.known(new=True), {})
    return phase_arguments(args, PHASE[phase])


def test_the_key_goes_through_the_windows_that_are_there_and_one_more():
    plan = {phase.name: todo["cp1"] for phase, todo in whole(ON, observed(), seen.WITH_TOKENS, seen.NOW)}
    assert {name: todo.bundles[KEY] for name, todo in plan.items() if KEY in todo.bundles} == {
        "trust": [OLD, NEW], "distrust-tokens": [NEW]}
    assert [name for name, todo in plan.items() if KEY in todo.copies] == ["distrust"]
    assert restarts(plan["trust"]) == restarts(plan["distrust"]) == ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert restarts(plan["distrust-tokens"]) == ["kube-apiserver"]


def test_alone_it_restarts_api_servers_kubelets_and_once_what_signs():
    plan = {phase.name: todo for phase, todo in whole(ON, observed(), ALONE, seen.NOW)}
    assert {name: restarts(todo["cp1"]) for name, todo in plan.items() if restarts(todo["cp1"])} == {
        "trust": ["kube-apiserver"], "distrust": ["kube-apiserver", "kube-controller-manager"], "distrust-clients": ["kubelet"],
        "distrust-tokens": ["kube-apiserver"]}
    assert {name: restarts(todo["w1"]) for name, todo in plan.items() if restarts(todo["w1"])} == {"distrust-clients": ["kubelet"]}


def test_a_kubelet_whose_tokens_are_new_is_left_alone():
    there = observed()
    there["w1"]["tokens"] = {"/pod/token": NEW, "/foreign/token": ""}
    plan = {phase.name: todo for phase, todo in whole(ON, there, ALONE, seen.NOW)}
    assert not [name for name, todo in plan.items() if restarts(todo["w1"])]


def test_without_the_key_nothing_of_it_is_touched():
    for _phase, todo in whole(ON, observed(), seen.ROTATION, seen.NOW):
        assert KEY not in todo["cp1"].bundles and KEY not in todo["cp1"].copies


def test_an_api_server_that_is_older_than_the_key_is_restarted():
    there = observed()
    there["cp1"]["copies"][KEY]["changed_at"] = seen.STARTED + 1
    first = whole(ON, there, ALONE, seen.NOW)[0][1]["cp1"]
    assert [reason for reason in first.reasons if "is older than /etc/kubernetes/pki/sa.key" in reason]


def tokens_asked(phase, there=None):
    todo = given(phase, there=there)["todo"]
    return {name: one for name in ON for one in todo[name]["gate"] if one["ask"] == "tokens"}


def test_volumes_are_looked_at_where_kubelets_renew_and_pods_get_time_from_when_no_old_token_was_left():
    assert tokens_asked("distrust-clients") == dict.fromkeys(ON, {"ask": "tokens", "generations": [OLD], "until": 0.0})
    there = observed()
    for one in there.values():
        one["tokens"] = dict.fromkeys(one["tokens"], NEW)
    assert {one["until"] for one in tokens_asked("renew-tokens", there).values()} == {seen.NOW + TOKEN_READ_SECONDS}
    assert not tokens_asked("distrust-tokens", there) and not tokens_asked("trust")


def test_every_host_with_pods_waits_at_once_before_the_first_window_of_the_last_phase():
    assert given("renew-tokens")["waves"] == [["cp1", "w1"]]
    assert given("distrust-tokens")["waves"] == [["cp1", "w1"]]  # the control plane in its window, with it what only proves


def test_both_keys_come_as_canaries_to_api_servers_alone_and_with_the_first_phase():
    args = Arguments(ON, seen.CLUSTER, observed(), ALONE, seen.known(new=True), {})
    staged = arguments.stage_arguments(args)
    copies = {one["name"]: one for one in staged["stage"]["cp1"]["copies"]}
    assert set(copies) == {KEY, f"canary-{OLD}", f"canary-{NEW}"}
    assert not [one for one in copies.values() if "public_path" in one]
    assert copies[f"canary-{OLD}"]["key_path"] == "/etc/kubernetes/pki/.rekey/canary-service-accounts-20250101T000000Z.key"
    assert staged["stage"]["w1"]["copies"] == [] and staged["authorities"] == staged["signers"] == []
    assert given("trust", ALONE)["todo"]["cp1"]["copies"] == [f"canary-{OLD}", f"canary-{NEW}"]
    assert given("distrust", ALONE)["todo"]["cp1"]["copies"] == [KEY]


def asked(phase, there):
    gate = given(phase, ALONE, there)["todo"]["cp1"]["gate"]
    return {one["generation"]: one["ask"] for one in gate if one["ask"] in ("accepts", "refuses")}


def test_the_api_server_accepts_both_keys_until_it_has_forgotten_the_old_one():
    there = observed()
    found = []
    for phase, todo in whole(ON, there, ALONE, seen.NOW):
        found.append((phase.name, asked(phase.name, there)))
        there = {name: predict(ON[name], there[name], todo[name], ALONE, seen.NOW) for name in ON}
    assert [one for _name, one in found[:-1]] == [{OLD: "accepts", NEW: "accepts"}] * 7
    assert found[-1] == ("distrust-tokens", {OLD: "refuses", NEW: "accepts"})


def test_the_run_ends_with_the_last_phase_of_its_own_list():
    assert given("distrust-tokens")["phase"] == {
        "name": "distrust-tokens", "purpose": PHASE["distrust-tokens"].purpose, "number": 8, "of": 8, "last": True}
    assert not given("distrust-clients")["phase"]["last"]
    assert given("distrust-clients", seen.ROTATION)["phase"]["last"]


def test_a_cut_short_rotation_of_the_key_goes_on_unasked():
    steady = stands(seen.known(), observed(), {}, AUTHORITIES)
    assert KEY not in steady
    assert stands(seen.known(new=True), observed(), {}, AUTHORITIES)[KEY].pending


def test_tokens_in_secrets_keep_nothing_pending_and_are_told_of():
    objects = {SIGNED_SECRETS: {"default/robot": [OLD], "default/young": [NEW], "default/foreign": [""]}}
    there = observed()
    there["cp1"]["bundles"][KEY]["generations"], there["cp1"]["copies"][KEY]["generation"] = [NEW], NEW
    assert not stands(seen.known(new=True), there, objects, [KEY])[KEY].pending
    stand = stands(seen.known(new=True), observed(), objects, [KEY])
    told = report.tokens_left(stand, objects, knows_kubelets=True)
    assert len(told) == 2 and told[0].startswith("token of Secret default/robot: ends with distrust-tokens")
    assert report.tokens_left({}, objects, knows_kubelets=False) == []


def test_where_no_kubelet_is_known_somebody_else_must_renew_the_tokens_of_pods():
    stand = stands(seen.known(new=True), observed(), {}, [KEY])
    assert report.tokens_left(stand, {}, knows_kubelets=False)[-1].startswith("no kubelet is in the inventory")


@pytest.mark.parametrize(("authorities", "refused"), [(AUTHORITIES, False), ((KEY,), True)])
def test_a_foreign_public_key_matters_only_where_the_key_rotates(authorities, refused):
    there = observed()
    there["cp1"]["bundles"][KEY]["generations"].append("unknown sha256:0123")
    on = {"cp1": ON["cp1"]}
    look = Look({"cp1": there["cp1"]}, seen.NOW, seen.NOW, ["cp1"])
    found = problems(on, look, seen.known(), stands(seen.known(), there, {}, authorities))
    assert bool([one for one in found if "sa.pub: holds a foreign CA or key" in one]) == refused


def test_hosts_that_use_another_key_are_not_provisioned_over():
    args = Arguments({"n1": seen.host()}, seen.CLUSTER, {"n1": seen.healthy(seen.host())}, seen.ROTATION,
                     {**seen.known(), NEW: {**seen.known()[OLD]}}, {})
    with pytest.raises(PkiError, match="service-accounts: hosts use service-accounts/20250101T000000Z"):
        arguments.provision_arguments(args, AUTHORITIES)


def test_a_host_is_provisioned_with_the_key_and_a_bundle_of_its_public_half():
    args = Arguments({"n1": seen.host()}, seen.CLUSTER, {"n1": seen.healthy(seen.host())}, seen.ROTATION, seen.known(), {})
    host = arguments.provision_arguments(args, AUTHORITIES)["provision"]["n1"]
    bundle = next(one for one in host["bundles"] if one["name"] == KEY)
    assert bundle == {"name": KEY, "path": "/k/service-accounts.pub", "certificates": [f"PEM of {OLD}"], "state": "exact",
                      "format": "public-keys"}
    assert next(one for one in host["copies"] if one["name"] == KEY)["key_path"] == "/k/service-accounts.key"
