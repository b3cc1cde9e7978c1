# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Making private keys, many at once."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import ec, rsa, serialization

KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096")


def new_key(key_type: str) -> t.Any:
    """Return a new private key of one of KEY_TYPES."""
    if key_type.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[4:]))
    return ec.generate_private_key(ec.SECP256R1() if key_type == "ecdsa-p256" else ec.SECP384R1())


def new_keys(key_types: t.Sequence[str]) -> list[t.Any]:
    """Return new private keys in the order of *key_types*.

    RSA keys are made on all cores: the library releases the interpreter for them. For ECDSA threads only cost.
    """
    slow = sum(key_type.startswith("rsa-") for key_type in key_types)
    if slow < 2:
        return [new_key(key_type) for key_type in key_types]
    from concurrent.futures import ThreadPoolExecutor  # only where needed: its import takes as long as 100 ECDSA keys

    with ThreadPoolExecutor(min(slow, len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(new_key, key_types))


def key_pem(key: t.Any) -> bytes:
    """Return a private key as unencrypted PKCS #8, which Go, OpenSSL and Java all read."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
