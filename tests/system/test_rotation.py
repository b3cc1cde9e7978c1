# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotations of a real control plane, judged by programs that know nothing of the collection. The tests build on one another, in order."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

import jsonschema
import pytest

import judge
import judge_openssl
import playing
from loopback_bed import lifecycle, topology
from loopback_bed.places import Bed
from loopback_bed.supervision import Supervisor
from loopback_rotation import LeaveOut, begin, boot, kill
from plays import Play, changes, extra

AGAIN = {"pki_rotate_again": True}
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "plan.schema.json"
LIVE = {"pki_rotate_authorities": ["kubernetes", "front-proxy"]}


@pytest.fixture(name="bed", scope="module")
def fixture_bed(tmp_path_factory: pytest.TempPathFactory, leave_out: LeaveOut) -> t.Iterator[Bed]:
    yield from boot(tmp_path_factory.mktemp("bed"), leave_out)


def on_disk(bed: Bed) -> dict[Path, tuple[str, int]]:
    """Return hash and mode of every file that is not a process's own."""
    found = {}
    for folder, folders, names in os.walk(bed.directory):
        folders[:] = [name for name in folders if name not in ("log", "etcd-data", "bin")]
        for path in (Path(folder, name) for name in names):
            if path.is_file():
                found[path] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
    return found


def process_ids(bed: Bed, *processes: str) -> dict[str, int]:
    """Return program to process id, as the supervisor knows them."""
    wanted = {topology.program_name(host, process) for process in processes for host in topology.hosts_of(process)}
    return {state.name: state.pid for state in Supervisor(bed).states() if state.name in wanted}


def key_lines(bed: Bed) -> set[str]:
    """Return a line out of the middle of every private key there is."""
    lines = {path.read_text(encoding="utf-8").splitlines()[1] for path in bed.directory.glob("**/*.key")}
    assert len(lines) > len(topology.HOSTS)
    return lines


def test_a_provisioned_bed_is_as_it_must_be(bed: Bed) -> None:
    judged = judge.judge(judge.scene_of(bed))
    assert judged.problems == []
    assert {len(row.verdicts) for row in judged.rows} == {1}


def test_provisioning_again_changes_nothing(bed: Bed, play: Play) -> None:
    before = on_disk(bed)
    assert changes(play(lifecycle.PROVISION)) == 0
    assert on_disk(bed) == before


