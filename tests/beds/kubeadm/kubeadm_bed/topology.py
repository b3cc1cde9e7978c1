# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes a bed has, and their addresses. ``REKEY_KUBEADM_BED`` (0 to 9) numbers beds that live side by side. Pure."""

from __future__ import annotations

import os
import typing as t

NUMBER = int(os.environ.get("REKEY_KUBEADM_BED") or "0")
NETWORK = f"rekey{NUMBER}-kubeadm"
_NETWORK_PREFIX = f"10.123.{NUMBER}"
SUBNET = f"{_NETWORK_PREFIX}.0/24"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
DNS_SERVICE = "10.96.0.10"
API_PORT = 6443
STATE_PORT = 8404  # the balancer's page that says which API server it uses
ADMIN_PORT = 9999  # the balancer's runtime interface
PREFIX = f"rekey{NUMBER}-"


class Node(t.NamedTuple):
    """A node: its name, its address, the number of its pod network."""

    name: str
    address: str
    number: int

    @property
    def container(self) -> str:
        """The name of its container."""
        return PREFIX + self.name

    @property
    def pods(self) -> str:
        """Its pods' network."""
        return f"10.244.{self.number}.0/24"

    @property
    def control_plane(self) -> bool:
        """Whether it runs a control plane."""
        return self.name.startswith("cp")


BALANCER = Node("lb", f"{_NETWORK_PREFIX}.10", 10)
ENDPOINT = f"{BALANCER.address}:{API_PORT}"


def node(name: str) -> Node:
    """Return the node that a name (``cp1`` to ``cp9``, ``w1`` to ``w9``) stands for; :raises ValueError: for other names."""
    kind, digits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")):]
    if kind not in ("cp", "w") or not digits or not 1 <= int(digits) <= 9:
        raise ValueError(f"{name}: nodes are called cp1 to cp9 and w1 to w9")
    number = (10 if kind == "cp" else 20) + int(digits)
    return Node(name, f"{_NETWORK_PREFIX}.{number}", number)


def nodes(control_planes: int, workers: int) -> list[Node]:
    """Return so many control planes and workers."""
    return [node(f"cp{one}") for one in range(1, control_planes + 1)] + [node(f"w{one}") for one in range(1, workers + 1)]
