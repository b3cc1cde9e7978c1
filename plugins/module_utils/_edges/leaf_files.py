# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The files of leaves: certificate, key, and the key that waits for its certificate."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files, leaf_stores
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.decide import Found
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import key_type
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import Item
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_key, require_certificates


def key_target(item: Item) -> files.Target:
    """Return where the item's key goes, with its mode and owner."""
    return files.Target(item.key_path, item.key_mode, item.owner, item.group)


def certificate_target(item: Item) -> files.Target:
    """Return where the item's certificate goes, with its mode and owner."""
    return files.Target(item.certificate_path, item.certificate_mode, item.owner, item.group)


def targets(item: Item) -> tuple[files.Target, ...]:
    """Return the files of the item, in the order in which they are written."""
    return (key_target(item),) if item.in_one_file else (key_target(item), certificate_target(item))


def pending_target(item: Item) -> files.Target:
    """Return where a new key waits for its certificate: for its owner's eyes alone, whatever the key's mode will be."""
    return files.Target(item.pending_path, files.KEY_MODE)


def check_targets(items: t.Sequence[Item], check_mode: bool) -> None:
    """Refuse the batch when one of its files cannot be written safely; :raises PkiError: naming item and file."""
    for item in items:
        for target in (*leaf_stores.checked(targets(item), item.store), pending_target(item)):
            files.check_target(target, item.label, check_mode)


def observe(item: Item) -> Found:
    """Return what is in place; :raises PkiError: for a file that is there and cannot be read or parsed."""
    certificate, key = leaf_stores.read(item.store, item.certificate_path, item.key_path, item.label)
    found = Found()
    if certificate is not None:
        source = f"{item.label}: {item.certificate_path}"
        found = found._replace(certificates=tuple(require_certificates(certificate.decode("utf-8", "replace"), source)))
    if key is not None:
        found = found._replace(key=load_key(key, f"{item.label}: {item.key_path}"))
    return found


def read_pending(item: Item) -> t.Any:
    """Return the key that waits for its certificate, or None.

    :raises PkiError: when it cannot be read; a damaged one is no loss to anyone and counts as none.
    """
    content = files.read(item.pending_path, item.label)
    if content is None:
        return None
    try:
        return load_key(content, item.pending_path)
    except PkiError:
        return None


def usable_pending(item: Item) -> t.Any:
    """Return the pending key where it is of the wanted type, or None."""
    key = read_pending(item)
    return key if key is not None and key_type(key.public_key()) == item.key_type else None
