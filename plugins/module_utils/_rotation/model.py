# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A model of a cluster under rotation: which process of which host reads what, and when it takes a change over.

Nothing here is a certificate. A leaf is the generation that signed it (``"old"``), a bundle the generations in it
(``("old", "new")``). What reads what comes from the tables of trust edges, the catalogue and the reload table, so that a row
added there is in the model at once.

All hosts that read an input of one name hold the same value whenever a gate holds; so a *settled* cluster is a mapping from
the input's name to its value, and only inside a phase (``model_steps.py``) do hosts differ.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import SYSTEMD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import RELOAD, must_restart
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST, Trust
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

Bundle = tuple[str, ...]
Settled = dict[str, t.Any]  # the name of a trust row -> Bundle, the name of a presenter -> generation

# What can happen in any state. Each can be switched off, which shows what it is there for; a proof needs all of them.
HALF_WAY = "a host dies or is looked at between two steps of a phase"
LATE = "a live reload has not happened yet"
STANDBY = "any running controller-manager wins the lease"
JOIN = "a node joins, or a kubelet renews its client certificate"
POD_START = "a pod starts"
WRITE_BACK = "an API server writes what it trusts into extension-apiserver-authentication again"
EVERYTHING = frozenset({HALF_WAY, LATE, STANDBY, JOIN, POD_START, WRITE_BACK})

CONTROL_PLANE_COMPONENTS = tuple(process.name for process in SYSTEMD.processes)
_GROUP = {process.name: process.group for process in SYSTEMD.processes}
_RELOAD = {(row.component, row.input): row for row in RELOAD}

# Trust that no file of a host holds.
PODS = "pods.server-ca"
CLUSTER_INFO = "joining-node.server-ca"
PUBLISHED = {"published.client-ca": "apiserver.client-ca", "published.requestheader-ca": "apiserver.requestheader-ca"}
# Trust of a node that nobody of the inventory knows yet: kubeadm's join fills both from cluster-info.
NODE_TRUST = ("kubelet.client-ca", "kubelet.server-ca")
NODE_LEAF = "kubelet-client"
ROOT_CA = "controller-manager.root-ca"
SIGNER = "signer"
SIGNED = "signed"

# Presenters that the catalogue cannot list: the signer's copy of the authority, and what the cluster issues to itself.
_UNLISTED = {
    SIGNER: ("kubernetes", "kube-controller-manager", "--cluster-signing-cert-file"),
}


class Host(t.NamedTuple):
    """A host and the processes that run on it."""

    name: str
    components: tuple[str, ...]


class Cluster(t.NamedTuple):
    """Hosts, the Kubernetes version as (major, minor), and what may happen to them in any state."""

    hosts: tuple[Host, ...]
    minor: tuple[int, int] = (1, 37)
    happens: frozenset[str] = EVERYTHING


class Input(t.NamedTuple):
    """What one process of one host reads: a bundle (a trust row's name) or a presenter's leaf or signer."""

    name: str
    component: str  # "" for people and tools, which no run restarts
    file: str
    live: bool  # the process takes a change over by itself
    restart: bool  # the run restarts the process when the input changes
    late: bool = True  # taking it over by itself may take until the gate


class Change(t.NamedTuple):
    """One phase of a rotation of these authorities: the cluster, what is settled before it and what its gate will prove."""

    phase: Phase
    cluster: Cluster
    authorities: tuple[str, ...]
    settled: Settled
    wanted: Settled

    def happens(self, what: str) -> bool:
        """Say whether this may happen in any state."""
        return what in self.cluster.happens

    @property
    def rows(self) -> tuple[Trust, ...]:
        """The trust rows of the authorities."""
        return rows_of(self.authorities)

    @property
    def concerned(self) -> tuple[str, ...]:
        """The names of the trust rows that the phase names."""
        return tuple(row.name for row in self.rows if concerns(self.phase, row))


def change_of(phase: Phase, cluster: Cluster, authorities: t.Sequence[str], settled: Settled) -> Change:
    """Return the change that the phase makes.

    :raises PkiError: where the phase names a presenter or a side that no table knows.
    """
    return Change(phase, cluster, tuple(authorities), settled, _settled_after(settled, phase, authorities))


def cluster_of(control_planes: int, workers: int = 1, minor: tuple[int, int] = (1, 37)) -> Cluster:
    """Return a cluster of alike control planes, each with an etcd member, and of workers."""
    hosts = [Host(f"n{number}", CONTROL_PLANE_COMPONENTS) for number in range(1, control_planes + 1)]
    hosts += [Host(f"w{number}", ("kubelet",)) for number in range(1, workers + 1)]
    return Cluster(tuple(hosts), minor)


