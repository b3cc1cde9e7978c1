# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One host: which rows of the tables live on it, with their paths filled in."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES, Leaf
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import (
    FILES,
    KUBECONFIG,
    KUBELET,
    LAYOUTS,
    Bundle,
    Copy,
    Kubeconfig,
    Layout,
    Pair,
    Process,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE, TOKENS, TRUST, Trust
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

EXTERNAL_CA = "external_ca"
# Leaf, or "" for any, and how it is stored -> the reload table's input.
_LEAF_INPUT = {("", KUBECONFIG): "kubeconfig client-certificate-data", ("kubelet-server", FILES): "tlsCertFile"}


class Host(t.NamedTuple):
    """A host of the inventory as the tables need it."""

    name: str
    node: str
    address: str
    groups: tuple[str, ...]  # of the inventory, and those that layouts.py adds to them
    layout: Layout
    kubernetes_dir: str
    etcd_dir: str
    components: tuple[str, ...]
    leaf_files: t.Mapping[str, str] = {}  # leaf -> path without ending, where the host keeps it in two files of another name

    @property
    def state_dir(self) -> str:
        """A 0700 directory of ours on the host, for canaries and what a rotation keeps apart."""
        return self.path(next(path for group, path in self.layout.state_dir.items() if group in self.groups))

    def belongs(self, group: str) -> bool:
        """Whether the host is in one of the groups that a row names, separated by spaces."""
        return bool(set(group.split()) & set(self.groups))

    def same(self, bundle: str) -> str:
        """Return the layout's bundle that serves for one of the trust table."""
        return self.layout.same.get(bundle, bundle)

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
    here = tuple(process.name for process in layout.processes if set(process.group.split()) & set(groups))
    components = tuple(description.get("components") or here)
    unknown = sorted(set(components) - set(here))
    if unknown:
        raise PkiError(name, f"pki_components names {', '.join(unknown)}", f"its groups run {', '.join(here) or 'nothing'}")
    if here and not description.get("address"):
        raise PkiError(name, "has no pki_node_ip", "set it to the address its processes listen on")
    return Host(name, description.get("node") or name, description.get("address") or "", groups, layout,
                description["kubernetes_dir"].rstrip("/"), description["etcd_dir"].rstrip("/"), components,
                description.get("leaf_files") or {})


def leaves(on: Host) -> list[Leaf]:
    """Return the catalogue's rows that live on the host, with the subject that the layout gives them."""
    kept = {pair.leaf for pair in on.layout.pairs}
    return [leaf._replace(organizations=on.layout.organizations.get(leaf.name, leaf.organizations))
            for leaf in LEAVES if leaf.name in kept and on.belongs(leaf.group) and leaf.component in ("", *on.components)]


def pairs(on: Host) -> dict[str, Pair]:
    """Return leaf name → pair with its path filled in."""
    names = {leaf.name for leaf in leaves(on)}
    return {pair.leaf: Pair(pair.leaf, on.leaf_files[pair.leaf], optional=pair.optional) if pair.leaf in on.leaf_files
            else pair._replace(base=on.path(pair.base)) for pair in on.layout.pairs if pair.leaf in names}


def bundles(on: Host) -> dict[str, Bundle]:
    """Return bundle name → bundle with its path filled in."""
    return {row.name: row._replace(path=on.path(row.path)) for row in on.layout.bundles if on.belongs(row.group)}


def read_by(on: Host, edge: Trust) -> Bundle | None:
    """Return the bundle of the host in which a trust edge's verifier keeps its trust; None where it keeps it elsewhere."""
    return bundles(on).get(on.same(edge.bundle))


def input_of(edge: Trust, bundle: Bundle) -> str:
    """Return the reload table's name of what the verifier reads: inline data is another input than a file that is named."""
    return f"{edge.input}-data" if bundle.inline else edge.input


def leaf_input(pair: Pair) -> str:
    """Return the reload table's name of what the presenter of a leaf reads, which depends on how the pair is stored."""
    return _LEAF_INPUT.get((pair.leaf, pair.store)) or _LEAF_INPUT.get(("", pair.store), "leaf")


def side(on: Host, name: str) -> str:
    """Return which phases move a bundle of the host: the control planes' where their processes, or people on them, trust CAs by it."""
    sides = {edge.side for edge in TRUST if edge.component in ("", *on.components) and on.same(edge.bundle) == name}
    return next((one for one in (CONTROL_PLANE, TOKENS) if one in sides), CLIENTS)


def kubeconfigs(on: Host) -> list[Kubeconfig]:
    """Return the kubeconfigs that the host is provisioned with, with their paths and names filled in."""
    names, rows = {leaf.name for leaf in leaves(on)}, []
    for row in on.layout.kubeconfigs:
        if row.leaf in names and on.belongs(row.group):
            user = row.user.format(node=on.node)
            rows.append(row._replace(path=on.path(row.path), user=user, context=row.context.format(user=user)))
    return rows


def provisioned(on: Host) -> list[Leaf]:
    """Return the leaves that the host is provisioned with: all but those that are not its part, and those that somebody else brings."""
    left_out = {row.leaf for row in on.layout.kubeconfigs} - {row.leaf for row in kubeconfigs(on)}
    left_out |= {pair.leaf for pair in on.layout.pairs if pair.optional and pair.store != KUBECONFIG}
    return [leaf for leaf in leaves(on) if leaf.name not in left_out]


def address(on: Host, process: str) -> str:
    """Return where a process of the host listens."""
    return next(row.address for row in on.layout.processes if row.name == process) or on.address


def copies(on: Host) -> dict[str, Copy]:
    """Return the copies of the authority host's pairs that the host's components need; no authority's where the CA is external."""
    return {
        row.name: row._replace(key=on.path(row.key), public=on.path(row.public), home_key=on.path(row.home_key), home=on.path(row.home))
        for row in on.layout.copies
        if set(row.readers) & set(on.components) and not (row.authority in AUTHORITIES and on.belongs(EXTERNAL_CA))
    }


def processes(on: Host) -> list[Process]:
    """Return the processes that run on the host, in starting order."""
    return [process for process in on.layout.processes if process.name in on.components]


def places(on: Host) -> dict[str, str]:
    """Return directory → mode of every directory that the host is provisioned with something in."""
    kept = {leaf.name for leaf in provisioned(on)}
    found = {pair.base.rpartition("/")[0]: "0700" if pair.store == KUBELET else "0755"
             for name, pair in pairs(on).items() if name in kept}
    paths = [*(row.path for row in bundles(on).values() if not row.inline), *(row.path for row in kubeconfigs(on)),
             *(row.home_key or row.key for row in copies(on).values())]
    return {**dict.fromkeys((path.rpartition("/")[0] for path in paths), "0755"), **found}


def directories(on: Host) -> list[str]:
    """Return the directories below which everything of the host's PKI lies."""
    homes = [on.kubernetes_dir, on.etcd_dir, *(pair.base.rpartition("/")[0] for pair in pairs(on).values())]
    return [one for one in dict.fromkeys(homes) if not any(one.startswith(f"{other}/") for other in homes)]
