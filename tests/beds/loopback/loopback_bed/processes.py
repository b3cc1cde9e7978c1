# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a bed and their flags, one table each. File names are those of layout ``systemd``.

Sources: kube-apiserver, kube-controller-manager, kube-scheduler --help of v1.35.4, v1.36.2 and v1.37.2, etcd --help of v3.6.16 and v3.7.3.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from loopback_bed import topology
from loopback_bed.places import Bed
from loopback_bed.topology import APISERVER, BALANCER, CONTROLLER_MANAGER, ETCD, SCHEDULER, Host
from loopback_bed.versions import Version

Flags = dict[str, str]

# An API server without its etcd member, like a controller-manager without an API server, takes minutes to stop.
_PRIORITIES = {ETCD: 1, APISERVER: 2, CONTROLLER_MANAGER: 3, SCHEDULER: 3, BALANCER: 3}

# Before this minor the gate does not exist, and an unknown gate ends the process.
_RELEASES_ITS_LEASE_SINCE = (1, 36)


class Program(t.NamedTuple):
    """A program as the supervisor runs it."""

    name: str
    command: tuple[str, ...]
    log: Path
    priority: int  # the supervisor stops the highest first when it ends


def etcd_flags(bed: Bed, host: Host) -> Flags:
    """Return the flags of that host's etcd member."""
    directory = bed.etcd_dir(host.name)
    client = f"https://{host.address}:{topology.ETCD_CLIENT_PORT}"
    peer = f"https://{host.address}:{topology.ETCD_PEER_PORT}"
    members = [f"{member.name}=https://{member.address}:{topology.ETCD_PEER_PORT}" for member in topology.hosts_of(ETCD)]
    return {
        "name": host.name,
        "data-dir": str(bed.etcd_data_dir(host.name)),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(members),
        "initial-cluster-state": "new",
        "client-cert-auth": "true",
        "trusted-ca-file": f"{directory}/ca.crt",
        "cert-file": f"{directory}/server.crt",
        "key-file": f"{directory}/server.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": f"{directory}/ca.crt",
        "peer-cert-file": f"{directory}/peer.crt",
        "peer-key-file": f"{directory}/peer.key",
        "listen-metrics-urls": f"http://{host.address}:{topology.ETCD_HEALTH_PORT}",
    }


def apiserver_flags(bed: Bed, host: Host) -> Flags:
    """Return the flags of that host's API server. It talks to its own etcd member only, so both can stop in one window."""
    directory = bed.kubernetes_dir(host.name)
    return {
        "bind-address": host.address,
        "advertise-address": host.address,
        "secure-port": str(topology.APISERVER_PORT),
        "endpoint-reconciler-type": "none",
        "etcd-servers": f"https://{host.address}:{topology.ETCD_CLIENT_PORT}",
        "etcd-cafile": f"{directory}/etcd-ca.crt",
        "etcd-certfile": f"{directory}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{directory}/apiserver-etcd-client.key",
        "client-ca-file": f"{directory}/ca.crt",
        "tls-cert-file": f"{directory}/kube-api-server.crt",
        "tls-private-key-file": f"{directory}/kube-api-server.key",
        "kubelet-client-certificate": f"{directory}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{directory}/apiserver-kubelet-client.key",
        "requestheader-client-ca-file": f"{directory}/front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": f"{directory}/front-proxy-client.crt",
        "proxy-client-key-file": f"{directory}/front-proxy-client.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": f"{directory}/service-accounts.pub",
        "service-account-signing-key-file": f"{directory}/service-accounts.key",
        "service-cluster-ip-range": topology.SERVICE_CIDR,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        # The delay must exceed the balancer's check interval; with the second one open watches no longer hold up the end.
        "shutdown-delay-duration": "2s",
        "shutdown-send-retry-after": "true",
    }


def controller_manager_flags(bed: Bed, host: Host, version: Version) -> Flags:
    """Return the flags of that host's controller-manager; it signs from a file of its own with exactly one certificate."""
    directory = bed.kubernetes_dir(host.name)
    kubeconfig = f"{directory}/kube-controller-manager.kubeconfig"
    flags = {
        "bind-address": host.address,
        "secure-port": str(topology.CONTROLLER_MANAGER_PORT),
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "client-ca-file": f"{directory}/ca.crt",
        "requestheader-client-ca-file": f"{directory}/front-proxy-ca.crt",
        "root-ca-file": f"{directory}/ca.crt",
        "cluster-signing-cert-file": f"{directory}/signing-ca.crt",
        "cluster-signing-key-file": f"{directory}/signing-ca.key",
        "service-account-private-key-file": f"{directory}/service-accounts.key",
        "use-service-account-credentials": "true",
        "leader-elect": "true",
        "controllers": "*,bootstrapsigner,tokencleaner",
    }
    if (version.major, version.minor) >= _RELEASES_ITS_LEASE_SINCE:
        flags["feature-gates"] = "ControllerManagerReleaseLeaderElectionLockOnExit=true"
    return flags


def scheduler_flags(bed: Bed, host: Host) -> Flags:
    """Return the flags of that host's scheduler."""
    kubeconfig = f"{bed.kubernetes_dir(host.name)}/kube-scheduler.kubeconfig"
    return {
        "bind-address": host.address,
        "secure-port": str(topology.SCHEDULER_PORT),
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "leader-elect": "true",
    }


def flags(bed: Bed, host: Host, process: str, version: Version) -> Flags:
    """Return the flags of that process on that host."""
    if process == CONTROLLER_MANAGER:
        return controller_manager_flags(bed, host, version)
    return {ETCD: etcd_flags, APISERVER: apiserver_flags, SCHEDULER: scheduler_flags}[process](bed, host)


def programs(bed: Bed, version: Version, haproxy: str) -> list[Program]:
    """Return every program of the bed."""
    found = []
    for host in topology.HOSTS:
        for process in host.processes:
            arguments = [f"--{name}={value}" for name, value in flags(bed, host, process, version).items()]
            found.append(Program(topology.program_name(host, process), (f"{bed.binaries}/{process}", *arguments),
                                 bed.log_dir(host.name) / f"{process}.log", _PRIORITIES[process]))
    command = (haproxy, "-db", "-f", str(bed.balancer_config))
    found.append(Program(BALANCER, command, bed.log_dir(BALANCER) / "haproxy.log", _PRIORITIES[BALANCER]))
    return found


def needed_files(bed: Bed, version: Version) -> list[Path]:
    """Return the files that provisioning must have written before the processes can start."""
    found: set[Path] = set()
    for host in topology.HOSTS:
        roots = (f"{bed.kubernetes_dir(host.name)}/", f"{bed.etcd_dir(host.name)}/")
        for process in host.processes:
            found.update(Path(value) for value in flags(bed, host, process, version).values() if value.startswith(roots))
    return sorted(found)
