# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observations of a healthy three-host cluster, as values."""

from __future__ import annotations

import copy

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.endpoints import ENDPOINTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Rotation

ALL = (*AUTHORITIES, SERVICE_ACCOUNTS)
OLD = {name: f"{name}/20250101T000000Z" for name in ALL}
NEW = {name: f"{name}/20261122T000000Z" for name in ALL}
WITH_TOKENS = Rotation({name: {"old": OLD[name], "new": NEW[name]} for name in ALL}, (1, 37))
ROTATION = Rotation({name: WITH_TOKENS.generations[name] for name in AUTHORITIES}, (1, 37))
CLUSTER = items.cluster({"endpoint": "https://lb.example.com:6443", "service_cidr": "10.96.0.0/16", "domain": "cluster.local",
                         "authority_dir": "/pki", "extra_sans": []})
WRITTEN, STARTED, NOW = 1000.0, 2000.0, 3000.0
_AUTHORITY = {leaf.name: leaf.authority for leaf in LEAVES}


def host(name: str = "n1", components: tuple[str, ...] = ()) -> hosts.Host:
    """Return a stacked control plane host."""
    return hosts.host({"name": name, "address": "192.0.2.1", "groups": ["etcd", "kube_control_plane"], "components": list(components),
                       "kubernetes_dir": "/k", "etcd_dir": "/e"})


def healthy(on: hosts.Host, optional: bool = False) -> dict:
    """Return what is seen on a host where everything is of the old generation and nothing is pending.

    :param optional: whether the host has the pairs that not every host has.
    """
    there = {name: pair for name, pair in hosts.pairs(on).items() if optional or not pair.optional}
    return copy.deepcopy({
        "clock": NOW, "etcd_leader": False, "version": "v1.37.2",
        "tokens": {"/pod/token": OLD[SERVICE_ACCOUNTS]} if "kubelet" in on.components else {},
        "pairs": {name: {"path": f"{pair.base}.crt", "exists": True, "generation": OLD[_AUTHORITY[name]], "changed_at": WRITTEN,
                         "problem": "", "remaining_days": 300, "not_after": "2027-01-01T00:00:00Z"}
                  for name, pair in there.items()},
        "bundles": {name: {"path": row.path, "exists": True, "generations": [OLD[row.authority]], "changed_at": WRITTEN}
                    for name, row in hosts.bundles(on).items()},
        "copies": {name: {"path": row.public or row.key, "exists": True, "generation": OLD[row.authority], "changed_at": WRITTEN,
                          "apart": False, "home": OLD[row.authority] if row.home else ""}
                   for name, row in hosts.copies(on).items()},
        "processes": {one.name: {"running": True, "pid": 7, "started": STARTED} for one in hosts.processes(on)},
        "endpoints": {one.name: {"ready": True, "error": "", "canaries": {}, "offers": [],
                                 "serves": OLD[_AUTHORITY[one.serves]] if one.serves in there else ""}
                      for one in ENDPOINTS if one.process in on.components},
    })


def known(age_days: float = 400.0, new: bool = False) -> dict:
    """Return what the authority host keeps: an old generation, and a new one where asked for."""
    names = [*OLD.values(), *(NEW.values() if new else ())]
    return {name: {"certificate": f"PEM of {name}", "certificate_path": f"/pki/{name}.crt", "key_path": f"/pki/{name}.key",
                   "key_exists": True, "not_after": "2035-01-01T00:00:00Z", "public_key_sha256": "ab",
                   "remaining_days": None if SERVICE_ACCOUNTS in name else 3000,
                   "age_days": age_days if name in OLD.values() else 0.0}
            for name in sorted(names)}
