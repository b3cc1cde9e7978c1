# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PKI that is there before kubeadm runs, on real nodes: kubeadm uses it as it is, and it can be rotated. Judged by openssl and kubeadm.

The tests of a class build on one another, in order.
"""

from __future__ import annotations

import base64
import re
import typing as t
from pathlib import Path

import pytest
import yaml

import judge
import judge_kubeadm
import judge_openssl
import playing
from kubeadm_bed import cluster, nodes
from kubeadm_bed.commands import inside, root_of
from kubeadm_bed.topology import Node
from kubeadm_rotation import LeaveOut, boot
from loopback_bed.progress import Progress
from plays import Play, changes

PROVISION = "rekey.kubernetes.provision"
AUTHORITY_KEYS = {"pki/ca.key", "pki/front-proxy-ca.key", "pki/etcd/ca.key"}
KUBELET_STORE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CERTIFICATES = {"pki/apiserver.crt", "pki/apiserver-kubelet-client.crt", "pki/apiserver-etcd-client.crt", "pki/front-proxy-client.crt",
                "pki/etcd/server.crt", "pki/etcd/peer.crt", "pki/etcd/healthcheck-client.crt", "pki/ca.crt", "pki/front-proxy-ca.crt",
                "pki/etcd/ca.crt"}
KEYS = {name.replace(".crt", ".key") for name in CERTIFICATES} | {"pki/sa.key"}
EVERYWHERE = CERTIFICATES | KEYS | {"admin.conf", "controller-manager.conf", "scheduler.conf"}
WHERE_IT_BEGINS = EVERYWHERE | {"super-admin.conf", "kubelet.conf", KUBELET_STORE}
NAMED_BY_KUBEADM = ("admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf",
                    "etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client", "scheduler.conf", "super-admin.conf")

# Three authorities, seven leaves, the service accounts' pair, five kubeconfigs.
WHAT_INIT_USES = 16

Identities = dict[str, dict[str, list[str]]]


def identities(bed: nodes.Bed) -> Identities:
    """Return node → file → fingerprints of its certificates, and the public half of its key, as openssl tells them."""
    return {one.name: _identities(one) for one in nodes.nodes_of(bed)}


def _identities(one: Node) -> dict[str, list[str]]:
    kubernetes = root_of(one.container) / "etc/kubernetes"
    found = {path.name: [seen for field in _inline(path) for seen in judge_openssl.fingerprints(field)]
             for path in sorted(kubernetes.glob("*.conf"))}
    for path in sorted(kubernetes.glob("pki/**/*.crt")):
        found[str(path.relative_to(kubernetes))] = judge_openssl.fingerprints(path.read_text(encoding="utf-8"))
    for path in sorted(kubernetes.glob("pki/**/*.key")):
        found[str(path.relative_to(kubernetes))] = [judge_openssl.need("pkey", "-in", path, "-pubout")]
    store = inside(one.container, "sh", "-c", f"cat {KUBELET_STORE} 2>/dev/null || true")
    return {**found, **({KUBELET_STORE: judge_openssl.fingerprints(store)} if store else {})}


def _inline(path: Path) -> t.Iterator[str]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for kind, field in (("cluster", "certificate-authority-data"), ("user", "client-certificate-data")):
        yield from (base64.b64decode(entry[kind].get(field) or "").decode() for entry in document[f"{kind}s"])


def readable_by_others(one: Node) -> list[Path]:
    """Return keys and kubeconfigs that others than their owner can read."""
    found = [path for folder in ("etc/kubernetes", "var/lib/kubelet") for path in (root_of(one.container) / folder).rglob("*")
             if path.suffix in (".key", ".conf", ".pem")]
    assert found
    return [path for path in found if path.stat().st_mode & 0o077]


def problems(bed: nodes.Bed) -> list[str]:
    """Return what the judge finds wrong with a cluster in which one generation is all there is."""
    return judge.judge(judge_kubeadm.scene_of(bed)).problems


def certificates_of(one: Node, externally_managed: str) -> list[str]:
    """Return the certificates of which kubeadm tells that they are valid for a year, and whether somebody else signs them."""
    said = inside(one.container, "kubeadm", "certs", "check-expiration")
    assert "MISSING" not in said
    return re.findall(rf"^(\S+) .* 364d .* {externally_managed} *$", said, flags=re.MULTILINE)


@pytest.fixture(name="bed", scope="class")
def fixture_bed(request: pytest.FixtureRequest, leave_out: LeaveOut) -> t.Iterator[nodes.Bed]:
    """Boot the nodes that the class names; nothing of Kubernetes has run on them."""
    yield from boot(leave_out, *request.cls.NODES, command="nodes")


@pytest.fixture(name="before", scope="class")
def fixture_before() -> Identities:
    """What was there before kubeadm ran; the first test of a class fills it."""
    return {}


class TestKubeadmUsesWhatIsThere:
    """Two control planes and a worker, with the authorities' keys where kubeadm has them."""

    NODES = ("--control-planes", "2", "--workers", "1")

    def test_everything_that_kubeadm_would_make_is_there(self, bed: nodes.Bed, play: Play, before: Identities) -> None:
        assert "PRIVATE KEY" not in play(PROVISION, "--check", "--diff").log.read_text(encoding="utf-8")
        assert identities(bed) == {"cp1": {}, "cp2": {}, "w1": {}}
        assert "PRIVATE KEY" not in play(PROVISION, "--diff", "-vvv").log.read_text(encoding="utf-8")
        before.update(identities(bed))
        assert {name: set(found) for name, found in before.items()} == {"cp1": WHERE_IT_BEGINS, "cp2": EVERYWHERE, "w1": set()}
        assert [path for one in nodes.nodes_of(bed)[:2] for path in readable_by_others(one)] == []

    def test_again_it_changes_nothing(self, play: Play) -> None:
        assert changes(play(PROVISION, "--check")) == 0
        assert changes(play(PROVISION)) == 0

    def test_check_mode_foretells_what_a_host_that_lost_its_pki_needs(self, bed: nodes.Bed, play: Play, before: Identities) -> None:
        inside(nodes.nodes_of(bed)[1].container, "rm", "-r", "/etc/kubernetes")
        assert changes(play(PROVISION, "--check"), "cp2") > 0
        assert identities(bed)["cp2"] == {}
        assert changes(play(PROVISION), "cp2") > 0
        before.update(identities(bed))
        assert set(before["cp2"]) == EVERYWHERE

    def test_init_and_join_use_it_as_it_is(self, bed: nodes.Bed, before: Identities) -> None:
        first, *others = nodes.nodes_of(bed)
        said = cluster.init(bed, first, cluster.Choices(), Progress())
        assert len(re.findall(r"^\[(?:certs|kubeconfig)\] Using (?:the )?existing", said, flags=re.MULTILINE)) == WHAT_INIT_USES
        for one in others:
            said += cluster.join(bed, first, one, Progress(), upload=False)
        cluster.wait_ready(first, Progress())
        # No check before the flight finds a file in its way.
        assert re.findall("(?:File|Dir)Available", said) == []
        after = identities(bed)
        assert after["cp1"] == before["cp1"]
        assert {path: after["cp2"].pop(path) for path in EVERYWHERE} == before["cp2"]
        # The kubelets of hosts that join have theirs from the signer.
        assert set(after["cp2"]) == {"kubelet.conf", KUBELET_STORE}
        assert set(after["w1"]) == {"pki/ca.crt", "kubelet.conf", KUBELET_STORE}
        assert problems(bed) == []

    def test_kubeadm_knows_all_of_them(self, bed: nodes.Bed) -> None:
        assert sorted(certificates_of(nodes.nodes_of(bed)[0], "no")) == sorted(NAMED_BY_KUBEADM)

    def test_logs_can_be_read_on_every_node(self, bed: nodes.Bed) -> None:
        first = nodes.nodes_of(bed)[0]
        for one in nodes.nodes_of(bed):
            pod = cluster.kubectl(first, "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-proxy", "-o", "name",
                                  f"--field-selector=spec.nodeName={one.name}").strip()
            assert cluster.kubectl(first, "-n", "kube-system", "logs", pod, "--tail=1")

    def test_after_kubeadm_it_still_changes_nothing(self, play: Play) -> None:
        assert changes(play(PROVISION, "--check")) == 0
        assert changes(play(PROVISION)) == 0

    def test_all_authorities_rotate(self, bed: nodes.Bed, play: Play, before: Identities) -> None:
        play(playing.ROTATE, pki_rotate_again=True, pki_rotate_workloads="restart", pki_rotate_until="end")
        assert problems(bed) == []
        kept = {f"{name}: {path}" for name, found in identities(bed).items() for path, what in found.items()
                if what == before[name].get(path)}
        assert kept == {"cp1: pki/sa.key", "cp2: pki/sa.key"}
        assert changes(play(PROVISION)) == 0


