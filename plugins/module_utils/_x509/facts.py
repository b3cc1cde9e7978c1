# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a certificate says, as plain values."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import (
    ec,
    ed448,
    ed25519,
    hashes,
    rsa,
    x509,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import public_key_sha256

USAGE_OIDS = {"server_auth": "1.3.6.1.5.5.7.3.1", "client_auth": "1.3.6.1.5.5.7.3.2"}
_USAGE_NAMES = {oid: name for name, oid in USAGE_OIDS.items()}
_CURVES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}


def certificate_facts(certificate: x509.Certificate, now: datetime.datetime) -> dict[str, t.Any]:
    """Return the public facts of a certificate.

    :param now: aware; ``remaining_days`` counts whole days from here and is negative once it has expired.
    """
    return {
        "subject": certificate.subject.rfc4514_string(),
        "common_name": common_name(certificate.subject),
        "organizations": organizations(certificate.subject),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_number": str(certificate.serial_number),
        "not_before": iso8601(not_before(certificate)),
        "not_after": iso8601(not_after(certificate)),
        "remaining_days": (not_after(certificate) - now).days,
        "sans": sans(certificate),
        "usages": usages(certificate),
        "is_ca": is_ca(certificate),
        "fingerprint_sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "key_type": key_type(certificate.public_key()),
        "subject_key_id": (subject_key_id(certificate) or b"").hex(),
        "authority_key_id": (authority_key_id(certificate) or b"").hex(),
        "public_key_sha256": public_key_sha256(certificate.public_key()),
    }


def leaf_facts(certificate: x509.Certificate) -> dict[str, str]:
    """Return the few facts that a batch of thousands hands back for each certificate: every value costs Ansible time."""
    return {
        "serial_number": str(certificate.serial_number),
        "not_after": iso8601(not_after(certificate)),
        "fingerprint_sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def extension(holder: x509.Certificate | x509.CertificateSigningRequest, kind: type) -> t.Any:
    """Return the value of an extension, or None where it is absent."""
    try:
        return holder.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def common_name(name: x509.Name) -> str:
    """Return the first common name, "" where there is none."""
    return next((str(part.value) for part in name.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)), "")


def organizations(name: x509.Name) -> list[str]:
    """Return the organizations in their order: a client certificate's groups."""
    return [str(part.value) for part in name.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)]


def sans(holder: x509.Certificate | x509.CertificateSigningRequest) -> dict[str, list[str]]:
    """Return the subject alternative names by type, IP addresses in their shortest form."""
    value = extension(holder, x509.SubjectAlternativeName)
    if value is None:
        return {"dns": [], "ip": [], "uri": []}
    return {
        "dns": list(value.get_values_for_type(x509.DNSName)),
        "ip": [str(address) for address in value.get_values_for_type(x509.IPAddress)],
        "uri": list(value.get_values_for_type(x509.UniformResourceIdentifier)),
    }


def usages(holder: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """Return the extended key usages: ``server_auth``, ``client_auth``, any other as its dotted OID."""
    value = extension(holder, x509.ExtendedKeyUsage)
    return [_USAGE_NAMES.get(oid.dotted_string, oid.dotted_string) for oid in value or ()]


def is_ca(certificate: x509.Certificate) -> bool:
    """Say whether BasicConstraints make it a CA."""
    value = extension(certificate, x509.BasicConstraints)
    return value is not None and bool(value.ca)


def key_type(public_key: t.Any) -> str:
    """Return ``ecdsa-p256``, ``rsa-2048``, ``ed25519`` and the like."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"rsa-{public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"ecdsa-{_CURVES.get(public_key.curve.name, public_key.curve.name)}"
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return "ed25519"
    return "ed448" if isinstance(public_key, ed448.Ed448PublicKey) else "unknown"


def subject_key_id(certificate: x509.Certificate) -> bytes | None:
    """Return the SubjectKeyIdentifier's bytes, or None."""
    value = extension(certificate, x509.SubjectKeyIdentifier)
    return None if value is None else bytes(value.digest)


def authority_key_id(certificate: x509.Certificate) -> bytes | None:
    """Return the AuthorityKeyIdentifier's key identifier, or None."""
    value = extension(certificate, x509.AuthorityKeyIdentifier)
    return None if value is None else value.key_identifier


def not_before(certificate: x509.Certificate) -> datetime.datetime:
    """Return the start of validity, aware."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=datetime.timezone.utc)


def not_after(certificate: x509.Certificate) -> datetime.datetime:
    """Return the end of validity, aware."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def iso8601(moment: datetime.datetime) -> str:
    """Return ``2027-11-22T00:00:00Z``."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
