# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A model of a cluster under rotation: which process of which host reads what, and when it takes a change over.

Nothing here is a certificate. A leaf is the generation that signed it (``"old"``), a bundle the generations in it
(``("old", "new")``). What reads what comes from the tables of trust edges, the catalogue, the layouts and the reload table, so
that a row added there is in the model at once.

What hosts hold is in ``model_change.py``, how they get there step by step in ``model_steps.py``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import LEAVES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.hosts import Host
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import SYSTEMD, Layout
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import (
    NEW,
    OLD,
    POD_TOKEN,
    PROJECTED_TOKEN,
    SECRET_TOKENS,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import RELOAD, run_reason
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST, Trust

Bundle = tuple[str, ...]

# What can happen in any state. Each can be switched off, which shows what it is there for; a proof needs all of them.
HALF_WAY = "a host dies between two steps of a phase, and comes back with what is written"
LATE = "a live reload has not happened yet"
STANDBY = "any running controller-manager wins the lease"
JOIN = "a node joins, or a kubelet renews its client certificate"
POD_START = "a pod starts"
WRITE_BACK = "an API server writes what it trusts into extension-apiserver-authentication again"
EVERYTHING = frozenset({HALF_WAY, LATE, STANDBY, JOIN, POD_START, WRITE_BACK})

_RELOAD = {(row.component, row.input): row for row in RELOAD}

# Trust that no file of a host holds.
PODS = "pods.server-ca"
CLUSTER_INFO = "joining-node.server-ca"
PUBLISHED = {"published.client-ca": "apiserver.client-ca", "published.requestheader-ca": "apiserver.requestheader-ca"}
# Trust of a node that nobody of the inventory knows yet: kubeadm's join fills both from cluster-info.
NODE_TRUST = ("kubelet.client-ca", "kubelet.server-ca")
NODE_LEAF = "kubelet-client"
ROOT_CA = "controller-manager.root-ca"
SIGNED = "signed"
# The pair that the controller-manager signs with: a presenter that the catalogue cannot list. Its flags say where it lies.
SIGNER = "signer"
SIGNER_PLACE = "signer-flags"
HOME = "home"  # in the bundle of the layout's copy, which then may hold one certificate only
APART = "apart"
SIGNER_KEY = "signer-home-key"  # at home the key is a file of its own, and may be of another generation than the bundle
UNREAD = (SIGNER_PLACE, SIGNER_KEY)  # nobody presents these or trusts by them
_SIGNER_ROW = ("kubernetes", "kube-controller-manager")
_SIGNER_INPUTS = {SIGNER: "--cluster-signing-cert-file", SIGNER_PLACE: "flags"}
# Who signs tokens with the service accounts' key, and the tokens that no process of the inventory's hosts reads.
_TOKEN_SIGNERS = {SERVICE_ACCOUNTS: "kube-apiserver", SECRET_TOKENS: "kube-controller-manager"}
TOKENS = (PROJECTED_TOKEN, POD_TOKEN)
# Rows that no phase moves on a host, because its layout has no file for them there.
_NOBODY = "nobody"


class Cluster(t.NamedTuple):
    """Hosts, each of its layout, the Kubernetes version as (major, minor), and what may happen to them in any state.

    ``flags``: whether components are started with the flags that they may do without (``Trust.optional``).
    """

    hosts: tuple[Host, ...]
    minor: tuple[int, int] = (1, 37)
    happens: frozenset[str] = EVERYTHING
    flags: bool = True


class Input(t.NamedTuple):
    """What one process of one host reads: a bundle (a trust row's name) or a presenter's leaf or signer."""

    name: str
    component: str  # "" for people and tools, which no run restarts
    file: str
    side: str  # whose phases move it; "" for presenters, which phases name
    key: str  # under which its host keeps its value
    live: bool  # the process takes a change over by itself
    restart: bool  # the run restarts the process when the input changes
    late: bool = True  # taking it over by itself may take until the gate
    home: Input | None = None  # the input from whose file it is read while it is at home there


def host_of(name: str, components: t.Sequence[str], layout: Layout = SYSTEMD) -> Host:
    """Return a host that runs these processes. A kubelet alone makes a worker, in any layout."""
    groups = [process.group for process in layout.processes if process.name in components and process.name != "kubelet"]
    return Host(name, name, "", tuple(dict.fromkeys(groups)) or ("kube_node",), layout, "", "etcd", tuple(components))


def components_of(layout: Layout) -> tuple[str, ...]:
    """Return the processes of a control plane with an etcd member."""
    return tuple(process.name for process in layout.processes)


def cluster_of(control_planes: int, workers: int = 1, minor: tuple[int, int] = (1, 37), layout: Layout = SYSTEMD) -> Cluster:
    """Return a cluster of alike control planes, each with an etcd member, and of workers."""
    found = [host_of(f"n{number}", components_of(layout), layout) for number in range(1, control_planes + 1)]
    found += [host_of(f"w{number}", ("kubelet",), layout) for number in range(1, workers + 1)]
    return Cluster(tuple(found), minor)


# Two control planes and a worker stand for any number: an edge has two ends, so no broken edge needs a third host of a kind.
DEFAULT = cluster_of(2)


def rows_of(authorities: t.Sequence[str]) -> tuple[Trust, ...]:
    """Return the trust rows of the authorities in the run; the others keep one generation and cannot break."""
    return tuple(row for row in TRUST if row.authority in authorities)


def presenters_of(authorities: t.Sequence[str]) -> tuple[str, ...]:
    """Return every presenter that a phase can move: the signer, the catalogue's leaves, the kubelets' client certificate."""
    listed = [(leaf.name, leaf.authority) for leaf in LEAVES]
    tokens = [(name, SERVICE_ACCOUNTS) for name in (*_TOKEN_SIGNERS, *TOKENS)]
    return tuple(name for name, authority in [(SIGNER, _SIGNER_ROW[0]), *listed, *tokens] if authority in authorities)


def inputs_of_hosts(cluster: Cluster, authorities: t.Sequence[str]) -> dict[str, tuple[Input, ...]]:
    """Return the inputs of each host of the cluster."""
    return {host.name: inputs_of(host, cluster.minor, authorities, cluster.flags) for host in cluster.hosts}


def inputs_of(host: Host, minor: tuple[int, int], authorities: t.Sequence[str], flags: bool = True) -> tuple[Input, ...]:
    """Return all that the host's processes, and the people and tools on it, read from the host's files."""
    rows = [row for row in rows_of(authorities) if row.name not in (PODS, CLUSTER_INFO, *PUBLISHED)]
    found = [_trust_input(host, row, minor) for row in rows
             if _runs(host, row.component, "kube_control_plane") and (flags or not row.optional)]
    pairs = hosts.pairs(host)
    for leaf in LEAVES:
        if leaf.authority in authorities and _runs(host, leaf.component, leaf.group):
            loaded = hosts.leaf_input(pairs[leaf.name]) if leaf.name in pairs else "leaf"
            found.append(_input(leaf.name, leaf.component, loaded, leaf.name, minor))
    return (*found, *_signer_inputs(host, found, minor, authorities), *_token_signer_inputs(host, minor, authorities))


def _trust_input(host: Host, row: Trust, minor: tuple[int, int]) -> Input:
    """Return what the row's verifier reads on the host: verifiers of one host may share a file, which then moves as a whole."""
    bundle = hosts.read_by(host, row)
    if bundle:
        side, loaded, name = hosts.side(host, bundle.name), hosts.input_of(row, bundle), bundle.name
    else:
        known = row.component in ("", *components_of(host.layout))
        side, loaded, name = _NOBODY if known else row.side, row.input, row.bundle
    key = row.name if side == row.side else f"{row.name} of {side}"
    return _input(row.name, row.component, loaded, f"bundle {name}", minor)._replace(side=side, key=key)


def _signer_inputs(host: Host, others: t.Sequence[Input], minor: tuple[int, int], authorities: t.Sequence[str]) -> list[Input]:
    """Return the controller-manager's signing pair and, where that has a home, the flags that say where it lies."""
    authority, component = _SIGNER_ROW
    if authority not in authorities or component not in host.components:
        return []
    pair, flags = (_input(name, component, loaded, name, minor) for name, loaded in _SIGNER_INPUTS.items())
    copy = hosts.copies(host)[SIGNER]
    if not copy.home:
        return [pair]
    bundle = next(name for name, row in hosts.bundles(host).items() if row.path == copy.home)
    key = flags._replace(name=SIGNER_KEY, file=SIGNER_KEY, key=SIGNER_KEY, live=False, restart=False)
    return [pair._replace(home=next(one for one in others if one.file == f"bundle {bundle}")), key, flags]


def _token_signer_inputs(host: Host, minor: tuple[int, int], authorities: t.Sequence[str]) -> list[Input]:
    """Return the service accounts' key as each process of the host that signs tokens with it reads it."""
    if SERVICE_ACCOUNTS not in authorities:
        return []
    return [_input(name, component, hosts.copies(host)[SERVICE_ACCOUNTS].readers[component], SERVICE_ACCOUNTS, minor)
            for name, component in _TOKEN_SIGNERS.items() if component in host.components]


def _runs(host: Host, component: str, group: str) -> bool:
    """Say whether the host has the component; people and tools ("") are on every host of the group."""
    return component in host.components if component else host.belongs(group)


def _input(name: str, component: str, loaded: str, file: str, minor: tuple[int, int]) -> Input:
    if not component:
        return Input(name, component, file, "", name, live=True, restart=False)
    since = _RELOAD[component, loaded].live_since
    return Input(name, component, file, "", name, since is not None and minor >= since, bool(run_reason(component, loaded, minor)))


def bundle(generations: t.Iterable[str]) -> Bundle:
    """Return the generations as a bundle, in the one order in which the model compares them."""
    return tuple(generation for generation in (OLD, NEW) if generation in set(generations))
