# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and certificates of the sample workloads, by openssl; signed by the cluster's authority or by one of their own."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from kubeadm_bed.commands import inside, run
from kubeadm_bed.topology import Node

_NEW_KEY = ("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
_SERVES = ("keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth")
_SIGN = ("openssl", "x509", "-req", "-copy_extensions", "copyall", "-days", "365")


class Pair(t.NamedTuple):
    """A certificate and its key, as PEM, and the certificate of the authority that has signed it."""

    certificate: str
    key: str
    authority: str


def request(folder: Path, name: str, subject: str, *extensions: str) -> bytes:
    """Make a key (``NAME.key`` in the folder) and return a request for it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    more = [word for one in extensions for word in ("-addext", one)]
    return run("openssl", "req", "-new", *_NEW_KEY, "-subj", subject, *more, "-keyout", str(folder / f"{name}.key")).stdout


def serving_by_cluster(folder: Path, first: Node, service: str) -> Pair:
    """Return a serving certificate of a service, signed by the pair with which the node's controller-manager signs now."""
    return _by_cluster(folder, first, service, _serving(folder, service))


def kubelet_by_cluster(folder: Path, first: Node, one: Node) -> Pair:
    """Return a serving certificate of a node's kubelet, signed likewise."""
    subject = f"/O=system:nodes/CN=system:node:{one.name}"
    asked = request(folder, one.name, subject, f"subjectAltName=DNS:{one.name},IP:{one.address}", *_SERVES)
    return _by_cluster(folder, first, one.name, asked)


def serving_by_own(folder: Path, service: str) -> Pair:
    """Return a serving certificate of a service, signed by an authority of its own, which is made at the first call."""
    asked = _serving(folder, service)
    authority, key = folder / "own-ca.crt", folder / "own-ca.key"
    if not authority.exists():
        run("openssl", "req", "-x509", *_NEW_KEY, "-subj", "/CN=bed-own-ca", "-days", "3650", "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", str(key), "-out", str(authority))
    signed = run(*_SIGN, "-CA", str(authority), "-CAkey", str(key), stdin=asked).stdout.decode()
    return Pair(signed, (folder / f"{service}.key").read_text(encoding="utf-8"), authority.read_text(encoding="utf-8"))


def _by_cluster(folder: Path, first: Node, name: str, asked: bytes) -> Pair:
    certificate, key = (_flag(first, f"--cluster-signing-{kind}-file") for kind in ("cert", "key"))
    signed = inside(first.container, *_SIGN, "-CA", certificate, "-CAkey", key, stdin=asked)
    return Pair(signed, (folder / f"{name}.key").read_text(encoding="utf-8"), inside(first.container, "cat", certificate))


def _flag(first: Node, name: str) -> str:
    manifest = inside(first.container, "cat", "/etc/kubernetes/manifests/kube-controller-manager.yaml")
    found = re.search(rf"{name}=(\S+)", manifest)
    assert found, manifest
    return found[1]


def _serving(folder: Path, service: str) -> bytes:
    """:param service: ``NAME.NAMESPACE.svc``, by which API servers call it."""
    return request(folder, service, f"/CN={service}", f"subjectAltName=DNS:{service}", *_SERVES)
