# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotations of kubeadm clusters of other shapes: default flags behind a drained balancer, twice in a row; a single control plane."""

from __future__ import annotations

import datetime
import re
import typing as t
from pathlib import Path

import pytest

import playing
from kubeadm_bed import cluster, nodes, topology
from kubeadm_bed.commands import inside
from kubeadm_rotation import LeaveOut, authority_keys, bed_command, boot, kubelets_issuers, problems, ready, unserved
from plays import Play, changes

ADOPT, JOIN = "rekey.kubernetes.adopt", "rekey.kubernetes.join_node"
SECOND, ISSUED, LATE = topology.node("cp2"), topology.node("w2"), topology.node("w3")
ALLOWED, UNAUTHORIZED = "200", "401"
ADMIN = f"TCP:{topology.BALANCER.address}:{topology.ADMIN_PORT}"


def balancer_says(state: str) -> list[str]:
    """Return a command that gives a server of the balancer this state; it says nothing when all is well."""
    return ["sh", "-c", f"! echo 'set server api/{{{{ inventory_hostname }}}} state {state}' | socat - {ADMIN} | grep ."]


DRAINED: dict[str, t.Any] = {
    "pki_rotate_drain_command": balancer_says("drain"), "pki_rotate_undrain_command": balancer_says("ready"),
    "pki_rotate_workloads": "restart"}


def rotate(bed: nodes.Bed, play: Play, **options: t.Any) -> None:
    """Rotate all authorities; the webhook's owner gives it a new certificate once the new generation signs."""
    play(playing.ROTATE, pki_rotate_again=True, pki_rotate_until="prepared", **options)
    bed_command(bed, "webhook-certificate")
    play(playing.ROTATE, pki_rotate_accept="[*]", **options)


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def token(bed: nodes.Bed) -> str:
    """Have a token made for a service account, signed with the key that signs now."""
    return cluster.kubectl(nodes.nodes_of(bed)[0], "-n", "rekey-bed", "create", "token", "client", "--duration=3h").strip()


def answers(bed: nodes.Bed, bearer: str) -> set[str]:
    """Return the status with which the API servers answer whoever has this token, each asked directly."""
    ask = ("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {bearer}")
    return {inside(one.container, *ask, f"https://{one.address}:{topology.API_PORT}/api/v1/namespaces/rekey-bed/configmaps/target")
            for one in nodes.nodes_of(bed) if one.control_plane}


def keys_of_service_accounts(bed: nodes.Bed) -> set[str]:
    """Return the public keys with which the control planes judge tokens, as openssl tells the private ones."""
    return {inside(one.container, "openssl", "pkey", "-in", "/etc/kubernetes/pki/sa.key", "-pubout")
            for one in nodes.nodes_of(bed) if one.control_plane}


class TestDefaultFlags:
    """Three control planes as kubeadm makes them, without the two shutdown flags."""

    @pytest.fixture(name="bed", scope="class")
    def fixture_bed(self, leave_out: LeaveOut) -> t.Iterator[nodes.Bed]:
        yield from boot(leave_out, "--flags", "default")

    def test_a_drained_balancer_s_clients_lose_nothing(self, bed: nodes.Bed, play: Play, tmp_path: Path) -> None:
        play(ADOPT)
        assert "loses 2 or 3 requests" in play(playing.ROTATE, "--check", pki_rotate_again=True).log.read_text(encoding="utf-8")
        assert "loses 2 or 3 requests" not in play(
            playing.ROTATE, "--check", pki_rotate_again=True, **DRAINED).log.read_text(encoding="utf-8")
        with playing.load(bed, tmp_path) as finish:
            rotate(bed, play, **DRAINED)
            load = finish()
        assert unserved(bed, load, graceful=False) == []
        assert problems(bed, now()) == []

    def test_again_with_the_flags_set_on_the_way_and_the_service_accounts_key(self, bed: nodes.Bed, play: Play, tmp_path: Path) -> None:
        before, old = keys_of_service_accounts(bed), token(bed)
        assert answers(bed, old) == {ALLOWED}
        with playing.load(bed, tmp_path) as finish:
            rotate(bed, play, pki_rotate_graceful_shutdown=True, pki_rotate_service_accounts=True, **DRAINED)
            load = finish()
        assert unserved(bed, load, graceful=False) == []
        after = keys_of_service_accounts(bed)
        assert len(before) == len(after) == 1
        assert before != after
        assert (answers(bed, old), answers(bed, token(bed))) == ({UNAUTHORIZED}, {ALLOWED})
        for one in (node for node in nodes.nodes_of(bed) if node.control_plane):
            said = inside(one.container, "cat", "/etc/kubernetes/manifests/kube-apiserver.yaml")
            assert "--shutdown-delay-duration=5s" in said
            assert "--shutdown-watch-termination-grace-period=5s" in said
        assert problems(bed, now()) == []


class TestSingleControlPlane:
    """One control plane: an outage, which the plan announces and the rotation keeps to. Kubelets ask for their serving certificates."""

    @pytest.fixture(name="bed", scope="class")
    def fixture_bed(self, leave_out: LeaveOut) -> t.Iterator[nodes.Bed]:
        yield from boot(leave_out, "--control-planes", "1", "--workers", "1", "--kubelet-serving", "bootstrap")

    def test_kubelets_get_the_serving_certificates_that_they_ask_for(self, bed: nodes.Bed, play: Play) -> None:
        play(ADOPT)
        assert kubelets_issuers(bed) == {"cp1": "", "w1": ""}
        play(JOIN)
        assert kubelets_issuers(bed) == {"cp1": "issuer=CN=kubernetes", "w1": "issuer=CN=kubernetes"}

    def test_a_worker_joins_with_a_certificate_that_was_issued_to_it(self, bed: nodes.Bed, play: Play) -> None:
        bed_command(bed, "add", ISSUED.name)
        play(JOIN, pki_join_method="issued")
        assert ready(bed)[ISSUED.name] == "True"
        assert authority_keys(ISSUED) == []

    def test_the_outage_is_announced_and_kept(self, bed: nodes.Bed, play: Play, tmp_path: Path) -> None:
        said = play(playing.ROTATE, "--check", pki_rotate_again=True).log.read_text(encoding="utf-8")
        announced = [int(seconds) for seconds in re.findall(
            r"the API server of cp1 is away for up to about (\d+) s, and there is no other", said)]
        assert len(announced) == 2
        with playing.load(bed, tmp_path) as finish:
            rotate(bed, play)
            load = finish()
        (direct,) = load["direct"].values()
        assert 0 < direct["seconds_away"] <= sum(announced)
        assert problems(bed, now()) == []

    def test_a_second_control_plane_and_a_worker_join(self, bed: nodes.Bed, play: Play) -> None:
        bed_command(bed, "add", SECOND.name)
        bed_command(bed, "add", LATE.name)
        assert changes(play(JOIN, "--check"), SECOND.name) > 0
        play(JOIN)
        assert ready(bed) == dict.fromkeys(("cp1", "cp2", "w1", "w2", "w3"), "True")
        assert authority_keys(LATE) == []
        assert problems(bed, now()) == []
        assert changes(play(JOIN)) == 0
