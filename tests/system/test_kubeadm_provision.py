# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PKI that is there before kubeadm runs, on real nodes: kubeadm uses it as it is, and it can be rotated. Judged by openssl and kubeadm.

The tests of a class build on one another, in order.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

import judge
import judge_kubeadm
import judge_openssl
import playing
from kubeadm_bed import cluster, nodes, topology
from kubeadm_bed.commands import inside, root_of
from kubeadm_bed.topology import Node
from loopback_bed.places import cache_of
from loopback_bed.progress import Progress

BED = Path(nodes.__file__).resolve().parents[1] / "bed.py"
PROVISION = "rekey.kubernetes.provision"
AGAIN = '{"pki_rotate_again": true}'
EXTERNAL = '{"pki_external_ca": true}'
AUTHORITY_KEYS = ("pki/ca.key", "pki/front-proxy-ca.key", "pki/etcd/ca.key")
KUBELET_STORE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
FILES = ("pki/apiserver.crt", "pki/apiserver-kubelet-client.crt", "pki/apiserver-etcd-client.crt", "pki/front-proxy-client.crt",
         "pki/etcd/server.crt", "pki/etcd/peer.crt", "pki/etcd/healthcheck-client.crt", "pki/ca.crt", "pki/front-proxy-ca.crt",
         "pki/etcd/ca.crt")
KUBECONFIGS = ("admin.conf", "controller-manager.conf", "scheduler.conf")
FIRST_ONLY = ("super-admin.conf", "kubelet.conf")
KEYS = tuple(name.replace(".crt", ".key") for name in FILES) + ("pki/sa.key",)

LeaveOut = t.Callable[[str], t.NoReturn]


