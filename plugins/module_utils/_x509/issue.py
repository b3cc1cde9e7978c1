# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Requests and certificates of leaves: what RFC 5280 asks for and every verifier in a cluster accepts."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import ec, hashes, rsa, serialization, x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import USAGE_OIDS, not_after, not_before
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.names import Profile, subject_alternative_name, subject_name

BACKDATE = datetime.timedelta(hours=1)  # hosts' clocks differ


class Issuer(t.NamedTuple):
    """What signing needs, prepared once for a batch."""

    name: x509.Name
    key: t.Any
    key_id: x509.AuthorityKeyIdentifier
    algorithm: t.Any  # a hash, None for an Edwards key


def issuer_of(certificate: x509.Certificate, key: t.Any) -> Issuer:
    """Return the issuer of a CA's pair."""
    return Issuer(certificate.subject, key, authority_key_identifier(certificate), signature_hash(key))


def authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return the identifier of *ca* for what it signs: its SubjectKeyIdentifier byte for byte, nothing else.

    Computed anew it need not be the same (SHA-1, or truncated SHA-256 since Go 1.25), and OpenSSL refuses the chain then;
    with issuer and serial number added, a CA that is issued again under the same key is refused.
    """
    try:
        found = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        public_key: t.Any = ca.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
    return x509.AuthorityKeyIdentifier(found.digest, None, None)


def signature_hash(key: t.Any) -> t.Any:
    """Return the hash that fits a signing key; None for Edwards curves, which bring their own."""
    if isinstance(key, rsa.RSAPrivateKey):
        return hashes.SHA256()
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return {384: hashes.SHA384(), 521: hashes.SHA512()}.get(key.curve.key_size, hashes.SHA256())


def period(
    now: datetime.datetime, length: datetime.timedelta, ca: x509.Certificate | None = None
) -> tuple[datetime.datetime, datetime.datetime, bool]:
    """Return start, end, and whether *ca*'s own end cut it: nothing outlives or predates its CA."""
    start = now.replace(microsecond=0) - BACKDATE
    end = now.replace(microsecond=0) + length
    if ca is None:
        return start, end, False
    return max(start, not_before(ca)), min(end, not_after(ca)), end > not_after(ca)


def sign_leaf(
    issuer: Issuer, profile: Profile, public_key: t.Any, start: datetime.datetime, end: datetime.datetime, serial_number: int
) -> x509.Certificate:
    """Return a leaf.

    :param start: end: aware, as :func:`period` gives them.
    :param serial_number: positive, at least 64 random bits, at most 20 octets: ``x509.random_serial_number()``.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name(profile.common_name, profile.organizations))
        .issuer_name(issuer.name)
        .public_key(public_key)
        .serial_number(serial_number)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_leaf_key_usage(public_key), critical=True)
        .add_extension(_extended_key_usage(profile), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer.key_id, critical=False)
    )
    sans = subject_alternative_name(profile)
    if sans is not None:
        builder = builder.add_extension(sans, critical=False)
    return builder.sign(issuer.key, issuer.algorithm)


def make_request(key: t.Any, profile: Profile) -> str:
    """Return a certificate signing request in PEM.

    It says all that the leaf shall say, so that an authority outside the collection can sign it too.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_name(profile.common_name, profile.organizations))
    builder = builder.add_extension(_extended_key_usage(profile), critical=False)
    sans = subject_alternative_name(profile)
    if sans is not None:
        builder = builder.add_extension(sans, critical=False)
    request = builder.sign(key, signature_hash(key))
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def certificate_pem(certificate: x509.Certificate) -> str:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def key_usage(**allowed: bool) -> x509.KeyUsage:
    """Return a KeyUsage that allows what is named and nothing else."""
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def _leaf_key_usage(public_key: t.Any) -> x509.KeyUsage:
    # RSA key exchange of TLS 1.2 enciphers with the key; an ECDSA key cannot.
    return key_usage(digital_signature=True, key_encipherment=isinstance(public_key, rsa.RSAPublicKey))


def _extended_key_usage(profile: Profile) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(USAGE_OIDS[name]) for name in profile.usages])