def actions_planned(phases: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return, by phase and host, what a plan says will be written and restarted."""
    return {phase["name"]: {name: {kind: sorted(one[kind]) for kind in ("bundles", "certificates", "copies", "restarts") if one[kind]}
                            for name, one in phase["hosts"].items()} for phase in phases}


def actions_taken(phases: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return the same of what the callback saw done. A phase's canaries are no part of a plan."""
    kinds = {"bundle": "bundles", "certificate": "certificates", "copy": "copies", "process": "restarts"}
    found = {phase["name"]: {name: {kinds[kind]: sorted(one for one in names if not one.startswith("canary-"))
                                    for kind, names in one.items()} for name, one in phase["hosts"].items()} for phase in phases}
    return {phase: {name: {kind: names for kind, names in one.items() if names} for name, one in hosts.items()}
            for phase, hosts in found.items()}


@pytest.fixture(name="plan_file", scope="module")
def fixture_plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the plan is written before the rotation, which is compared with it afterwards."""
    return tmp_path_factory.mktemp("plan") / "plan.json"


def test_the_plan_says_what_a_rotation_would_do_and_does_nothing(bed: Bed, play: Play, plan_file: Path) -> None:
    files, ids = on_disk(bed), process_ids(bed, *(process for host in topology.HOSTS for process in host.processes))
    played = play("rekey.kubernetes.plan", pki_rotate_plan_file=str(plan_file), **AGAIN)
    said = played.log.read_text(encoding="utf-8")
    jsonschema.validate(json.loads(plan_file.read_text(encoding="utf-8")), json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert "phase 1 of 6, trust: control planes trust both generations" in said
    # Nothing but the plan's file is written, not even in check mode.
    assert changes(played) == 1
    assert "restarts in all: etcd 6x, kube-apiserver 6x" in said
    assert on_disk(bed) == files
    assert process_ids(bed, *(process for host in topology.HOSTS for process in host.processes)) == ids


def leadership_transfers(bed: Bed) -> int:
    """Return how often an etcd member was stopped while it led, as the members themselves have logged it."""
    logs = [(bed.log_dir(host.name) / "etcd.log").read_text(encoding="utf-8") for host in topology.hosts_of(topology.ETCD)]
    return sum(log.count("leadership transfer starting") for log in logs)


def kubectl(bed: Bed, kubeconfig: Path, *arguments: str) -> str:
    return subprocess.run([bed.binaries / "kubectl", f"--kubeconfig={kubeconfig}", *arguments],
                          capture_output=True, text=True, check=True).stdout


def publish_cluster_info(bed: Bed, folder: Path) -> None:
    """Make the object that joining nodes read, as kubeadm does; a cluster of plain processes has none."""
    directory, info = bed.kubernetes_dir(topology.HOSTS[0].name), folder / "kubeconfig"
    kubectl(bed, info, "config", "set-cluster", "here", f"--server=https://{topology.BALANCER_ADDRESS}:{topology.APISERVER_PORT}",
            f"--certificate-authority={directory / 'ca.crt'}", "--embed-certs")
    kubectl(bed, directory / "admin.kubeconfig", "create", "configmap", "cluster-info", "--namespace=kube-public",
            f"--from-file=kubeconfig={info}")


def published_authority(bed: Bed, folder: Path) -> str:
    """Return the certificates that the object gives to joining nodes."""
    admin, info = bed.kubernetes_dir(topology.HOSTS[0].name) / "admin.kubeconfig", folder / "published"
    info.write_text(kubectl(bed, admin, "get", "configmap", "cluster-info", "--namespace=kube-public",
                            "--output=jsonpath={.data.kubeconfig}"), encoding="utf-8")
    data = kubectl(bed, info, "config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.certificate-authority-data}")
    return base64.b64decode(data).decode()


def test_all_authorities_rotate_under_load_without_a_failed_request(bed: Bed, play: Play, plan_file: Path, tmp_path: Path) -> None:
    keys_before, transfers_before = key_lines(bed), leadership_transfers(bed)
    publish_cluster_info(bed, tmp_path)
    with playing.load(bed, tmp_path) as finish:
        played = play(playing.ROTATE, "-vvv", **AGAIN)
        load = finish()
    assert load["requests_failed"] == 0, (tmp_path / "load.log").read_text(encoding="utf-8")
    assert all(client["requests"] for client in load["clients"].values())
    judged = judge.judge(judge.scene_of(bed))
    assert judged.problems == []
    assert {len(row.verdicts) for row in judged.rows} == {2}
    newest = judge.generations(bed.directory / "authority")["kubernetes"][-1]
    assert judge_openssl.fingerprints(published_authority(bed, tmp_path)) == [judge_openssl.fingerprint(newest.pem)]
    # One window in which trust comes and one in which it goes, on each host.
    assert {name: played.summary["restarts"][name] for name in ("etcd", "kube-apiserver")} == {"etcd": 6, "kube-apiserver": 6}
    planned = json.loads(plan_file.read_text(encoding="utf-8"))
    assert actions_taken(played.summary["phases"]) == actions_planned(planned["phases"])
    assert planned["restarts"] == played.summary["restarts"]
    # The leader's host comes last: each row of windows moves the leadership once.
    assert leadership_transfers(bed) - transfers_before == 2
    said = played.log.read_text(encoding="utf-8")
    assert "PRIVATE KEY" not in said
    assert [line for line in keys_before | key_lines(bed) if line in said] == []


def test_a_finished_rotation_says_that_nothing_is_to_do(bed: Bed, play: Play) -> None:
    before = on_disk(bed)
    played = play(playing.ROTATE)
    assert "Nothing to do" in played.log.read_text(encoding="utf-8")
    assert changes(played) == 0
    assert on_disk(bed) == before


def test_a_killed_run_goes_on_and_stops_where_it_is_told_to(bed: Bed, play: Play, tmp_path: Path) -> None:
    ids = functools.partial(process_ids, bed, topology.ETCD, topology.APISERVER)
    before = ids()
    with playing.load(bed, tmp_path) as finish:
        kill(begin(bed, 2, extra(**AGAIN, **LIVE), tmp_path / "killed.log"))
        play(playing.ROTATE, pki_rotate_until="distrust")
        stopped = judge.judge(judge.scene_of(bed))
        assert {tuple(row.verdicts.values()) for row in stopped.rows if row.authority != "etcd"} == {("refused", "accepted", "accepted")}
        assert {problem for problem in stopped.problems if "signed" in problem or "serves" in problem} == set()
        # The judge is not blind: the generation that is still trusted is what it complains of.
        assert any("n1/kubernetes/ca.crt holds kubernetes" in problem for problem in stopped.problems)
        assert any(problem.startswith("default/kube-root-ca.crt ca.crt holds 2 certificates") for problem in stopped.problems)
        play(playing.ROTATE)
        load = finish()
    assert load["requests_failed"] == 0, (tmp_path / "load.log").read_text(encoding="utf-8")
    judged = judge.judge(judge.scene_of(bed))
    assert judged.problems == []
    assert {(row.authority, len(row.verdicts)) for row in judged.rows} == {("kubernetes", 3), ("front-proxy", 3), ("etcd", 2)}
    assert ids() == before
