# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Who issued what, which key belongs to which certificate, and whether a CA may be used."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import ec, exceptions, padding, rsa, x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import (
    authority_key_id,
    extension,
    is_ca,
    iso8601,
    not_after,
    not_before,
    subject_key_id,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import public_key_sha256


def issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Say whether *ca* issued *certificate*: names, key identifiers where both exist, and the signature.

    The identifiers count although Go overlooks them: OpenSSL and Java refuse a chain in which they differ.
    """
    if certificate.issuer != ca.subject:
        return False
    wanted, found = subject_key_id(ca), authority_key_id(certificate)
    if wanted is not None and found is not None and wanted != found:
        return False
    return _signature_valid(certificate, ca.public_key())


def pair_matches(key: t.Any, certificate: x509.Certificate) -> bool:
    """Say whether a private key belongs to a certificate."""
    return public_key_sha256(key.public_key()) == public_key_sha256(certificate.public_key())


def ca_problems(certificate: x509.Certificate, now: datetime.datetime, depth: int = 0) -> list[str]:
    """Say why a certificate cannot be used as a CA; empty when it can.

    :param now: aware.
    :param depth: how many CAs are to stand between this one and a leaf: 0 for one that signs leaves.
    """
    problems = []
    if not is_ca(certificate):
        problems.append("is not a CA certificate")
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        problems.append("may not sign certificates (key usage without keyCertSign)")
    if now < not_before(certificate):
        problems.append(f"is not valid before {iso8601(not_before(certificate))}")
    if now >= not_after(certificate):
        problems.append(f"expired on {iso8601(not_after(certificate))}")
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None and constraints.path_length < depth:
        problems.append(f"may not sign CAs (path length {constraints.path_length})")
    return problems


def _signature_valid(certificate: x509.Certificate, public_key: t.Any) -> bool:
    try:
        _check_signature(certificate, public_key)
    except (exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _check_signature(certificate: x509.Certificate, public_key: t.Any) -> None:
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    algorithm: t.Any = certificate.signature_hash_algorithm
    if isinstance(public_key, rsa.RSAPublicKey):
        # cryptography 41 and later name the padding (PSS); before, PKCS #1 v1.5 was the only one it could verify.
        scheme = getattr(certificate, "signature_algorithm_parameters", None) or padding.PKCS1v15()
        public_key.verify(signature, signed, scheme, algorithm)
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, signed, ec.ECDSA(algorithm))
    else:
        public_key.verify(signature, signed)
