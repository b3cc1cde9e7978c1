# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 2, the layouts: where the catalogue lives on a host and which process reads it.

Every path hangs from two host variables, ``kubernetes_dir`` and ``etcd_dir``, so several hosts can live on one machine.
Modes are the rule of the house: keys and kubeconfigs 0600, certificates and bundles 0644.
Layout ``systemd`` uses the file names of kubernetes-the-hard-way (docs/04, docs/05, units/ at 52eb26d) where it has one.
"""

from __future__ import annotations

import typing as t


class Pair(t.NamedTuple):
    """A leaf's key and certificate: ``<base>.key`` and ``<base>.crt``."""

    leaf: str
    base: str


class Bundle(t.NamedTuple):
    """A file with trust anchors."""

    name: str
    authority: str
    path: str
    group: str


class Kubeconfig(t.NamedTuple):
    """A kubeconfig that names its CA bundle and its client pair by file."""

    name: str
    leaf: str
    bundle: str
    user: str
    path: str


class Copy(t.NamedTuple):
    """A key pair of the authority host that these components need a copy of; ``public`` is a certificate or a public key."""

    name: str
    authority: str  # "" for the service-account pair
    key: str
    public: str
    readers: tuple[str, ...]  # processes


class Process(t.NamedTuple):
    """A process of a host, in the order in which a host's processes start."""

    name: str
    group: str
    port: int  # its TLS endpoint
    ready: str  # a path that answers 200 when it is ready, without a client certificate; "" where there is none


class Layout(t.NamedTuple):
    """All rows of one layout."""

    name: str
    pairs: tuple[Pair, ...]
    bundles: tuple[Bundle, ...]
    kubeconfigs: tuple[Kubeconfig, ...]
    copies: tuple[Copy, ...]
    processes: tuple[Process, ...]


_PROCESSES = (
    Process("etcd", "etcd", 2379, ""),
    Process("kube-apiserver", "kube_control_plane", 6443, "/readyz"),
    Process("kube-controller-manager", "kube_control_plane", 10257, "/healthz"),
    Process("kube-scheduler", "kube_control_plane", 10259, "/readyz"),
)

SYSTEMD = Layout(
    name="systemd",
    pairs=(
        Pair("apiserver", "{kubernetes_dir}/kube-api-server"),
        Pair("apiserver-kubelet-client", "{kubernetes_dir}/apiserver-kubelet-client"),
        Pair("front-proxy-client", "{kubernetes_dir}/front-proxy-client"),
        Pair("apiserver-etcd-client", "{kubernetes_dir}/apiserver-etcd-client"),
        Pair("etcd-server", "{etcd_dir}/server"),
        Pair("etcd-peer", "{etcd_dir}/peer"),
        Pair("etcd-healthcheck-client", "{etcd_dir}/healthcheck-client"),
        Pair("controller-manager", "{kubernetes_dir}/kube-controller-manager"),
        Pair("scheduler", "{kubernetes_dir}/kube-scheduler"),
        Pair("admin", "{kubernetes_dir}/admin"),
    ),
    bundles=(
        Bundle("kubernetes", "kubernetes", "{kubernetes_dir}/ca.crt", "kube_control_plane"),
        Bundle("front-proxy", "front-proxy", "{kubernetes_dir}/front-proxy-ca.crt", "kube_control_plane"),
        Bundle("apiserver-etcd", "etcd", "{kubernetes_dir}/etcd-ca.crt", "kube_control_plane"),
        Bundle("etcd", "etcd", "{etcd_dir}/ca.crt", "etcd"),
    ),
    kubeconfigs=(
        Kubeconfig("controller-manager", "controller-manager", "kubernetes", "system:kube-controller-manager",
                   "{kubernetes_dir}/kube-controller-manager.kubeconfig"),
        Kubeconfig("scheduler", "scheduler", "kubernetes", "system:kube-scheduler", "{kubernetes_dir}/kube-scheduler.kubeconfig"),
        Kubeconfig("admin", "admin", "kubernetes", "admin", "{kubernetes_dir}/admin.kubeconfig"),
    ),
    copies=(
        # The controller-manager accepts exactly one certificate in its signing file: a file of its own, never the bundle.
        Copy("signer", "kubernetes", "{kubernetes_dir}/signing-ca.key", "{kubernetes_dir}/signing-ca.crt",
             ("kube-controller-manager",)),
        Copy("service-accounts", "", "{kubernetes_dir}/service-accounts.key", "{kubernetes_dir}/service-accounts.pub",
             ("kube-apiserver", "kube-controller-manager")),
    ),
    processes=_PROCESSES,
)

LAYOUTS = {layout.name: layout for layout in (SYSTEMD,)}
