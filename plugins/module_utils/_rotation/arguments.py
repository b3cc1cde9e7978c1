# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What is made before anything is in use, as arguments of the public modules, for every host at once. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS, Leaf
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import Copy
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments, Known, Result
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import in_use

_CopyAndSeal = tuple[Result, Result]


def stage_arguments(args: Arguments) -> Result:
    """Return what is made before the first phase: leaves of the new generation, canaries of both, copies of the signer."""
    generations = {authority: (both[OLD], both[NEW]) for authority, both in args.rotation.generations.items()}
    if any(name not in args.known for both in generations.values() for name in both):
        return {}
    newest, everyone = {name: both[1] for name, both in generations.items()}, {name: name for both in generations.values() for name in both}
    return {
        **authority_arguments(args.known, {**newest, **everyone}),
        "stage": {name: _stage(on, args, generations) for name, on in args.on.items()},
    }


def provision_arguments(args: Arguments, authorities: t.Iterable[str]) -> Result:
    """Return everything a host holds, of the newest generation of each authority.

    :raises PkiError: when a host uses another generation: replacing it at one stroke is what a rotation exists to avoid.
    """
    newest = {}
    for authority in (*authorities, SERVICE_ACCOUNTS):
        names = [name for name in args.known if name.startswith(f"{authority}/")]
        if not names:
            return {"text": _provision_text(args)}
        newest[authority] = names[-1]
        others = in_use(authority, args.observed, args.objects) - {names[-1]}
        if others:
            raise PkiError(authority, f"hosts use {', '.join(sorted(others))}, the newest generation is {names[-1]}",
                           "finish the rotation with rotate_ca.yml")
    return {**authority_arguments(args.known, newest),
            "provision": {name: provision_of(on, args.cluster, {authority: args.known[one] for authority, one in newest.items()})
                          for name, on in args.on.items()}}


def adopt_arguments(on_hosts: t.Iterable[hosts.Host]) -> Result:
    """Return where the first of the hosts keeps the pairs of the cluster's authorities and of the service accounts.

    :raises PkiError: where the layout keeps none on its hosts.
    """
    on = next(iter(on_hosts))
    rows = hosts.copies(on).values()
    if not any(row.home for row in rows):
        raise PkiError(on.name, f"hosts of the layout {on.layout.name} keep no authority's pair",
                       "put each pair into pki_authority_dir, as <authority>/<YYYYMMDDTHHMMSSZ>.crt and .key")
    return {"sources": [{"name": row.name, "key_path": row.home_key or row.key, **({"public_path": row.home} if row.home else {})}
                        for row in rows],
            "authority_of": {row.name: row.authority if row.authority in AUTHORITIES else "" for row in rows}}


def authority_arguments(known: Known, generation_of: t.Mapping[str, str]) -> Result:
    """Return the authorities as hosts compare with them (certificates) and as the authority host signs with them (paths)."""
    cas = {name: known[generation] for name, generation in generation_of.items() if not generation.startswith(f"{SERVICE_ACCOUNTS}/")}
    return {
        "authorities": [{"name": name, "certificate_content": facts["certificate"]} for name, facts in cas.items()],
        "signers": [{"name": name, "certificate_path": facts["certificate_path"], "key_path": facts["key_path"]}
                    for name, facts in cas.items()],
    }


def _provision_text(args: Arguments) -> list[str]:
    """Say what a first run would make, while there is no authority yet that could tell more."""
    return [f"{name}: leaves {', '.join(leaf.name for leaf in hosts.provisioned(on))}; bundles "
            f"{', '.join(bundle for bundle, row in hosts.bundles(on).items() if not row.inline)}; "
            f"kubeconfigs {', '.join(row.name for row in hosts.kubeconfigs(on)) or 'none'}; "
            f"copies {', '.join(hosts.copies(on)) or 'none'}" for name, on in args.on.items()]


