# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Looking for generations in every file of a host's directories: what the tables do not know of, too."""

from __future__ import annotations

import base64
import binascii
import os
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, load_key

LARGEST_FILE = 1 << 20
_INLINE = re.compile(rb"(?:certificate-authority-data|client-certificate-data)\"?:\s*\"?([A-Za-z0-9+/=]+)")


def scan(directories: t.Iterable[str], skipped: str, generations: Generations) -> dict[str, list[str]]:
    """Return path → generations whose CA, leaf or public key is in the file (PEM, or inline in a kubeconfig).

    :param skipped: a directory that is left out.
    """
    found = {}
    for directory in dict.fromkeys(directories):
        for folder, _folders, names in os.walk(directory):
            if folder.startswith(skipped):
                continue
            for path in (os.path.join(folder, name) for name in names):
                inside = _of_file(path, generations)
                if inside:
                    found[path] = inside
    return found


def authority_keys(directory: str, generations: Generations) -> dict[str, str]:
    """Return path → generation of every file below a directory that holds the private key of a known authority.

    What is no readable key is passed over.
    """
    found = {}
    for folder, _folders, names in os.walk(directory):
        for path in (os.path.join(folder, name) for name in names):
            content = b"" if os.path.getsize(path) > LARGEST_FILE else files.require(path)
            generation = _of_key(content, path, generations) if b"PRIVATE KEY-----" in content else ""
            if generation:
                found[path] = generation
    return found


def _of_key(content: bytes, path: str, generations: Generations) -> str:
    try:
        return generations.of_key(load_key(content, path))
    except PkiError:
        return ""


def _of_file(path: str, generations: Generations) -> list[str]:
    if os.path.islink(path) or os.path.getsize(path) > LARGEST_FILE:
        return []
    with open(path, "rb") as handle:
        content = handle.read()
    texts = [content, *(_decoded(value) for value in _INLINE.findall(content))]
    return sorted({name for text in texts if b"BEGIN CERTIFICATE" in text or b"BEGIN PUBLIC KEY" in text
                   for name in _of_text(text.decode("utf-8", "replace"), path, generations)})


def _of_text(text: str, path: str, generations: Generations) -> list[str]:
    try:
        blocks = [block for block in _pem.split(text, path) if block.label in ("CERTIFICATE", "PUBLIC KEY")]
        names = [_issuer(block, path, generations) or generations.of_anchor(block) for block in blocks]
    except PkiError as exc:
        return [str(exc)]
    return [name for name in names if not name.startswith("unknown")]


def _issuer(block: _pem.Block, path: str, generations: Generations) -> str:
    return generations.of_leaf(load_certificate(block.text, path)) if block.label == "CERTIFICATE" else ""


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
