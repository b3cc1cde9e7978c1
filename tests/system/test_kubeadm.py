# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster that plain kubeadm made is adopted and rotated under load, while a node joins. The tests build on one another, in order."""

from __future__ import annotations

import collections
import json
import re
import typing as t
from pathlib import Path

import pytest

import judge
import judge_kubeadm
import playing
from kubeadm_bed import cluster, nodes, topology
from kubeadm_bed.commands import inside, root_of
from kubeadm_rotation import LeaveOut, authority_keys, bed_command, boot, counts, on_nodes, problems, ready, unserved
from loopback_bed.progress import Progress
from plays import Play, changes

ADOPT, JOIN = "rekey.kubernetes.adopt", "rekey.kubernetes.join_node"
MEANWHILE, AFTERWARDS, FOURTH = topology.node("w3"), topology.node("w4"), topology.node("cp4")


@pytest.fixture(name="bed", scope="module")
def fixture_bed(leave_out: LeaveOut) -> t.Iterator[nodes.Bed]:
    yield from boot(leave_out)


def test_adopting_changes_nothing_on_the_nodes(bed: nodes.Bed, play: Play) -> None:
    before = on_nodes(bed)
    assert len(before) > 60
    play(ADOPT)
    assert on_nodes(bed) == before
    kept = judge.generations(bed.directory / "authority")
    assert {name: len(found) for name, found in kept.items()} == {"kubernetes": 1, "etcd": 1, "front-proxy": 1}
    assert changes(play(ADOPT)) == 0


def test_check_mode_announces_the_rotation_and_touches_nothing(bed: nodes.Bed, play: Play) -> None:
    before = on_nodes(bed)
    said = play(playing.ROTATE, "--check", pki_rotate_again=True).log.read_text(encoding="utf-8")
    assert "restarts in all: etcd 6x, kube-apiserver 6x" in said
    assert "the API server of cp1 is away for up to about" in said
    assert "5 kubelets restart, workers' up to 10 at a time after the first" in said
    assert on_nodes(bed) == before


def test_all_authorities_rotate_under_load_while_a_node_joins(bed: nodes.Bed, play: Play, tmp_path: Path) -> None:
    with playing.load(bed, tmp_path) as finish:
        # Restarted, not waited for: kube-proxy would take six minutes twice.
        first = play(playing.ROTATE, succeeds=False, pki_rotate_again=True, pki_rotate_workloads="restart")
        assert "stopped at prepared, before serve" in first.log.read_text(encoding="utf-8")
        bed_command(bed, "add", MEANWHILE.name)
        play(JOIN)
        # Its owner gives the webhook a new certificate once the new generation signs, which its pod may read a minute later only; the end
        # of the rotation asks for it. Whoever else is left may be hurt.
        bed_command(bed, "webhook-certificate")
        accepted = "[?kind=='certificate' || kind=='workload' || kind=='server']"
        second = play(playing.ROTATE, pki_rotate_workloads="restart", pki_rotate_accept=accepted)
        load = finish()
    print(json.dumps({"counts": counts(load), "first": first.summary, "second": second.summary}, indent=1))
    assert all(client["requests"] for client in (*load["clients"].values(), *load["direct"].values()))
    assert unserved(bed, load) == []
    restarts = collections.Counter(first.summary["restarts"]) + collections.Counter(second.summary["restarts"])
    # One window in which trust comes and one in which it goes, on each host; one restart in each for the kubelets.
    assert {name: restarts[name] for name in ("etcd", "kube-apiserver")} == {"etcd": 6, "kube-apiserver": 6}
    assert [one["kind"] for one in second.summary["stragglers"] if one["kind"] == "server"] == []
    assert problems(bed, second.summary["ended"]) == []


def test_the_node_that_joined_meanwhile_is_one_of_them(bed: nodes.Bed) -> None:
    assert ready(bed) == {one.name: "True" for one in nodes.nodes_of(bed)}
    assert MEANWHILE in nodes.nodes_of(bed)
    assert authority_keys(MEANWHILE) == []


def test_a_finished_rotation_says_that_nothing_is_to_do(bed: nodes.Bed, play: Play) -> None:
    before = on_nodes(bed)
    played = play(playing.ROTATE)
    assert "Nothing to do" in played.log.read_text(encoding="utf-8")
    assert changes(played) == 0
    assert on_nodes(bed) == before


def test_kubeadm_s_own_tools_agree(bed: nodes.Bed) -> None:
    for one in (node for node in nodes.nodes_of(bed) if node.control_plane):
        said = inside(one.container, "kubeadm", "certs", "check-expiration")
        # Whoever joined has no super-admin.conf; that is as kubeadm left it.
        assert [line for line in re.findall(r"^!MISSING! (\S+)", said, flags=re.MULTILINE) if line != "super-admin.conf"] == []
        assert not re.search(r"^\S+ .*<invalid>", said, flags=re.MULTILINE), said
    first = nodes.nodes_of(bed)[0]
    assert "Running cluster health checks" in inside(first.container, "kubeadm", "upgrade", "plan", bed.read()["version"])
    renewed = inside(first.container, "kubeadm", "certs", "renew", "all")
    assert "Done renewing certificates" in renewed
    newest = judge.generations(bed.directory / "authority")["kubernetes"][-1]
    renewed_leaf = root_of(first.container) / "etc/kubernetes/pki/apiserver.crt"
    assert judge.openssl.from_ca(newest.ca.certificate, [renewed_leaf]) == [renewed_leaf]


def test_kubeadm_joins_another_worker_and_control_plane_by_itself(bed: nodes.Bed) -> None:
    first = nodes.nodes_of(bed)[0]
    for one in (AFTERWARDS, FOURTH):
        bed_command(bed, "add", one.name)
        cluster.join(bed, first, one, Progress())
    cluster.wait_ready(first, Progress())
    assert ready(bed) == {one.name: "True" for one in nodes.nodes_of(bed)}
    assert {AFTERWARDS, FOURTH} <= set(nodes.nodes_of(bed))
    assert authority_keys(AFTERWARDS) == []
    assert judge.judge(judge_kubeadm.scene_of(bed)).problems == []
