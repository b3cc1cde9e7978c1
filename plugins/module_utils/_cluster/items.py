# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What the public modules are asked for on a host: the tables' rows as the items of pki_cert, ca_bundle and kubeconfig."""

from __future__ import annotations

import ipaddress
import typing as t
import urllib.parse

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS, Leaf
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBECONFIG, Bundle, Pair

CANARY_VALIDITY = "24h"
CANARY_COMMON_NAME = {"front-proxy": "front-proxy-client"}  # --requestheader-allowed-names pins this name
CANARY_USER = "pki-canary"


class Cluster(t.NamedTuple):
    """What the catalogue needs to know of the cluster as a whole."""

    endpoint: str  # URL of the API, usually a load balancer's
    service_cidr: str
    domain: str
    authority_dir: str  # on the authority host
    extra_sans: tuple[str, ...] = ()
    key_type: str = "ecdsa-p256"
    leaf_validity: str = "365d"
    leaf_renew_before: str = "30d"


def cluster(description: t.Mapping[str, t.Any]) -> Cluster:
    """Return the cluster that a description (the roles' ``pki_cluster`` dictionary) tells of."""
    known = {name: value for name, value in description.items() if name in Cluster._fields}
    return Cluster(**{**known, "extra_sans": tuple(known.get("extra_sans") or ())})


def leaf_item(on: hosts.Host, leaf: Leaf, of: Cluster) -> dict[str, t.Any]:
    """Return the pki_cert item of a catalogue row on a host."""
    pair = hosts.pairs(on)[leaf.name]
    return {
        "name": leaf.name, "host": on.name, "authority": leaf.authority,
        "certificate_path": pair.certificate_path, "key_path": pair.key_path, "store": pair.store,
        "common_name": leaf.common_name.format(node=on.node), "organizations": list(leaf.organizations),
        "usages": list(leaf.usages), "sans": _sans(leaf.sans, on, of),
        "key_type": pair.key_type or of.key_type, "validity": of.leaf_validity, "renew_before": of.leaf_renew_before,
    }


def canary_item(on: hosts.Host, authority: str, generation: str) -> dict[str, t.Any]:
    """Return the pki_cert item of a canary: a short-lived client certificate without rights and without SANs.

    etcd compares SANs of a client on its peer port with the client's address, and passes a certificate that has none.
    """
    base = canary_base(on, authority, generation)
    return {
        "name": f"canary-{authority}-{generation}", "host": on.name, "authority": f"{authority}/{generation}",
        "certificate_path": f"{base}.crt", "key_path": f"{base}.key",
        "common_name": CANARY_COMMON_NAME.get(authority, CANARY_USER), "organizations": [],
        "usages": ["client_auth"], "sans": {"dns": [], "ip": [], "uri": []},
        "validity": CANARY_VALIDITY, "renew_before": "12h",
    }


def canary_base(on: hosts.Host, authority: str, generation: str) -> str:
    """Return where a canary's pair lives on the host, without its ending."""
    return f"{on.state_dir}/canary-{authority}-{generation}"


def canary_authorities(on: hosts.Host) -> list[str]:
    """Return the authorities whose canaries some endpoint of the host is asked with."""
    wanted = {"etcd": ("etcd",), "kube-apiserver": ("kubernetes", "front-proxy"),
              "kube-controller-manager": ("kubernetes",), "kube-scheduler": ("kubernetes",), "kubelet": ("kubernetes",)}
    return sorted({authority for component in on.components for authority in wanted[component]})


def kubeconfig_items(on: hosts.Host, of: Cluster, anchors: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    """Return the kubeconfig items of a host. What is a file of its own is named, so that client-go can reload it.

    :param anchors: authority → certificate (PEM) that is inline where a bundle is; inline pairs come with the certificates.
    """
    return [
        {
            "name": row.name, "path": row.path, "current_context": row.context,
            "clusters": [{"name": "kubernetes", "server": _local(on) if row.local else of.endpoint,
                          **_trust(hosts.bundles(on)[row.bundle], anchors)}],
            "users": [{"name": row.user, **_identity(hosts.pairs(on)[row.leaf])}],
            "contexts": [{"name": row.context, "cluster": "kubernetes", "user": row.user}],
        }
        for row in hosts.kubeconfigs(on)
    ]


def _local(on: hosts.Host) -> str:
    """Return the URL of the host's own API server."""
    port = next(row.port for row in on.layout.processes if row.name == "kube-apiserver")
    return f"https://{f'[{on.address}]' if ':' in on.address else on.address}:{port}"


def _trust(bundle: Bundle, anchors: t.Mapping[str, str]) -> dict[str, t.Any]:
    if bundle.inline:
        return {"certificate_authority_content": anchors[bundle.authority]}
    return {"certificate_authority_path": bundle.path, "embed": False}


def _identity(pair: Pair) -> dict[str, t.Any]:
    if pair.store == KUBECONFIG:
        return {}
    return {"client_certificate_path": pair.certificate_path, "client_key_path": pair.key_path, "embed": False}


def bundle_item(on: hosts.Host, name: str, certificates: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the ca_bundle item that makes a bundle hold exactly these certificates or public keys (PEM), in this order."""
    row = hosts.bundles(on)[name]
    holds = {"format": "public-keys"} if row.authority == SERVICE_ACCOUNTS else {}
    return {"name": name, "kubeconfig_path" if row.inline else "path": row.path, "certificates": list(certificates), "state": "exact",
            **holds}


def _sans(rule: str, on: hosts.Host, of: Cluster) -> dict[str, list[str]]:
    if rule == "apiserver":
        first_service = str(next(ipaddress.ip_network(of.service_cidr.split(",")[0]).hosts()))
        names = [on.node, "kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{of.domain}",
                 first_service, on.address, urllib.parse.urlsplit(of.endpoint).hostname or "", *of.extra_sans]
    elif rule == "etcd":
        names = [on.node, "localhost", on.address, "127.0.0.1", "::1"]
    elif rule == "kubelet":
        names = [on.node, on.address]
    else:
        names = []
    sans: dict[str, list[str]] = {"dns": [], "ip": [], "uri": []}
    for name in dict.fromkeys(filter(None, names)):
        sans["ip" if _is_ip(name) else "dns"].append(name)
    return sans


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
