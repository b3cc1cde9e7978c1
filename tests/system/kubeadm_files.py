# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kubeadm makes, and what the collection's tables say that it makes, in the same words."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import yaml
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NODE, ADDRESS, ENDPOINT = "cp1", "192.0.2.11", "lb.example.com:6443"
SERVICE_NETWORK, DOMAIN, EXTRA_NAMES = "10.96.0.0/16", "cluster.local", ("api.example.com", "198.51.100.7")
# What kubeadm calls the authorities; ours have a name for each generation.
AUTHORITIES = {"kubernetes": "kubernetes", "etcd": "etcd-ca", "front-proxy": "front-proxy-ca"}
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "server_auth", ExtendedKeyUsageOID.CLIENT_AUTH: "client_auth"}
Facts = dict[str, t.Any]


def configuration(version: str, folder: Path) -> str:
    """Return what kubeadm is told, with everything that a certificate can name."""
    return f"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: {ADDRESS}
nodeRegistration:
  name: {NODE}
  criSocket: unix:///run/containerd/containerd.sock
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {version}
certificatesDir: {folder}/pki
controlPlaneEndpoint: {ENDPOINT}
networking:
  serviceSubnet: {SERVICE_NETWORK}
  dnsDomain: {DOMAIN}
apiServer:
  certSANs: [{", ".join(EXTRA_NAMES)}]
"""


def made_by_kubeadm(folder: Path) -> dict[str, Facts]:
    """Return path → facts of every file that kubeadm left below *folder*."""
    found = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".crt":
            found[name] = _certificate(path.read_bytes())
        elif path.suffix == ".conf":
            found[name] = _kubeconfig(yaml.safe_load(path.read_text(encoding="utf-8")))
        else:
            found[name] = {}
    return found


def _certificate(pem: bytes) -> Facts:
    certificate = x509.load_pem_x509_certificate(pem)
    extensions = {extension.oid: extension.value for extension in certificate.extensions}
    if extensions[x509.BasicConstraints.oid].ca:
        return {"authority": _names(certificate.subject, NameOID.COMMON_NAME)}
    usages, names = extensions.get(x509.ExtendedKeyUsage.oid, ()), extensions.get(x509.SubjectAlternativeName.oid)
    return {
        "common name": _names(certificate.subject, NameOID.COMMON_NAME),
        "organizations": _names(certificate.subject, NameOID.ORGANIZATION_NAME),
        "issuer": _names(certificate.issuer, NameOID.COMMON_NAME),
        "usages": {_USAGES.get(usage, usage.dotted_string) for usage in usages},
        "DNS names": set(names.get_values_for_type(x509.DNSName)) if names else set(),
        "addresses": {str(one) for one in names.get_values_for_type(x509.IPAddress)} if names else set(),
    }


def _names(name: x509.Name, oid: x509.ObjectIdentifier) -> set[str]:
    return {str(part.value) for part in name.get_attributes_for_oid(oid)}


def _kubeconfig(document: Facts) -> Facts:
    contexts, clusters, users = ({one["name"]: one[kind] for one in document[f"{kind}s"]} for kind in ("context", "cluster", "user"))
    context = contexts[document["current-context"]]
    user = users[context["user"]]
    return {"context": document["current-context"], "cluster": context["cluster"], "user": context["user"],
            "server": clusters[context["cluster"]]["server"], **_certificate(base64.b64decode(user["client-certificate-data"]))}


def said_by_our_tables() -> dict[str, Facts]:
    """Return path → facts of every file that the first control plane is provisioned with, below ``/etc/kubernetes`` or in full."""
    on = hosts.host({"name": NODE, "node": NODE, "address": ADDRESS, "groups": ["etcd", "kube_control_plane", "cluster_init"],
                     "layout": "kubeadm", "kubernetes_dir": "/etc/kubernetes", "etcd_dir": "/etc/kubernetes/pki/etcd"})
    cluster = items.Cluster(f"https://{ENDPOINT}", SERVICE_NETWORK, DOMAIN, "/authority", EXTRA_NAMES)
    leaves = {leaf.name: _leaf(items.leaf_item(on, leaf, cluster)) for leaf in hosts.provisioned(on)}
    found: dict[str, Facts] = {hosts.bundles(on)[SERVICE_ACCOUNTS].path: {}}
    for row in hosts.copies(on).values():
        found |= {row.home_key or row.key: {}, **({row.home: {"authority": {AUTHORITIES[row.authority]}}} if row.home else {})}
    for item in items.kubeconfig_items(on, cluster, dict.fromkeys(AUTHORITIES, "")):
        context = item["contexts"][0]
        found[item["path"]] = {"context": item["current_context"], "cluster": context["cluster"], "user": context["user"],
                               "server": item["clusters"][0]["server"]}
    for name, facts in leaves.items():
        pair = hosts.pairs(on)[name]
        found[pair.certificate_path] = {**found.get(pair.certificate_path, {}), **facts}
        found.setdefault(pair.key_path, {})
    return {path.removeprefix("/etc/kubernetes/"): facts for path, facts in found.items()}


def _leaf(item: Facts) -> Facts:
    return {"common name": {item["common_name"]}, "organizations": set(item["organizations"]), "usages": set(item["usages"]),
            "issuer": {AUTHORITIES[item["authority"]]}, "DNS names": set(item["sans"]["dns"]), "addresses": set(item["sans"]["ip"])}


def differences(kubeadm: t.Mapping[str, Facts], ours: t.Mapping[str, Facts]) -> dict[tuple[str, str], tuple[t.Any, t.Any]]:
    """Return (path, what) → what kubeadm makes and what our tables say, wherever the two are not the same."""
    found: dict[tuple[str, str], tuple[t.Any, t.Any]] = {}
    for path in {*kubeadm, *ours}:
        if (path in kubeadm) != (path in ours):
            found[path, "file"] = ("there" if path in kubeadm else "absent", "there" if path in ours else "absent")
            continue
        for what in {*kubeadm[path], *ours[path]}:
            both = (kubeadm[path].get(what), ours[path].get(what))
            if both[0] != both[1]:
                found[path, what] = both
    return found
