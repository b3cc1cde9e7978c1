# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients notice of windows: the flags that API servers lack, how long they are away, and whom drains spare."""

from __future__ import annotations

import re

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import GRACEFUL
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import prove
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import outages
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import phase_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Rotation, whole
from ansible_collections.rekey.kubernetes.plugins.modules import pki_host
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation.test_kubeadm import kubeadm_host

ROTATE = Rotation(seen.ROTATION.generations, (1, 37), graceful=True)
WITHOUT = {"--advertise-address": "192.0.2.1"}


def cluster(flags, *names):
    on = {name: kubeadm_host(name, "etcd", "kube_control_plane") for name in names}
    there = {name: seen.healthy(one) for name, one in on.items()}
    for one in there.values():
        one["processes"]["kube-apiserver"]["flags"] = dict(flags)
    return on, there


def flags_set(flags, rotation):
    on, there = cluster(flags, "cp1")
    return {phase.name: todo["cp1"].flags for phase, todo in whole(on, there, rotation, seen.NOW) if todo["cp1"].flags}


def test_an_api_server_gets_the_flags_that_it_lacks_once_and_in_its_first_window():
    assert flags_set(WITHOUT, ROTATE) == {"trust": {"kube-apiserver": GRACEFUL}}


def test_a_value_of_the_owner_s_is_left_alone():
    delay, grace = GRACEFUL
    assert flags_set({**WITHOUT, delay: "30s"}, ROTATE) == {"trust": {"kube-apiserver": {grace: GRACEFUL[grace]}}}


def test_nothing_is_set_unasked_or_where_flags_are_not_known():
    assert flags_set(WITHOUT, seen.ROTATION) == {}
    assert flags_set({}, ROTATE) == {}


def test_the_module_is_given_the_flags_beside_those_of_the_signer():
    on, there = cluster(WITHOUT, "cp1")
    args = Arguments(on, seen.CLUSTER, there, ROTATE, seen.known(new=True), {})
    given = phase_arguments(args, ROTATION[0])["todo"]["cp1"]
    assert given["flags"]["kube-apiserver"] == GRACEFUL
    assert set(given["flags"]) == {"kube-apiserver", "kube-controller-manager"}


def announced(flags, *names, rotation=seen.ROTATION, drains=False):
    on, there = cluster(flags, *names)
    return outages.lines(whole(on, there, rotation, seen.NOW), on, there, outages.Care(drains))


def test_each_window_tells_how_long_its_api_server_is_away():
    graceful = announced({**WITHOUT, **GRACEFUL}, "cp1", "cp2", "cp3")
    assert [text for text in graceful if "API server" in text] == [
        f"phase {phase}: the API server of cp{number} is away for up to about 60 s, and its kubelet may refuse logs and exec for 30 s more"
        for phase in ("trust", "distrust") for number in (1, 2, 3)]
    assert [text.partition(" restart")[0] for text in graceful if "kubelets" in text] == [
        f"phase {phase}: 3 kubelets" for phase in ("trust-clients", "distrust-clients")]


def test_the_only_api_server_is_an_outage_and_is_called_one():
    assert [text for text in announced(WITHOUT, "cp1") if "API server" in text] == [
        f"phase {phase}: the API server of cp1 is away for up to about 120 s, and there is no other: nobody reaches the API meanwhile"
        for phase in ("trust", "distrust")]


def test_flags_that_are_set_in_the_first_window_help_in_the_second():
    text = announced(WITHOUT, "cp1", "cp2", rotation=ROTATE)
    assert [re.findall(r"about (\d+) s", line) for line in text if "API server of" in line] == [["120"], ["120"], ["60"], ["60"]]


@pytest.mark.parametrize(("drains", "told"), [(False, True), (True, False)])
def test_lost_requests_are_announced_unless_clients_are_kept_away(drains, told):
    assert any("loses 2 or 3 requests" in text for text in announced(WITHOUT, "cp1", "cp2", drains=drains)) is told
    assert any("request of a pod" in text for text in announced(WITHOUT, "cp1", "cp2", drains=drains))
    assert not any("stopped without" in text for text in announced({**WITHOUT, **GRACEFUL}, "cp1", "cp2", drains=drains))


def test_clients_come_back_in_every_window_and_everywhere_in_the_first_phase():
    on, there = cluster(WITHOUT, "cp1", "cp2")
    on["w1"] = kubeadm_host("w1", "kube_node")
    there["w1"] = seen.healthy(on["w1"])
    args = Arguments(on, seen.CLUSTER, there, seen.ROTATION, seen.known(new=True), {})
    found = {phase.name: [name for name, todo in phase_arguments(args, phase)["todo"].items() if todo["undrain"]]
             for phase in (ROTATION[0], ROTATION[1])}
    assert found == {"trust": ["cp1", "cp2"], "issue": []}


def script(answers, asked):
    def run(argv, _stdin):
        asked.append(argv[0])
        return answers.get(argv[0], 0), "", "no such socket"
    return run


def test_a_drain_that_fails_stops_before_anything_is_stopped():
    with pytest.raises(pki_host.PkiError, match="drain: drain-it cp1: exit status 3: no such socket .*nothing was stopped"):
        pki_host.drain({"drain": ["drain-it", "cp1"], "drain_seconds": 0}, script({"drain-it": 3}, []))


def test_without_a_command_nothing_is_run():
    asked = []
    pki_host.drain({"drain": [], "drain_seconds": 3}, script({}, asked))
    assert asked == []
    assert prove.failure([], script({}, asked)) == ""


class Eye:
    """An observer of an idle host that counts what is run."""

    def __init__(self, answers):
        self.asked = []
        self.run = script(answers, self.asked)

    def observe(self, _now, everything=True):
        """Return a host with one ready endpoint."""
        assert everything
        return {"endpoints": {"etcd": {"ready": self.ready, "error": ""}}}

    ready = True


def test_clients_come_back_after_the_proof_and_before_the_balancer_is_asked():
    eye = Eye({})
    wanted = prove.Wanted([{"ask": "ready", "endpoint": "etcd"}], False, (["undrain"], ["ask-balancer"]))
    assert prove.until_seen(eye, wanted, 0).unmet == []
    assert eye.asked == ["undrain", "ask-balancer"]
    eye.asked.clear()
    eye.ready = False
    assert prove.until_seen(eye, wanted, 0).unmet == ["etcd is not ready: no answer"]
    assert eye.asked == []


def test_the_balancer_is_not_asked_before_clients_may_come_back():
    eye = Eye({"undrain": 1})
    assert prove.until_seen(eye, prove.Wanted([], False, (["undrain"], ["ask-balancer"])), 0).unmet == [
        "undrain: exit status 1: no such socket"]
    assert eye.asked == ["undrain"]
