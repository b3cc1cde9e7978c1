# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flags of every process: what the rotation and the zero-failure claim rest on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import SYSTEMD

from loopback_bed import processes, topology
from loopback_bed.places import Bed
from loopback_bed.versions import DEFAULT, Version

BED = Bed(Path("/somewhere/bed"))
N1, N2, N3 = topology.HOSTS


def test_every_host_runs_what_it_should() -> None:
    names = [program.name for program in processes.programs(BED, DEFAULT, "/usr/sbin/haproxy")]
    assert names == ["n1-etcd", "n1-kube-apiserver", "n1-kube-controller-manager", "n1-kube-scheduler",
                     "n2-etcd", "n2-kube-apiserver", "n2-kube-controller-manager", "n2-kube-scheduler",
                     "n3-etcd", "n3-kube-apiserver", "balancer"]


@pytest.mark.parametrize("host", topology.HOSTS)
def test_an_api_server_knows_only_its_own_member(host: topology.Host) -> None:
    assert processes.apiserver_flags(BED, host)["etcd-servers"] == f"https://{host.address}:2379"


@pytest.mark.parametrize("host", topology.HOSTS)
def test_an_api_server_leaves_gracefully_and_soon(host: topology.Host) -> None:
    flags = processes.apiserver_flags(BED, host)
    assert flags["shutdown-delay-duration"] == "2s"
    assert flags["shutdown-send-retry-after"] == "true"


def test_every_member_knows_all_members_and_asks_for_certificates_on_both_ports() -> None:
    flags = processes.etcd_flags(BED, N2)
    assert flags["initial-cluster"] == "n1=https://127.0.10.1:2380,n2=https://127.0.10.2:2380,n3=https://127.0.10.3:2380"
    assert flags["client-cert-auth"] == flags["peer-client-cert-auth"] == "true"
    assert flags["listen-metrics-urls"] == "http://127.0.10.2:2381"


@pytest.mark.parametrize(("version", "released"), [(Version(1, 35, 4), False), (Version(1, 36, 2), True), (Version(1, 37, 2), True)])
def test_the_lease_is_released_where_the_version_knows_how(version: Version, released: bool) -> None:
    flags = processes.controller_manager_flags(BED, N1, version)
    assert (flags.get("feature-gates") == "ControllerManagerReleaseLeaderElectionLockOnExit=true") is released


def test_the_signer_has_a_file_of_its_own() -> None:
    flags = processes.controller_manager_flags(BED, N1, DEFAULT)
    assert flags["cluster-signing-cert-file"] not in (flags["root-ca-file"], flags["client-ca-file"])


def test_no_two_hosts_share_a_file() -> None:
    owners = {path.relative_to(BED.directory).parts[0] for path in processes.needed_files(BED, DEFAULT)}
    assert owners == {"n1", "n2", "n3"}


def _layout_files(host: topology.Host) -> set[str]:
    templates = [f"{pair.base}{suffix}" for pair in SYSTEMD.pairs for suffix in (".crt", ".key")]
    templates += [entry.path for entry in (*SYSTEMD.bundles, *SYSTEMD.kubeconfigs)]
    templates += [path for copy in SYSTEMD.copies for path in (copy.key, copy.public)]
    return {text.format(kubernetes_dir=BED.kubernetes_dir(host.name), etcd_dir=BED.etcd_dir(host.name)) for text in templates}


def test_every_file_that_a_flag_names_is_one_that_the_layout_writes() -> None:
    written = {path for host in topology.HOSTS for path in _layout_files(host)}
    assert {str(path) for path in processes.needed_files(BED, DEFAULT)} <= written


def test_commands_need_no_quoting() -> None:
    for program in processes.programs(BED, DEFAULT, "/usr/sbin/haproxy"):
        assert all(re.fullmatch(r"[\w./:=,*-]+", argument) for argument in program.command), program.name
