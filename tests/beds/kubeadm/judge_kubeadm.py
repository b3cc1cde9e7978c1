# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubeadm bed as the judge sees it: every TLS listener of every node, every directory with certificates, kubectl."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import judge
from judge import Endpoint, Listener, Scene
from kubeadm_bed import nodes
from kubeadm_bed.commands import entering, inside, root_of
from kubeadm_bed.topology import Node

ETCD = (
    Endpoint("etcd", "etcd", 2379, "/v3/kv/range", ("etcd",), "etcd", body='{"key": "Lw=="}'),
    Endpoint("etcd-peer", "etcd", 2380, "/version", ("etcd",), "etcd"),
)
API_SERVER = Endpoint("kube-apiserver", "kube-apiserver", 6443, "/api", ("kubernetes", "front-proxy"), "kubernetes")
# These two listen on the node's own 127.0.0.1.
LOCAL = (
    Endpoint("kube-controller-manager", "kube-controller-manager", 10257, "/configz", ("kubernetes",), ""),
    Endpoint("kube-scheduler", "kube-scheduler", 10259, "/configz", ("kubernetes",), ""),
)
KUBELET = Endpoint("kubelet", "kubelet", 10250, "/configz", ("kubernetes",), "")
# How API servers, etcd, and the servers of both tell of a client without a certificate that they accept.
_REFUSED = re.compile(r"rejected connection|Unable to authenticate the request|TLS handshake error from")
# A pod's own files come and go with it; what it trusts is looked at by name.
DIRECTORIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("etc/kubernetes", frozenset()), ("var/lib/kubelet", frozenset({"pods", "plugins", "device-plugins", "pod-resources"})))


def scene_of(bed: nodes.Bed) -> Scene:
    """Return the bed as what is to be judged."""
    everyone = nodes.nodes_of(bed)
    first = everyone[0]
    return Scene(
        bed.directory / "authority",
        tuple(listener for one in everyone for listener in _listeners(one)),
        tuple((root_of(one.container) / directory, skipped) for one in everyone for directory, skipped in DIRECTORIES),
        (*entering(first.container), "env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl"))


def _listeners(one: Node) -> t.Iterator[Listener]:
    within = entering(one.container, "n")
    if one.control_plane:
        yield from (Listener(f"{one.name}/{endpoint.name}", endpoint, one.address) for endpoint in (*ETCD, API_SERVER))
        yield from (Listener(f"{one.name}/{endpoint.name}", endpoint, "127.0.0.1", within) for endpoint in LOCAL)
    yield Listener(f"{one.name}/{KUBELET.name}", KUBELET, one.address)


def volume_problems(bed: nodes.Bed) -> list[str]:
    """Compare the trust of every pod on every node with the newest generation."""
    newest = judge.generations(bed.directory / "authority")["kubernetes"][-1]
    problems = []
    for one in nodes.nodes_of(bed):
        volumes = (root_of(one.container) / "var/lib/kubelet/pods").glob("*/volumes/kubernetes.io~projected/*/ca.crt")
        problems += [f"{one.name}: {path} does not hold {newest.authority} {newest.stamp} alone" for path in _existing(volumes)
                     if path.read_text(encoding="utf-8").strip() != newest.pem.strip()]
    return problems


def _existing(paths: t.Iterable[Path]) -> t.Iterator[Path]:
    return (path for path in paths if path.exists())


def complaints(bed: nodes.Bed, since: str) -> list[str]:
    """Return what kube-system's pods have said of ``x509`` since this time (RFC 3339), but for clients that they have refused.

    To refuse the old generation's clients is right, and the judge itself is one of them.
    """
    first, found = nodes.nodes_of(bed)[0], []
    names = inside(first.container, "env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "-n", "kube-system", "get", "pods", "-o",
                   "name").split()
    for name in names:
        said = subprocess.run([*entering(first.container), "env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "-n", "kube-system",
                               "logs", name, f"--since-time={since}"], capture_output=True, text=True, check=True).stdout
        found += [f"{name}: {line}" for line in said.splitlines() if "x509" in line and not _REFUSED.search(line)]
    return found
