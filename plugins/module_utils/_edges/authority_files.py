# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The files of authorities: pairs, chains, cross-certificates, and the neighbours whose names are taken."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.authority_items import AuthorityItem
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import is_ca
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, load_certificates, load_key

_CERTIFICATE_ENDINGS = (".crt", ".pem", ".cer")


def key_target(item: AuthorityItem) -> files.Target:
    """Return where the key goes."""
    return files.Target(item.key_path, item.key_mode, item.owner, item.group)


def public_target(item: AuthorityItem, path: str) -> files.Target:
    """Return where one of the authority's certificate files goes."""
    return files.Target(path, item.certificate_mode, item.owner, item.group)


def own_targets(item: AuthorityItem) -> list[files.Target]:
    """Return the files of the pair that are the module's to keep; of an external authority it writes neither."""
    return [] if item.external else [key_target(item), public_target(item, item.certificate_path)]


def check_targets(items: t.Sequence[AuthorityItem], check_mode: bool) -> None:
    """Refuse the batch when one of its files cannot be written safely; :raises PkiError: naming item and file."""
    for item in items:
        others = [item.chain_path, item.cross_sign.path if item.cross_sign else ""]
        for target in own_targets(item) + [public_target(item, path) for path in others if path]:
            files.check_target(target, item.name, check_mode)


def read_certificate(path: str, item: str) -> x509.Certificate | None:
    """Return the first certificate of a file, None where there is no file; :raises PkiError: when it is damaged."""
    content = files.read(path, item)
    return None if content is None else load_certificate(content.decode("utf-8", "replace"), f"{item}: {path}")


def read_chain(path: str, item: str) -> list[x509.Certificate] | None:
    """Return all certificates of a file, None where there is no file; :raises PkiError: when it is damaged."""
    content = files.read(path, item)
    return None if content is None else load_certificates(content.decode("utf-8", "replace"), f"{item}: {path}")


def read_key(path: str, item: str) -> t.Any:
    """Return the private key of a file, None where there is no file; :raises PkiError: when it is damaged."""
    content = files.read(path, item) if path else None
    return None if content is None else load_key(content, f"{item}: {path}")


def namesakes(item: AuthorityItem) -> list[tuple[str, x509.Certificate]]:
    """Return the CA certificates whose names are taken: those the item lists and those in its own directory.

    :raises PkiError: for one that is damaged, since its name cannot be read.
    """
    directory = os.path.dirname(item.certificate_path) or "."
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    siblings = [os.path.join(directory, name) for name in names if name.endswith(_CERTIFICATE_ENDINGS)]
    taken = []
    for path in [*item.other_certificate_paths, *siblings]:
        if os.path.isdir(path) or os.path.normpath(path) == os.path.normpath(item.certificate_path):
            continue
        text = files.require(path, item.name).decode("utf-8", "replace")
        taken += [(path, found) for found in load_certificates(text, f"{item.name}: {path}") if is_ca(found)]
    return taken


def require_certificate(path: str, item: str, remedy: str) -> x509.Certificate:
    """Return the certificate of a file that must be there; :raises PkiError: with *remedy* when it is not."""
    certificate = read_certificate(path, item)
    if certificate is None:
        raise PkiError(item, f"{path}: no such file", remedy)
    return certificate
