# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which generation a certificate or a public key is, or which one issued a certificate or signed a token."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, public_key_sha256
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.tokens import key_id, key_id_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import issued_by, pair_matches


class Generations:
    """The known generations: name (``kubernetes/20261122T170000Z``) → CA certificate, or public key of service accounts."""

    def __init__(self, pem_by_name: t.Mapping[str, str]) -> None:
        blocks = {name: _pem.split(pem, name)[:1] for name, pem in pem_by_name.items()}
        keys = {name for name, first in blocks.items() if [block.label for block in first] == ["PUBLIC KEY"]}
        self._ca = {name: load_certificate(pem, name) for name, pem in pem_by_name.items() if name not in keys}
        self._fingerprint = {block.fingerprint: name for name, first in blocks.items() for block in first}
        # The fingerprint of a public key's block is the SHA-256 of its SubjectPublicKeyInfo.
        self._key = {fingerprint: name for fingerprint, name in self._fingerprint.items() if name in keys}
        self._key_id = {key_id(fingerprint): name for fingerprint, name in self._key.items()}

    def of_anchor(self, block: _pem.Block) -> str:
        """Return the generation that a certificate or public key of a bundle is; ``unknown <fingerprint>`` for a foreign one."""
        return self._fingerprint.get(block.fingerprint, f"unknown sha256:{block.fingerprint[:16]}")

    def of_leaf(self, certificate: x509.Certificate) -> str:
        """Return the generation that issued a certificate; empty when none of ours did."""
        return next((name for name, ca in self._ca.items() if issued_by(certificate, ca)), "")

    def of_subject(self, name: str) -> str:
        """Return the generation whose subject an RFC 4514 string is; the string itself for a foreign one."""
        return next((generation for generation, ca in self._ca.items() if ca.subject.rfc4514_string() == name), name)

    def of_key(self, key: t.Any) -> str:
        """Return the generation whose key this is; empty when it is none of ours."""
        name = self._key.get(public_key_sha256(key.public_key()))
        return name or next((name for name, ca in self._ca.items() if pair_matches(key, ca)), "")

    def of_token(self, token: str) -> str:
        """Return the generation whose key signed a token, by the key that it names; empty when it is none of ours."""
        return self._key_id.get(key_id_of(token), "")
