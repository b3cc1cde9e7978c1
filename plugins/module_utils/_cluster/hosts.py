# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One host: which rows of the tables live on it, with their paths filled in."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import LEAVES, Leaf
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import (
    LAYOUTS,
    Bundle,
    Copy,
    Kubeconfig,
    Layout,
    Pair,
    Process,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

STATE_DIR = ".rekey"


class Host(t.NamedTuple):
    """A host of the inventory as the tables need it."""

    name: str
    node: str
    address: str
    groups: tuple[str, ...]
    layout: Layout
    kubernetes_dir: str
    etcd_dir: str
    components: tuple[str, ...]

    @property
    def state_dir(self) -> str:
        """A 0700 directory of ours on the host, for canaries."""
        base = self.kubernetes_dir if "kube_control_plane" in self.groups else self.etcd_dir
        return f"{base}/{STATE_DIR}"

    def path(self, template: str) -> str:
        """Fill a layout's path in."""
        return template.format(kubernetes_dir=self.kubernetes_dir, etcd_dir=self.etcd_dir)


def host(description: t.Mapping[str, t.Any]) -> Host:
    """Return the host that a description (the roles' ``pki_host`` dictionary) tells of.

    ``components`` defaults to every process of the layout that belongs to one of the host's groups.

    :raises PkiError: for an unknown layout or component, or a missing address.
    """
    name = description["name"]
    layout = LAYOUTS.get(description.get("layout") or "systemd")
    if layout is None:
        raise PkiError(name, f"unknown pki_layout {description['layout']!r}", f"one of {', '.join(LAYOUTS)}")
    groups = tuple(description["groups"])
    here = tuple(process.name for process in layout.processes if process.group in groups)
    components = tuple(description.get("components") or here)
    unknown = sorted(set(components) - set(here))
    if unknown:
        raise PkiError(name, f"pki_components names {', '.join(unknown)}", f"its groups run {', '.join(here) or 'nothing'}")
    if here and not description.get("address"):
        raise PkiError(name, "has no pki_node_ip", "set it to the address its processes listen on")
    return Host(name, description.get("node") or name, description.get("address") or "", groups, layout,
                description["kubernetes_dir"].rstrip("/"), description["etcd_dir"].rstrip("/"), components)


def leaves(on: Host) -> list[Leaf]:
    """Return the catalogue's rows that live on the host."""
    return [leaf for leaf in LEAVES if leaf.group in on.groups and leaf.component in ("", *on.components)]


def pairs(on: Host) -> dict[str, Pair]:
    """Return leaf name → pair with its path filled in."""
    names = {leaf.name for leaf in leaves(on)}
    return {pair.leaf: pair._replace(base=on.path(pair.base)) for pair in on.layout.pairs if pair.leaf in names}


def bundles(on: Host) -> dict[str, Bundle]:
    """Return bundle name → bundle with its path filled in."""
    return {row.name: row._replace(path=on.path(row.path)) for row in on.layout.bundles if row.group in on.groups}


def kubeconfigs(on: Host) -> list[Kubeconfig]:
    """Return the kubeconfigs of the leaves on the host, with their paths filled in."""
    names = {leaf.name for leaf in leaves(on)}
    return [row._replace(path=on.path(row.path)) for row in on.layout.kubeconfigs if row.leaf in names]


def copies(on: Host) -> dict[str, Copy]:
    """Return the copies of the authority host's pairs that the host's components need."""
    return {
        row.name: row._replace(key=on.path(row.key), public=on.path(row.public))
        for row in on.layout.copies
        if set(row.readers) & set(on.components)
    }


def processes(on: Host) -> list[Process]:
    """Return the processes that run on the host, in starting order."""
    return [process for process in on.layout.processes if process.name in on.components]