# Two control planes and a worker stand for any number: an edge has two ends, so no broken edge needs a third host of a kind.
DEFAULT = cluster_of(2)


def rows_of(authorities: t.Sequence[str]) -> tuple[Trust, ...]:
    """Return the trust rows of the authorities in the run; the others keep one generation and cannot break."""
    return tuple(row for row in TRUST if row.authority in authorities)


def presenters_of(authorities: t.Sequence[str]) -> tuple[str, ...]:
    """Return every presenter that a phase can move: the signer, the catalogue's leaves, the kubelets' client certificate."""
    listed = [(leaf.name, leaf.authority) for leaf in LEAVES]
    unlisted = [(name, authority) for name, (authority, component, loaded) in _UNLISTED.items()]
    return tuple(name for name, authority in unlisted + listed if authority in authorities)


def inputs_of(host: Host, minor: tuple[int, int], authorities: t.Sequence[str]) -> tuple[Input, ...]:
    """Return all that the host's processes, and the people and tools on it, read from the host's files."""
    rows = [row for row in rows_of(authorities) if row.name not in (PODS, CLUSTER_INFO, *PUBLISHED)]
    found = [
        _input(row.name, row.component, row.input, _file(row), minor)
        for row in rows if _runs(host, row.component, "kube_control_plane")
    ]
    found += [
        _input(leaf.name, leaf.component, "leaf", leaf.name, minor)
        for leaf in LEAVES if leaf.authority in authorities and _runs(host, leaf.component, leaf.group)
    ]
    found += [
        _input(name, component, loaded, name, minor)
        for name, (authority, component, loaded) in _UNLISTED.items()
        if authority in authorities and component in host.components
    ]
    return tuple(found)


def _file(row: Trust) -> str:
    """Return the file that holds the trust: verifiers of one host may share it."""
    return f"bundle {SYSTEMD.same.get(row.bundle, row.bundle)}" if row.bundle else row.input


def _runs(host: Host, component: str, group: str) -> bool:
    """Say whether the host has the component; people and tools ("") are on every host of the group."""
    if component:
        return component in host.components
    return any(_GROUP.get(name) in group.split() for name in host.components)


def _input(name: str, component: str, loaded: str, file: str, minor: tuple[int, int]) -> Input:
    if not component:
        return Input(name, component, file, live=True, restart=False)
    since = _RELOAD[component, loaded].live_since
    return Input(name, component, file, since is not None and minor >= since, must_restart(component, loaded, minor))


def bundle(generations: t.Iterable[str]) -> Bundle:
    """Return the generations as a bundle, in the one order in which the model compares them."""
    return tuple(generation for generation in (OLD, NEW) if generation in set(generations))


def settled_at_start(authorities: t.Sequence[str]) -> Settled:
    """Return the cluster before a rotation: everything is of the old generation."""
    settled: Settled = {row.name: (OLD,) for row in rows_of(authorities) if row.name not in (PODS, *PUBLISHED)}
    settled.update((name, OLD) for name in presenters_of(authorities))
    return settled


def _settled_after(settled: Settled, phase: Phase, authorities: t.Sequence[str]) -> Settled:
    """Return the state that the phase's gate proves. What the phase does not name stays as it was."""
    _check_names(phase)
    wanted = dict(settled)
    wanted.update((row.name, bundle(phase.trusts)) for row in rows_of(authorities) if concerns(phase, row) and row.name in settled)
    wanted.update((name, NEW) for name in phase.presents if name in settled)
    return wanted


def concerns(phase: Phase, row: Trust) -> bool:
    """Say whether the phase changes this trust.

    Our own lists name a side; for the lists of others a side may also be one component or one row of the trust table.
    """
    return bool(phase.side) and phase.side in (row.side, row.component, row.name)


def _check_names(phase: Phase) -> None:
    unknown = sorted(set(phase.presents) - set(presenters_of(AUTHORITIES)))
    if unknown:
        raise PkiError(f"phase {phase.name}", f"unknown presenter {', '.join(unknown)}", "use a name of the catalogue")
    if phase.side and not any(concerns(phase, row) for row in TRUST):
        raise PkiError(f"phase {phase.name}", f"unknown side {phase.side}", "use a side, component or row of the trust table")
