# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kubeadm on the bed's nodes: init, join, and waiting until the cluster works."""

from __future__ import annotations

import re
import typing as t

from kubeadm_bed import topology
from kubeadm_bed.commands import inside, wait
from kubeadm_bed.nodes import TEMPLATES, Bed, put
from kubeadm_bed.topology import Node
from loopback_bed.progress import Progress

READY_SECONDS = 240
_ADMIN = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf")


class Choices(t.NamedTuple):
    """How a cluster differs from kubeadm's defaults.

    ``graceful``: API servers get the two flags with which a restart costs no request. ``kubelet_serving``: where kubelets have their
    serving certificate from: ``self-signed`` is the default, ``bootstrap`` asks the cluster for one (serverTLSBootstrap), ``files`` names
    two files that somebody else keeps; API servers check the latter two.
    """

    graceful: bool = True
    kubelet_serving: str = "self-signed"


def init(bed: Bed, first: Node, choices: Choices, progress: Progress) -> str:
    """Run ``kubeadm init`` and return what it says; a PKI that is there already is used."""
    progress.say(f"  kubeadm init on {first.name}")
    text = TEMPLATES.get_template("kubeadm.yaml.j2").render(
        node=first, version=bed.read()["version"], endpoint=topology.ENDPOINT, pod_network=topology.POD_NETWORK,
        service_network=topology.SERVICE_NETWORK, dns_service=topology.DNS_SERVICE, **choices._asdict())
    put(first, "/etc/kubeadm.yaml", text.encode(), "600")
    return _kubeadm(first, "init")


def join(bed: Bed, first: Node, one: Node, progress: Progress, upload: bool = True) -> str:
    """Have a node join, with a token of its own, and return what kubeadm says.

    :param upload: whether a control plane gets the keys by kubeadm's own upload; else its PKI must be there already.
    """
    progress.say(f"  kubeadm join on {one.name}")
    command = inside(first.container, "kubeadm", "token", "create", "--ttl", "30m", "--print-join-command")
    token, ca_hash = (re.search(pattern, command)[1] for pattern in (r"--token (\S+)", r"--discovery-token-ca-cert-hash (\S+)"))  # type: ignore[index]
    key = _uploaded(first) if one.control_plane and upload else ""
    text = TEMPLATES.get_template("join.yaml.j2").render(node=one, endpoint=topology.ENDPOINT, token=token, ca_hash=ca_hash,
                                                         certificate_key=key)
    put(one, "/etc/kubeadm.yaml", text.encode(), "600")
    return _kubeadm(one, "join")


def _kubeadm(one: Node, command: str) -> str:
    """Run kubeadm with the configuration that is there; its warnings are part of what it says."""
    return inside(one.container, "sh", "-c", 'exec kubeadm "$0" --config /etc/kubeadm.yaml 2>&1', command)


def _uploaded(first: Node) -> str:
    said = inside(first.container, "kubeadm", "init", "phase", "upload-certs", "--upload-certs", "--config", "/etc/kubeadm.yaml")
    return said.strip().splitlines()[-1]


def kubectl(first: Node, *argv: str, **more: t.Any) -> str:
    """Run kubectl as the administrator."""
    return inside(first.container, *_ADMIN, "kubectl", *argv, **more)


def wait_ready(first: Node, progress: Progress) -> None:
    """Wait until every node is ready and CoreDNS answers."""
    def nodes_ready() -> bool:
        said = kubectl(first, "get", "nodes", "-o", "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}").split()
        return bool(said) and set(said) == {"True"}

    wait("nodes ready", nodes_ready, READY_SECONDS)
    progress.say("  nodes ready")
    kubectl(first, "-n", "kube-system", "rollout", "status", "deployment/coredns", f"--timeout={READY_SECONDS}s")
    progress.say("  CoreDNS available")
