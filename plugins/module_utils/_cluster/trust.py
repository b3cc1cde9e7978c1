# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 3, the trust edges: which verifier judges which presenters with which bundle.

A verifier's ``input`` is the flag, field or object that names its trust; ``reload.py`` says when a running process takes
a changed one over. ``side`` says which phase of ``phases.py`` reaches it: the control planes, their clients
(nodes, workloads, objects), or what judges the tokens of service accounts.
Source: reference table "every place that holds or points at a CA", read in Kubernetes v1.35 to v1.37 and etcd v3.6 and v3.7.
"""

from __future__ import annotations

import typing as t

CONTROL_PLANE = "control-plane"
CLIENTS = "clients"
TOKENS = "tokens"


class Trust(t.NamedTuple):
    """One verifier's trust in one authority."""

    name: str
    authority: str
    component: str
    input: str
    bundle: str  # the layout's bundle it reads; "" where it is no file of a host
    side: str
    presenters: tuple[str, ...]  # catalogue leaves, "kubelet-client", "signed": whatever the signer signs, or tokens (phases.py)
    optional: bool = False  # only where the component is started with the input, a flag, naming the bundle


TRUST = (
    # name, authority, verifier, its input, bundle, side, who presents to it
    Trust("apiserver.client-ca", "kubernetes", "kube-apiserver", "--client-ca-file", "kubernetes", CONTROL_PLANE,
          ("controller-manager", "scheduler", "admin", "super-admin", "kubelet-client", "signed")),
    Trust("apiserver.requestheader-ca", "front-proxy", "kube-apiserver", "--requestheader-client-ca-file", "front-proxy",
          CONTROL_PLANE, ("front-proxy-client",)),
    Trust("apiserver.etcd-ca", "etcd", "kube-apiserver", "--etcd-cafile", "apiserver-etcd", CONTROL_PLANE, ("etcd-server",)),
    Trust("apiserver.kubelet-ca", "kubernetes", "kube-apiserver", "--kubelet-certificate-authority", "kubernetes", CONTROL_PLANE,
          ("kubelet-server",), optional=True),
    Trust("apiserver.service-accounts", "service-accounts", "kube-apiserver", "--service-account-key-file", "service-accounts", TOKENS,
          ("service-accounts", "secret-tokens", "pod-token")),
    Trust("etcd.client-ca", "etcd", "etcd", "--trusted-ca-file", "etcd", CONTROL_PLANE,
          ("apiserver-etcd-client", "etcd-healthcheck-client")),
    Trust("etcd.peer-ca", "etcd", "etcd", "--peer-trusted-ca-file", "etcd", CONTROL_PLANE, ("etcd-peer",)),
    Trust("controller-manager.server-ca", "kubernetes", "kube-controller-manager", "kubeconfig certificate-authority",
          "controller-manager-kubeconfig", CONTROL_PLANE, ("apiserver",)),
    Trust("controller-manager.client-ca", "kubernetes", "kube-controller-manager", "--client-ca-file", "kubernetes",
          CONTROL_PLANE, ("admin",)),
    # What it publishes becomes the trust of every pod: kube-root-ca.crt in every namespace.
    Trust("controller-manager.root-ca", "kubernetes", "kube-controller-manager", "--root-ca-file", "kubernetes", CONTROL_PLANE,
          ()),
    Trust("scheduler.server-ca", "kubernetes", "kube-scheduler", "kubeconfig certificate-authority", "scheduler-kubeconfig",
          CONTROL_PLANE, ("apiserver",)),
    Trust("admin.server-ca", "kubernetes", "", "kubeconfig certificate-authority", "admin-kubeconfig", CONTROL_PLANE, ("apiserver",)),
    Trust("super-admin.server-ca", "kubernetes", "", "kubeconfig certificate-authority", "super-admin-kubeconfig", CONTROL_PLANE,
          ("apiserver",)),
    Trust("kubelet.client-ca", "kubernetes", "kubelet", "clientCAFile", "kubelet-clients", CLIENTS, ("apiserver-kubelet-client",)),
    Trust("kubelet.server-ca", "kubernetes", "kubelet", "kubeconfig certificate-authority", "kubelet-kubeconfig", CLIENTS, ("apiserver",)),
    # What watches nodes (metrics-server, Prometheus) dials kubelets with it.
    Trust("pods.server-ca", "kubernetes", "pod", "kube-root-ca.crt", "", CLIENTS, ("apiserver", "kubelet-server")),
    Trust("joining-node.server-ca", "kubernetes", "joining-node", "cluster-info", "", CLIENTS, ("apiserver",)),
    # An API server only ever adds to this ConfigMap; it reaches the scheduler and every extension API server.
    Trust("published.client-ca", "kubernetes", "kube-scheduler", "extension-apiserver-authentication client-ca-file", "",
          CLIENTS, ("admin",)),
    Trust("published.requestheader-ca", "front-proxy", "extension-apiserver",
          "extension-apiserver-authentication requestheader-client-ca-file", "", CLIENTS, ("front-proxy-client",)),
)
