# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Certificates and keys from PEM, and the identity of a public key."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import (
    exceptions,
    major_version,
    serialization,
    x509,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._pem import split


def load_certificate(pem: str, source: str) -> x509.Certificate:
    """Return the first certificate of *pem*.

    :param source: the file or field, for messages.
    :raises PkiError: when there is none, or it is damaged.
    """
    return require_certificates(pem, source, limit=1)[0]


def require_certificates(pem: str, source: str, limit: int | None = None) -> list[x509.Certificate]:
    """Return what :func:`load_certificates` does; :raises PkiError: when there is none as well."""
    found = load_certificates(pem, source, limit)
    if not found:
        raise PkiError(source, "holds no certificate", "restore it: a PEM block CERTIFICATE is wanted")
    return found


def load_certificates(pem: str, source: str, limit: int | None = None) -> list[x509.Certificate]:
    """Return the certificates of *pem* in their order, at most *limit*; other PEM blocks are passed over.

    :raises PkiError: for a truncated block and for one that is no certificate.
    """
    blocks = [block for block in split(pem, source) if block.label == "CERTIFICATE"]
    return [_parsed(block.der, source) for block in blocks[:limit]]


def load_request(pem: str, source: str) -> x509.CertificateSigningRequest:
    """Return a certificate signing request whose own signature is valid.

    :raises PkiError: when it is damaged, or was not signed with the key that it holds.
    """
    blocks = split(pem, source)
    if not blocks or blocks[0].label not in ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"):
        raise PkiError(source, "holds no certificate signing request", "run the request again")
    try:
        request = x509.load_der_x509_csr(blocks[0].der)
        genuine = request.is_signature_valid
    except (ValueError, exceptions.UnsupportedAlgorithm) as exc:
        raise PkiError(source, f"is not a valid certificate signing request: {exc}", "run the request again") from exc
    if not genuine:
        raise PkiError(source, "is not signed with its own key", "run the request again")
    return request


def load_key(pem: bytes, source: str, passphrase: bytes | None = None) -> t.Any:
    """Return a private key.

    The check of an RSA key's numbers is skipped where cryptography can (39 and later): it costs as much as making a key,
    and every use here compares the public half with a certificate's.

    :raises PkiError: when it is damaged, of an unknown kind, or encrypted and *passphrase* does not fit.
    """
    options = {"unsafe_skip_rsa_key_validation": True} if major_version() >= 39 else {}
    try:
        return serialization.load_pem_private_key(pem, password=passphrase, **options)
    except TypeError as exc:
        raise PkiError(source, "private key is encrypted" if passphrase is None else "private key is not encrypted",
                       "give it without a passphrase") from exc
    except (ValueError, exceptions.UnsupportedAlgorithm) as exc:
        raise PkiError(source, "is not a readable private key", "restore the file") from exc


def public_key_sha256(public_key: t.Any) -> str:
    """Return the hex SHA-256 of the DER SubjectPublicKeyInfo: what says that two keys are the same key."""
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _parsed(der: bytes, source: str) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        # Parsed lazily: asked for here, so that nothing later has to expect a damaged certificate.
        _probe = certificate.extensions, certificate.subject, certificate.issuer, certificate.public_key()
    except (ValueError, x509.DuplicateExtension, exceptions.UnsupportedAlgorithm) as exc:
        raise PkiError(source, f"is not a valid certificate: {exc}", "restore the file") from exc
    return certificate
