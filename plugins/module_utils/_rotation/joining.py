# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which hosts join a kubeadm cluster, and what each gets: before, during and after a rotation. Pure.

A joining node trusts what ``cluster-info`` holds at that moment, and its client certificate is of the generation that signs.
The order of the phases is walked with nodes that join so at any time (``model.JOIN``), so no phase needs a rule of its own here.
A control plane joins while nothing rotates: kubeadm takes the first certificate of a bundle for the authority's, and its manifests name
one signer's pair.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.arguments import authority_arguments, provision_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Known, Result
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import IDENTITY, SIGNER, Observation
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import Objects, in_use

AUTHORITY = "kubernetes"
CLUSTER_INFO = "cluster-info"


class View(t.NamedTuple):
    """The cluster as a control plane shows it."""

    nodes: t.Sequence[str]
    observed: t.Mapping[str, Observation]  # of a control plane
    objects: Objects
    known: Known


def join_arguments(on: t.Mapping[str, hosts.Host], wanted: t.Collection[str], of: items.Cluster, view: View) -> Result:
    """Return the hosts that join, what a joining node trusts, and the identity that is issued to it where none is asked for by itself.

    A control plane is provisioned before it joins: it needs more than a token can bring.

    :param on: every host of the inventory that runs anything.
    :param wanted: the hosts asked for; every host with a kubelet if empty. Those that are nodes already are passed over.
    :raises PkiError: for a host that cannot join, and where nothing tells a new node whom to trust.
    """
    kubelets = {name: host for name, host in on.items() if "kubelet" in host.components}
    strangers = sorted(set(wanted) - set(kubelets))
    if strangers:
        raise PkiError(", ".join(strangers), "has no kubelet that could join",
                       "put it into kube_node or kube_control_plane, with pki_layout: kubeadm")
    joining = [name for name, host in kubelets.items() if host.node not in view.nodes and (not wanted or name in wanted)]
    control_planes = {name: kubelets[name] for name in joining if API_SERVER in kubelets[name].components}
    generations = _steady(view) if control_planes else {AUTHORITY: _signer(view)}
    facts_of = {authority: view.known[generation] for authority, generation in generations.items()}
    return {
        "joining": joining,
        "members": list(kubelets),
        "trusted": [view.known[name]["certificate"] for name in _trusted(view)],
        "identities": {name: {"certificates": [_identity(kubelets[name], of)], "copies": [], "seals": [], "bundles": []}
                       for name in joining},
        "provision": {name: provision_of(host, of, facts_of) for name, host in control_planes.items()},
        **authority_arguments(view.known, generations),
    }


def _identity(on: hosts.Host, of: items.Cluster) -> Result:
    return next(items.leaf_item(on, leaf, of) for leaf in hosts.leaves(on) if leaf.name == IDENTITY)


def _steady(view: View) -> dict[str, str]:
    """Return the one generation of each authority, and of the service accounts' key, that the cluster uses.

    :raises PkiError: while a rotation is under way, and where the authority host does not keep it.
    """
    found = {name: sorted(in_use(name, view.observed, view.objects)) for name in (*AUTHORITIES, SERVICE_ACCOUNTS)}
    for name, used in found.items():
        if len(used) > 1:
            raise PkiError(name, f"is being rotated ({', '.join(used)}), and a control plane joins before a rotation or after it",
                           "finish the rotation with rotate_ca.yml, then join it; workers can join meanwhile, named in pki_join_nodes")
        if not used or used[0] not in view.known:
            raise PkiError(name, "the control plane uses no generation that the authority host keeps",
                           "run adopt.yml, or set pki_authority_dir")
    return {name: used[0] for name, used in found.items()}


def _signer(view: View) -> str:
    """Return the generation with which the controller-manager signs; where it has no key, the one that it presents itself with.

    A rotation moves the two together, when every API server accepts both generations.
    """
    found = [(seen["copies"].get(SIGNER) or seen["pairs"]["controller-manager"])["generation"] for seen in view.observed.values()]
    if not found or found[0] not in view.known:
        raise PkiError(AUTHORITY, "the control plane uses no generation that the authority host keeps",
                       "run adopt.yml, or set pki_authority_dir")
    return str(found[0])


def _trusted(view: View) -> list[str]:
    """Return the generations that cluster-info holds: what kubeadm writes as the new node's trust."""
    held = [name for names in view.objects.get(CLUSTER_INFO, {}).values() for name in names]
    foreign = [name for name in held if name not in view.known]
    if not held or foreign:
        problem = f"holds {', '.join(foreign)}, which the authority host does not keep" if foreign else "is not there"
        raise PkiError(f"ConfigMap kube-public/{CLUSTER_INFO}", problem, "a joining node takes from it whom to trust; mend it first")
    return held
