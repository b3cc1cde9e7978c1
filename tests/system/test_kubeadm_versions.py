# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kubeadm cluster of an older minor, whose kubelets have serving certificates in files of their own, is adopted and rotated."""

from __future__ import annotations

import datetime
import typing as t

import pytest

import playing
from kubeadm_bed import certificates, cluster, nodes
from kubeadm_bed.commands import inside
from kubeadm_rotation import LeaveOut, bed_command, boot, kubelets_issuers, problems
from loopback_bed.progress import Progress
from plays import Play

ADOPT = "rekey.kubernetes.adopt"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
OWN = "/etc/kubernetes/pki/kubelet-server"
OLDER = ("v1.36.2",)
# One window for each direction of trust; between them the two that read their kubeconfigs only at their start, and each kubelet twice.
RESTARTS = {"etcd": 2, "kube-apiserver": 2, "kube-controller-manager": 3, "kube-scheduler": 3, "kubelet": 4}


@pytest.fixture(name="bed", scope="module", params=OLDER)
def fixture_bed(request: pytest.FixtureRequest, leave_out: LeaveOut) -> t.Iterator[nodes.Bed]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBERNETES_VERSION", request.param)
        yield from boot(leave_out, "--control-planes", "1", "--workers", "1")


def test_it_is_of_the_version_asked_for(bed: nodes.Bed, request: pytest.FixtureRequest) -> None:
    said = cluster.kubectl(nodes.nodes_of(bed)[0], "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
    assert set(said.split()) == {request.node.callspec.params["bed"]}


def test_its_kubelets_serve_certificates_of_their_own(bed: nodes.Bed) -> None:
    first = nodes.nodes_of(bed)[0]
    for one in nodes.nodes_of(bed):
        pair = certificates.kubelet_by_cluster(bed.workloads, first, one)
        nodes.put(one, f"{OWN}.crt", pair.certificate.encode(), "644")
        nodes.put(one, f"{OWN}.key", pair.key.encode(), "600")
        config = inside(one.container, "cat", KUBELET_CONFIG)
        nodes.put(one, KUBELET_CONFIG, f"{config}tlsCertFile: {OWN}.crt\ntlsPrivateKeyFile: {OWN}.key\n".encode(), "644")
        inside(one.container, "systemctl", "restart", "kubelet")
    cluster.wait_ready(first, Progress())
    assert set(kubelets_issuers(bed).values()) == {"issuer=CN=kubernetes"}


def test_it_is_adopted_and_all_its_authorities_rotate(bed: nodes.Bed, play: Play) -> None:
    play(ADOPT)
    assert "pki_leaf_files" in play(playing.ROTATE, "--check", succeeds=False, pki_rotate_again=True).log.read_text(encoding="utf-8")
    since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    played = play(playing.ROTATE, pki_rotate_again=True, pki_rotate_workloads="restart", pki_rotate_until="end",
                  pki_leaf_files={"kubelet-server": OWN})
    bed_command(bed, "webhook-certificate")
    assert problems(bed, since) == []
    assert all(issuer.startswith("issuer=CN=kubernetes-ca@") for issuer in kubelets_issuers(bed).values())
    assert {name: played.summary["restarts"].get(name) for name in RESTARTS} == RESTARTS
