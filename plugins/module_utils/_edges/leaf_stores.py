# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""How a leaf and its key are stored: in two PEM files, with the user of a kubeconfig, or as the kubelet keeps its own.

The kubelet's certificate stores are symlinks, ``kubelet-client-current.pem`` and ``kubelet-server-current.pem``, each to a dated file
beside it that holds the certificate and then the key (k8s.io/client-go util/certificate/certificate_store.go).
"""

from __future__ import annotations

import base64
import os
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _kubeconfig, _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import batch_files, files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import Item

FILES = "files"
KUBECONFIG = "kubeconfig"
KUBELET = "kubelet"
STORES = (FILES, KUBECONFIG, KUBELET)
_FIELDS = ("client-certificate-data", "client-key-data")
_CURRENT = "current.pem"
_DATED = "%Y-%m-%d-%H-%M-%S"


def read(store: str, certificate_path: str, key_path: str, item: str = "") -> tuple[bytes | None, bytes | None]:
    """Return certificate (with its chain) and key as PEM, None for what is not there.

    :raises PkiError: for a file that is there and cannot be read or understood.
    """
    content = files.read(certificate_path, item)
    if store == FILES:
        return content, files.read(key_path, item)
    if content is None:
        return None, None
    source = f"{item}: {certificate_path}" if item else certificate_path
    if store == KUBECONFIG:
        user = _user(_kubeconfig.parse(content.decode("utf-8", "replace"), source), source)
        found = [_kubeconfig.decode(user[field], source).encode() if user.get(field) else None for field in _FIELDS]
        return found[0], found[1]
    blocks = _pem.split(content.decode("utf-8", "replace"), source)
    certificates = "".join(block.text for block in blocks if block.label == "CERTIFICATE")
    keys = "".join(block.text for block in blocks if block.label != "CERTIFICATE")
    return certificates.encode() or None, keys.encode() or None


def named(path: str) -> str:
    """Return the file that a kubeconfig names for its user's certificate; empty where that is inline.

    :raises PkiError: where the kubeconfig is not there or does not say which user is meant.
    """
    user = _user(_kubeconfig.parse(files.require(path).decode("utf-8", "replace"), path), path)
    return "" if user.get(_FIELDS[0]) else str(user.get("client-certificate") or "")


def together(item: Item, key: bytes, certificates: str) -> list[batch_files.Step]:
    """Return the steps that put a pair into its one file.

    :raises PkiError: when the kubeconfig is not there or does not say which user is meant.
    """
    if item.store == KUBELET:
        path = f"{_prefix(item.key_path)}{time.strftime(_DATED, time.gmtime())}.pem"
        return [batch_files.Write(files.Target(path, files.KEY_MODE), certificates.encode("ascii") + key),
                batch_files.Link(os.path.basename(path), files.Target(item.key_path, files.KEY_MODE))]
    source = f"{item.label}: {item.key_path}"
    document = _kubeconfig.parse(files.require(item.key_path, item.label).decode("utf-8", "replace"), source)
    user = _user(document, source)
    for field, content in zip(_FIELDS, (certificates.encode("ascii"), key)):
        user[field] = base64.b64encode(content).decode("ascii")
    return [batch_files.Write(files.Target(item.key_path, files.KEY_MODE, item.owner, item.group), _kubeconfig.dump(document).encode())]


def checked(targets: t.Sequence[files.Target], store: str) -> list[files.Target]:
    """Return the files that must be fit to be written: the kubelet's is a symlink, whose place is taken by another one."""
    return [target for target in targets if not (store == KUBELET and os.path.islink(target.path))]


def remove_superseded(paths: t.Iterable[str]) -> None:
    """Remove what the symlinks at *paths* pointed to before: the kubelet keeps every pair it ever had."""
    for path in paths:
        directory, current = os.path.dirname(path), os.path.basename(os.path.realpath(path))
        for name in os.listdir(directory) if os.path.islink(path) else []:
            if name.startswith(os.path.basename(_prefix(path))) and name not in (current, os.path.basename(path)):
                files.remove(os.path.join(directory, name))


def _prefix(link: str) -> str:
    """Return how the dated files behind a symlink begin."""
    return link[:-len(_CURRENT)] if link.endswith(_CURRENT) else f"{link}-"


def _user(document: t.Mapping[str, t.Any], source: str) -> dict[str, t.Any]:
    """Return the fields of the user of the current context, or of the only user."""
    users = {one["name"]: one for one in document.get("users") or []}
    contexts = {one["name"]: one.get("context") or {} for one in document.get("contexts") or []}
    name = contexts.get(document.get("current-context") or "", {}).get("user")
    if name not in users and len(users) == 1:
        name = next(iter(users))
    if name not in users:
        raise PkiError(source, "its current context names no user of it", "mend the kubeconfig")
    found: dict[str, t.Any] = users[name].setdefault("user", {})
    return found