def _stage(on: hosts.Host, args: Arguments, generations: t.Mapping[str, tuple[str, str]]) -> Result:
    observed = args.observed[on.name]
    behind = [leaf for leaf in hosts.leaves(on) if leaf.authority in generations and leaf.name in observed["pairs"]
              and observed["pairs"][leaf.name]["generation"] != generations[leaf.authority][1]]
    outdated = [
        row for row in hosts.copies(on).values()
        if row.authority in generations and row.name in observed["copies"]
        and {observed["copies"][row.name]["generation"], observed["copies"][row.name]["home"] or generations[row.authority][1]}
        != {generations[row.authority][1]}]
    copies = [*_copies(outdated, on, {authority: args.known[both[1]] for authority, both in generations.items()}), *key_canaries(on, args)]
    return {
        "directory": on.state_dir,
        "certificates": [*canaries(on, args), *(_successor(on, leaf, args) for leaf in behind)],
        **_both(copies),
    }


def _successor(on: hosts.Host, leaf: Leaf, args: Arguments) -> Result:
    """Return the item of a leaf's successor: it names whom the leaf names now, so that nobody loses rights or a name in a rotation."""
    item, seen = items.leaf_item(on, leaf, args.cluster), args.observed[on.name]["pairs"][leaf.name]
    if not seen["exists"]:
        return item
    sans = {kind: list(dict.fromkeys([*names, *(seen["sans"] or {}).get(kind, [])])) for kind, names in item["sans"].items()}
    return {**item, "common_name": seen["common_name"], "organizations": seen["organizations"], "sans": sans}


def canaries(on: hosts.Host, args: Arguments) -> list[Result]:
    """Return the canaries of both generations, which the first phase puts in place."""
    return [items.canary_item(on, authority, name.partition("/")[2])
            for authority in items.canary_authorities(on) if authority in args.rotation.generations
            for name in args.rotation.names(authority, (OLD, NEW))]


def key_canaries(on: hosts.Host, args: Arguments) -> list[_CopyAndSeal]:
    """Return the service accounts' keys of both generations, with which the host's API server is asked."""
    if SERVICE_ACCOUNTS not in args.rotation.generations or API_SERVER not in on.components:
        return []
    return [_copy(f"canary-{name}", on, args.known[name], f"{items.canary_base(on, *name.split('/'))}.key", "")
            for name in args.rotation.names(SERVICE_ACCOUNTS, (OLD, NEW))]


def provision_of(on: hosts.Host, of: items.Cluster, generation_of: Known) -> Result:
    """Return everything a host holds, of one generation each.

    :param generation_of: authority, and the service accounts → facts of the generation.
    """
    anchors = {authority: facts["certificate"] for authority, facts in generation_of.items()}
    return {
        "directories": [{"path": path, "mode": mode} for path, mode in sorted(hosts.places(on).items())],
        "kubeconfigs": items.kubeconfig_items(on, of, anchors),
        "certificates": [items.leaf_item(on, leaf, of) for leaf in hosts.provisioned(on)],
        # An inline bundle comes with its kubeconfig.
        "bundles": [items.bundle_item(on, name, [anchors[row.authority]]) for name, row in hosts.bundles(on).items() if not row.inline],
        **_both(_copies([_at_home(row) for row in hosts.copies(on).values()], on, generation_of)),
    }


def _at_home(row: Copy) -> Copy:
    """Return where a copy is kept while nothing rotates."""
    return row._replace(key=row.home_key or row.key, public=row.home or row.public)


def _copies(rows: t.Iterable[Copy], on: hosts.Host, generation_of: Known) -> list[_CopyAndSeal]:
    return [_copy(row.name, on, generation_of[row.authority], row.key, row.public) for row in rows]


def _both(found: t.Sequence[_CopyAndSeal]) -> Result:
    return {"copies": [copy for copy, _seal in found], "seals": [seal for _copy, seal in found]}


def _copy(name: str, on: hosts.Host, facts: t.Mapping[str, t.Any], key: str, public: str) -> _CopyAndSeal:
    """Return a copy as pki_key_copy items: what the host requests and installs, what the authority host seals for it."""
    item = {"name": name, "host": on.name}
    return ({**item, "key_path": key, **({"public_path": public} if public else {}), "wanted_public_sha256": facts["public_key_sha256"]},
            {**item, "key_path": facts["key_path"], "public_path": facts["certificate_path"]})
