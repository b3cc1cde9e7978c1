# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""How to ask: every TLS endpoint of a control plane, with what it proves."""

from __future__ import annotations

import typing as t

PUBLISHED = "published"


class Endpoint(t.NamedTuple):
    """A listener of one process, asked directly, never through a balancer."""

    name: str
    process: str
    port: int
    protocol: str  # how a canary asks: kubernetes | etcd
    judges: tuple[tuple[str, str], ...]  # (authority, bundle by which it accepts a client of that authority)
    serves: str  # catalogue leaf, of hosts that have it; "" where the process makes a certificate of its own at each start
    offers: bool  # whether the offered client CAs prove what it trusts


ENDPOINTS = (
    Endpoint("etcd", "etcd", 2379, "etcd", (("etcd", "etcd"),), "etcd-server", True),
    # etcd compares the SANs of a peer's client certificate with its address; a canary has none and passes.
    Endpoint("etcd-peer", "etcd", 2380, "etcd", (("etcd", "etcd"),), "etcd-peer", True),
    Endpoint("kube-apiserver", "kube-apiserver", 6443, "kubernetes",
             (("kubernetes", "kubernetes"), ("front-proxy", "front-proxy"), ("service-accounts", "service-accounts")), "apiserver", True),
    Endpoint("kube-controller-manager", "kube-controller-manager", 10257, "kubernetes", (("kubernetes", "kubernetes"),), "", False),
    # Without --client-ca-file it follows the ConfigMap extension-apiserver-authentication.
    Endpoint("kube-scheduler", "kube-scheduler", 10259, "kubernetes", (("kubernetes", PUBLISHED),), "", False),
    # What it offers follows what it accepts within a minute only.
    Endpoint("kubelet", "kubelet", 10250, "kubernetes", (("kubernetes", "kubelet-clients"),), "kubelet-server", False),
)
