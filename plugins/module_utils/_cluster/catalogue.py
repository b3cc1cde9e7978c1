# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 1, the catalogue: every leaf of a cluster, one row a certificate, as kubeadm's certlist.go lists them.

Names are kubeadm's. Where a row lives on disk is the layout's affair (``layouts.py``).
Source: kubernetes/kubernetes cmd/kubeadm/app/phases/certs/certlist.go and phases/kubeconfig/kubeconfig.go, v1.37.2.
"""

from __future__ import annotations

import typing as t

AUTHORITIES = ("kubernetes", "etcd", "front-proxy")
# Rotates as an authority does, by the same tables: a generation is a bare key pair, a bundle holds public keys, a leaf is a token.
SERVICE_ACCOUNTS = "service-accounts"

SERVER = "server_auth"
CLIENT = "client_auth"


class Leaf(t.NamedTuple):
    """One certificate: who signs it, whom it names, what it is for, on which hosts it lives."""

    name: str
    authority: str
    common_name: str  # {node} is the host's node name
    organizations: tuple[str, ...]
    usages: tuple[str, ...]
    sans: str  # a rule of items.py: none | apiserver | etcd | kubelet
    group: str  # inventory groups, separated by spaces
    component: str  # process of the layout that presents it; "" for people and tools


LEAVES = (
    # name, authority, common name, organizations, usages, SANs, group, presented by
    Leaf("apiserver", "kubernetes", "kube-apiserver", (), (SERVER,), "apiserver", "kube_control_plane", "kube-apiserver"),
    Leaf("apiserver-kubelet-client", "kubernetes", "kube-apiserver-kubelet-client", (), (CLIENT,), "none",
         "kube_control_plane", "kube-apiserver"),
    Leaf("front-proxy-client", "front-proxy", "front-proxy-client", (), (CLIENT,), "none", "kube_control_plane", "kube-apiserver"),
    Leaf("apiserver-etcd-client", "etcd", "kube-apiserver-etcd-client", (), (CLIENT,), "none", "kube_control_plane", "kube-apiserver"),
    Leaf("etcd-server", "etcd", "{node}", (), (SERVER, CLIENT), "etcd", "etcd", "etcd"),
    Leaf("etcd-peer", "etcd", "{node}", (), (SERVER, CLIENT), "etcd", "etcd", "etcd"),
    Leaf("etcd-healthcheck-client", "etcd", "kube-etcd-healthcheck-client", (), (CLIENT,), "none", "etcd", ""),
    Leaf("controller-manager", "kubernetes", "system:kube-controller-manager", (), (CLIENT,), "none",
         "kube_control_plane", "kube-controller-manager"),
    Leaf("scheduler", "kubernetes", "system:kube-scheduler", (), (CLIENT,), "none", "kube_control_plane", "kube-scheduler"),
    # system:masters, not kubeadm:cluster-admins: outside kubeadm nobody makes the binding that the latter needs.
    Leaf("admin", "kubernetes", "kubernetes-admin", ("system:masters",), (CLIENT,), "none", "kube_control_plane", ""),
    Leaf("super-admin", "kubernetes", "kubernetes-super-admin", ("system:masters",), (CLIENT,), "none", "kube_control_plane", ""),
    Leaf("kubelet-client", "kubernetes", "system:node:{node}", ("system:nodes",), (CLIENT,), "none",
         "kube_control_plane kube_node", "kubelet"),
    # Only where the cluster's CA signs it: by kubeadm's defaults a kubelet makes a certificate that no CA has signed.
    Leaf("kubelet-server", "kubernetes", "system:node:{node}", ("system:nodes",), (SERVER,), "kubelet",
         "kube_control_plane kube_node", "kubelet"),
)
