# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Official releases: single binaries of Kubernetes, archives of etcd, each checked against the checksum published beside it."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import typing as t
import urllib.request

from loopback_bed.errors import BedError
from loopback_bed.versions import Version, etcd_version

_CONNECT_SECONDS = 5
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

Fetch = t.Callable[[str], bytes]


def fetch(url: str) -> bytes:
    """Return what is at *url*.

    :raises OSError: when it cannot be had.
    """
    with urllib.request.build_opener().open(url, timeout=_CONNECT_SECONDS) as answer:
        return bytes(answer.read())


def architecture() -> str:
    """Return what releases call this machine's architecture.

    :raises BedError: where there are none for it.
    """
    try:
        return _ARCHITECTURES[platform.machine()]
    except KeyError as exc:
        raise BedError(f"there are no releases for {platform.machine()}", "Name a directory with binaries in KUBERNETES_BIN_DIR.") from exc


def _checked(content: bytes, url: str, wanted: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != wanted:
        raise BedError(f"{url} does not have the checksum that is published for it", "Something altered it on the way: do not use it.")
    return content


def kubernetes_binary(name: str, version: Version, get: Fetch = fetch) -> bytes:
    """Return a released binary.

    :raises OSError: when it cannot be had.
    :raises BedError: when its checksum is wrong.
    """
    url = f"https://dl.k8s.io/release/{version}/bin/linux/{architecture()}/{name}"
    wanted = get(f"{url}.sha256").decode().split()[0]
    return _checked(get(url), url, wanted)


def etcd_binary(version: Version, get: Fetch = fetch) -> bytes:
    """Return the etcd that goes with this Kubernetes.

    :raises OSError: when it cannot be had.
    :raises BedError: when the archive's checksum is wrong or it holds no etcd.
    """
    release = etcd_version(version)
    folder = f"https://github.com/etcd-io/etcd/releases/download/{release}"
    archive = f"etcd-{release}-linux-{architecture()}"
    sums = {name: wanted for wanted, name in (line.split() for line in get(f"{folder}/SHA256SUMS").decode().splitlines())}
    url = f"{folder}/{archive}.tar.gz"
    content = _checked(get(url), url, sums.get(f"{archive}.tar.gz", ""))
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        member = opened.extractfile(f"{archive}/etcd")
        if member is None:
            raise BedError(f"{url} holds no etcd")
        return member.read()