def changes(played: playing.Played, host: str = r"\S+") -> int:
    """Return how many tasks changed something, from the recap that Ansible itself prints."""
    counts = re.findall(rf"^{host} +: ok=\d+ +changed=(\d+)", played.log.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert counts
    return sum(map(int, counts))


def identities(one: Node) -> dict[str, list[str]]:
    """Return file → fingerprints of the certificates in it, and hashes of the public halves of keys, as openssl tells them."""
    kubernetes, found = root_of(one.container) / "etc/kubernetes", {}
    for path in sorted(kubernetes.glob("*.conf")):
        found[path.name] = [print_of for field in _inline(path) for print_of in judge_openssl.fingerprints(field)]
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


def wide_open(one: Node) -> list[str]:
    """Return keys and kubeconfigs that others than their owner can read."""
    kinds = ("-name", "*.key", "-o", "-name", "*.conf", "-o", "-name", "*.pem")
    return inside(one.container, "find", "/etc/kubernetes", KUBELET_STORE.rpartition("/")[0], "(", *kinds, ")", "-type", "f",
                  "-perm", "/077").split()


def problems(bed: nodes.Bed) -> list[str]:
    """Return what the judge finds wrong with a cluster in which one generation is all there is."""
    return judge.judge(judge_kubeadm.scene_of(bed)).problems


class Cluster:
    """A bed of nodes on which nothing has run yet, and how playbooks are played on it."""

    def __init__(self, bed: nodes.Bed, logs: Path) -> None:
        self.bed, self.progress, self._logs = bed, Progress(), logs
        self.nodes = nodes.nodes_of(bed)
        self.first = self.nodes[0]
        self.control_planes = [one for one in self.nodes if one.control_plane]
        self.before: dict[str, dict[str, list[str]]] = {}

    def play(self, playbook: str, *arguments: str) -> playing.Played:
        """Play a playbook, which must succeed."""
        played = playing.play(self.bed, playbook, arguments, self._logs / f"play-{len(list(self._logs.iterdir()))}.log")
        assert played.status == 0, played.last_lines
        return played

    def kubectl(self, *argv: str) -> str:
        """Run kubectl as the administrator that was provisioned."""
        return cluster.kubectl(self.first, *argv)


def boot(leave_out: LeaveOut, logs: Path, *size: str) -> t.Iterator[Cluster]:
    """Boot a bed and take it down afterwards."""
    if os.geteuid() != 0:
        leave_out("the kubeadm bed needs root")
    bed = nodes.Bed(cache_of(os.environ) / "beds" / f"kubeadm{topology.NUMBER}")
    if bed.record.exists():
        pytest.fail(f"kubeadm bed {topology.NUMBER} is in use: take it down, or name another number in REKEY_KUBEADM_BED")
    command = [sys.executable, str(BED)]
    environment = {**os.environ, "PYTHONPATH": str(BED.parents[1] / "loopback"), "REKEY_KUBEADM_BED_DIR": str(bed.directory)}
    try:
        booted = subprocess.run([*command, "nodes", *size], env=environment, capture_output=True, text=True, check=False)
        if booted.returncode:
            leave_out(f"the kubeadm bed cannot be booted: {booted.stderr.strip()}")
        yield Cluster(bed, logs)
    finally:
        subprocess.run([*command, "down"], env=environment, check=True)


class TestKubeadmUsesWhatIsThere:
    """Two control planes and a worker, with the authorities' keys where kubeadm has them."""

    @pytest.fixture(name="on", scope="class")
    def fixture_on(self, leave_out: LeaveOut, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Cluster]:
        yield from boot(leave_out, tmp_path_factory.mktemp("logs"), "--control-planes", "2", "--workers", "1")

    def test_everything_that_kubeadm_would_make_is_there(self, on: Cluster) -> None:
        checked = on.play(PROVISION, "--check", "--diff")
        assert "PRIVATE KEY" not in checked.log.read_text(encoding="utf-8")
        assert identities(on.first) == {}
        on.play(PROVISION)
        on.before = {one.name: identities(one) for one in on.nodes}
        assert set(on.before["cp1"]) == {*FILES, *KEYS, *KUBECONFIGS, *FIRST_ONLY, KUBELET_STORE}
        assert set(on.before["cp2"]) == {*FILES, *KEYS, *KUBECONFIGS}
        assert on.before["w1"] == {}
        assert [path for one in on.control_planes for path in wide_open(one)] == []

    def test_again_it_changes_nothing(self, on: Cluster) -> None:
        assert changes(on.play(PROVISION, "--check")) == 0
        assert changes(on.play(PROVISION)) == 0

    def test_check_mode_foretells_a_host_that_lost_its_pki(self, on: Cluster) -> None:
        inside(on.control_planes[1].container, "rm", "-r", "/etc/kubernetes")
        foretold = changes(on.play(PROVISION, "--check"), "cp2")
        assert identities(on.control_planes[1]) == {}
        assert 0 < foretold <= changes(on.play(PROVISION), "cp2")
        on.before["cp2"] = identities(on.control_planes[1])
        assert set(on.before["cp2"]) == {*FILES, *KEYS, *KUBECONFIGS}

    def test_init_and_join_use_it_as_it_is(self, on: Cluster) -> None:
        cluster.init(on.bed, on.first, graceful=True, progress=on.progress)
        for one in on.nodes[1:]:
            cluster.join(on.bed, on.first, one, on.progress, upload=False)
        cluster.wait_ready(on.first, on.progress)
        after = {one.name: identities(one) for one in on.nodes}
        assert after["cp1"] == on.before["cp1"]
        # The kubelet of a host that joins has its own from the signer.
        assert {path: found for path, found in after["cp2"].items() if path in on.before["cp2"]} == on.before["cp2"]
        assert set(after["cp2"]) - set(on.before["cp2"]) == {"kubelet.conf", KUBELET_STORE}
        assert set(after["w1"]) == {"pki/ca.crt", "kubelet.conf", KUBELET_STORE}
        assert problems(on.bed) == []

    def test_kubeadm_knows_all_of_them(self, on: Cluster) -> None:
        said = inside(on.first.container, "kubeadm", "certs", "check-expiration")
        assert "MISSING" not in said
        assert "EXTERNALLY MANAGED" in said
        for name in ("admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf",
                     "etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client", "scheduler.conf", "super-admin.conf"):
            assert re.search(rf"^{re.escape(name)} .* 364d .* no +$", said, flags=re.MULTILINE), said

    def test_logs_can_be_read_on_every_node(self, on: Cluster) -> None:
        for one in on.nodes:
            pod = on.kubectl("-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-proxy", "-o", "name",
                             f"--field-selector=spec.nodeName={one.name}").strip()
            on.kubectl("-n", "kube-system", "logs", pod, "--tail=1")

    def test_after_kubeadm_it_still_changes_nothing(self, on: Cluster) -> None:
        assert changes(on.play(PROVISION, "--check")) == 0
        assert changes(on.play(PROVISION)) == 0

    def test_all_authorities_rotate(self, on: Cluster) -> None:
        on.play(playing.ROTATE, "-e", AGAIN)
        assert problems(on.bed) == []
        after = {one.name: identities(one) for one in on.nodes}
        kept = {f"{name}: {path}" for name, found in after.items() for path, what in found.items() if what == on.before[name].get(path)}
        assert kept == {"cp1: pki/sa.key", "cp2: pki/sa.key"}
        assert changes(on.play(PROVISION)) == 0


class TestExternalCa:
    """One control plane and a worker; no authority's key is on them at any time."""

    @pytest.fixture(name="on", scope="class")
    def fixture_on(self, leave_out: LeaveOut, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Cluster]:
        yield from boot(leave_out, tmp_path_factory.mktemp("logs"), "--control-planes", "1", "--workers", "0")

    def test_no_authority_s_key_comes_to_the_cluster(self, on: Cluster) -> None:
        on.play(PROVISION, "-e", EXTERNAL)
        on.before = {one.name: identities(one) for one in on.nodes}
        assert set(on.before["cp1"]) == {*FILES, *KEYS, *KUBECONFIGS, *FIRST_ONLY, KUBELET_STORE} - set(AUTHORITY_KEYS)
        assert changes(on.play(PROVISION, "-e", EXTERNAL)) == 0

    def test_init_takes_it_for_an_external_ca(self, on: Cluster) -> None:
        cluster.init(on.bed, on.first, graceful=True, progress=on.progress)
        cluster.wait_ready(on.first, on.progress)
        assert identities(on.first) == on.before["cp1"]
        flags = inside(on.first.container, "cat", "/etc/kubernetes/manifests/kube-controller-manager.yaml")
        assert re.search(r"--cluster-signing-cert-file=('')?$", flags, flags=re.MULTILINE)
        said = inside(on.first.container, "kubeadm", "certs", "check-expiration")
        assert "MISSING" not in said
        assert re.search(r"^apiserver .* yes +$", said, flags=re.MULTILINE), said
        assert changes(on.play(PROVISION, "-e", EXTERNAL)) == 0

    def test_its_authorities_rotate_too(self, on: Cluster) -> None:
        on.play(playing.ROTATE, "-e", AGAIN, "-e", EXTERNAL)
        found = problems(on.bed)
        # Nothing in the cluster signs.
        assert len(found) == 1
        assert "was not signed" in found[0]
        after = identities(on.first)
        assert {path for path, what in after.items() if what == on.before["cp1"].get(path)} == {"pki/sa.key"}
        assert set(after) == set(on.before["cp1"])
        assert changes(on.play(PROVISION, "-e", EXTERNAL)) == 0