class TestExternalCa:
    """One control plane; no authority's key is on it at any time."""

    NODES = ("--control-planes", "1", "--workers", "0")

    def test_no_authority_s_key_comes_to_the_cluster(self, bed: nodes.Bed, play: Play, before: Identities) -> None:
        play(PROVISION, pki_external_ca=True)
        before.update(identities(bed))
        assert set(before["cp1"]) == WHERE_IT_BEGINS - AUTHORITY_KEYS
        assert changes(play(PROVISION, pki_external_ca=True)) == 0

    def test_init_takes_it_for_an_external_ca(self, bed: nodes.Bed, play: Play, before: Identities) -> None:
        first = nodes.nodes_of(bed)[0]
        cluster.init(bed, first, cluster.Choices(), Progress())
        cluster.wait_ready(first, Progress())
        assert identities(bed) == before
        manifest = yaml.safe_load(inside(first.container, "cat", "/etc/kubernetes/manifests/kube-controller-manager.yaml"))
        assert "--cluster-signing-cert-file=" in manifest["spec"]["containers"][0]["command"]
        assert {"apiserver", "admin.conf", "front-proxy-client"} <= set(certificates_of(first, "yes"))
        assert changes(play(PROVISION, pki_external_ca=True)) == 0

    def test_its_authorities_rotate_too(self, bed: nodes.Bed, play: Play, before: Identities) -> None:
        play(playing.ROTATE, pki_external_ca=True, pki_rotate_again=True, pki_rotate_workloads="restart", pki_rotate_until="end")
        found = problems(bed)
        # Nothing in the cluster signs.
        assert [problem for problem in found if "was not signed" not in problem] == []
        assert len(found) == 1
        after = identities(bed)["cp1"]
        assert {path for path, what in after.items() if what == before["cp1"].get(path)} == {"pki/sa.key"}
        assert set(after) == set(before["cp1"])
        assert changes(play(PROVISION, pki_external_ca=True)) == 0
