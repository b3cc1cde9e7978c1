# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A load on the running kubeadm bed that tells whether anybody was refused: ``load.py --summary FILE --log FILE``.

Beside the clients of the other bed's load (new connections, a kept connection, a watch, each API server asked directly), it has:

* the aggregated API and the webhook, each once a second through the balancer;
* every ten seconds a person's certificate, requested, approved, signed and used;
* logs of a pod and ``kubectl exec`` on each node every five seconds, ``kubectl port-forward`` every fifteen: counted by node, each
  failure with its time, since a node's only kubelet cannot be restarted without one now and then;
* what the clients in pods have counted meanwhile, those with files that cannot follow ("stragglers") apart.

It is the administrator of the first control plane: the kubeconfig is read there anew for each connection when it has changed.
The sample workloads must be deployed. It runs until SIGTERM or SIGINT, at most --seconds, and writes its summary then.
Only this machine's addresses and the bed's are ever asked.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import sys
import threading
import typing as t

import load_clients as clients
import load_run
from kubeadm_bed import load_nodes, load_objects, nodes, pod_counts, topology
from kubeadm_bed.commands import root_of
from kubeadm_bed.credentials import Kubeconfig
from load_tally import BALANCED, Tally
from loopback_bed.errors import BedError

_NICENESS = -15
_APART_SECONDS = 0.7  # between the first requests to two nodes: not all kubectls at once


class Pods:
    """What pods count while the load runs."""

    def __init__(self, bed: nodes.Bed) -> None:
        self._bed = bed
        self._before: pod_counts.Counts = {}

    def begin(self) -> None:
        """Remember what they have counted so far."""
        self._before = pod_counts.read(nodes.nodes_of(self._bed))

    def summary(self) -> load_run.Summary:
        """Return what they have counted since, on nodes that have joined meanwhile, too."""
        return pod_counts.between(self._before, pod_counts.read(nodes.nodes_of(self._bed)), datetime.datetime.now(datetime.timezone.utc))


def node_bodies(load: clients.Load, kubectl: load_nodes.Kubectl, names: t.Sequence[str]) -> list[load_run.Body]:
    """Return the clients of the nodes."""
    return [functools.partial(load_nodes.NodeClient(load, kubectl, kind, name).run, number * _APART_SECONDS)
            for number, (kind, name) in enumerate((kind, name) for kind in load_nodes.SECONDS for name in names)]


def object_bodies(load: clients.Load, administrator: Kubeconfig) -> list[load_run.Body]:
    """Return the clients of certificates, aggregated API and webhook."""
    return [functools.partial(load_objects.certificate_requests, load, administrator),
            functools.partial(load_objects.every_second, load, load_objects.AGGREGATED, load_objects.aggregated),
            functools.partial(load_objects.every_second, load, load_objects.WEBHOOK, load_objects.webhook)]


def stage(log: t.TextIO, stop: threading.Event) -> load_run.Stage:
    """Return the load of this bed; :raises BedError: when it does not run."""
    bed = nodes.bed_of(os.environ)
    everyone = nodes.nodes_of(bed)
    root = root_of(everyone[0].container)
    administrator = Kubeconfig(root / "etc/kubernetes/admin.conf")
    kubectl = load_nodes.Kubectl(root / "usr/bin/kubectl", administrator.path, bed.directory / "kubectl-cache")
    balancer = (topology.BALANCER.address, topology.API_PORT)
    direct = [(one.address, topology.API_PORT) for one in everyone if one.control_plane]
    load_run.check_addresses([balancer, *direct], [load_run.LOOPBACK, topology.SUBNET])
    load = clients.Load(balancer, clients.Credentials(administrator), Tally(log, balanced=(*BALANCED, *load_objects.OBJECTS)), stop)
    pods = Pods(bed)

    def begin() -> None:
        for body in (load_objects.aggregated, load_objects.webhook):
            load_run.until_it_works(load, functools.partial(body, load))
        pods.begin()

    def finish(summary: load_run.Summary) -> load_run.Summary:
        others, by_node = load_nodes.by_node(summary["direct"])
        return {**summary, "direct": others, "nodes": by_node, **pods.summary()}

    bodies = [*load_run.balanced_and_direct(load, direct), *object_bodies(load, administrator),
              *node_bodies(load, kubectl, [one.name for one in everyone])]
    return load_run.Stage(load, bodies, begin, finish)


def main() -> int:
    """Return 0 whatever was refused, for the summary tells that, and 1 where the load itself failed."""
    # The nodes have more weight than any process of this machine: a load that starves beside them tells of itself, not of the cluster.
    with contextlib.suppress(PermissionError):
        os.nice(_NICENESS)
    try:
        return load_run.command(__doc__, stage)
    except BedError as exc:
        print(f"load: {exc}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
