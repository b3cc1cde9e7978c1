# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What is known when something is planned. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBELET
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import Phase, phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Observation, Rotation
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import Objects

Known = t.Mapping[str, t.Mapping[str, t.Any]]
Result = dict[str, t.Any]


class Arguments(t.NamedTuple):
    """All that is known when a phase is planned."""

    on: t.Mapping[str, hosts.Host]
    cluster: items.Cluster
    observed: t.Mapping[str, Observation]
    rotation: Rotation
    known: Known
    objects: Objects
    nodes_at_a_time: int = 1  # workers whose kubelets restart side by side
    before: t.Mapping[str, Observation] = {}  # "reloads" and "volumes" of nodes as they were before the CA in the volumes began to change

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the rotation in their order."""
        return phases_of(self.rotation.generations)


def runs_pods(on_hosts: t.Iterable[hosts.Host]) -> bool:
    """Whether pods run on one of the hosts, as far as the layout knows."""
    return any(KUBELET in on.components for on in on_hosts)
