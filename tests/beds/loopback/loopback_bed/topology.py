# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs where: hosts, addresses, ports. The inventory says the same to Ansible; a unit test holds the two together."""

from __future__ import annotations

import typing as t

ETCD = "etcd"
APISERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
BALANCER = "balancer"

APISERVER_PORT = 6443
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
ETCD_HEALTH_PORT = 2381
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259

BALANCER_ADDRESS = "127.0.10.100"
SERVICE_CIDR = "10.96.0.0/16"

_PORTS = {
    ETCD: (ETCD_CLIENT_PORT, ETCD_PEER_PORT, ETCD_HEALTH_PORT),
    APISERVER: (APISERVER_PORT,),
    CONTROLLER_MANAGER: (CONTROLLER_MANAGER_PORT,),
    SCHEDULER: (SCHEDULER_PORT,),
}


class Host(t.NamedTuple):
    """A host of the bed: a loopback address and the processes that run there."""

    name: str
    address: str
    processes: tuple[str, ...]


class Listener(t.NamedTuple):
    """An address and port that a program of the bed will listen on."""

    address: str
    port: int
    program: str


HOSTS = (
    Host("n1", "127.0.10.1", (ETCD, APISERVER, CONTROLLER_MANAGER, SCHEDULER)),
    Host("n2", "127.0.10.2", (ETCD, APISERVER, CONTROLLER_MANAGER, SCHEDULER)),
    Host("n3", "127.0.10.3", (ETCD, APISERVER)),
)


def program_name(host: Host, process: str) -> str:
    """Return the name under which the supervisor knows this process of this host: ``n1-etcd``."""
    return f"{host.name}-{process}"


def hosts_of(process: str) -> tuple[Host, ...]:
    """Return the hosts that run this process, in order."""
    return tuple(host for host in HOSTS if process in host.processes)


def listeners() -> tuple[Listener, ...]:
    """Return every address and port of the bed."""
    found = [Listener(host.address, port, program_name(host, process))
             for host in HOSTS for process in host.processes for port in _PORTS[process]]
    return (*found, Listener(BALANCER_ADDRESS, APISERVER_PORT, BALANCER))
