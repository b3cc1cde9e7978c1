# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Generations of authorities: making, adopting, re-issuing and cross-signing CA certificates."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.compare import time_reasons
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import (
    common_name,
    extension,
    iso8601,
    not_after,
    subject_key_id,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.issue import (
    Issuer,
    authority_key_identifier,
    issuer_of,
    key_usage,
    signature_hash,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import public_key_sha256
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import ca_problems, issued_by

Extensions = list[tuple[t.Any, bool]]  # value, critical


class Term(t.NamedTuple):
    """When a certificate is valid, and its serial number (``x509.random_serial_number()``)."""

    start: datetime.datetime
    end: datetime.datetime
    serial_number: int


def new_authority(subject: x509.Name, path_length: int | None, key: t.Any, issuer: Issuer | None, term: Term) -> x509.Certificate:
    """Return the certificate of a new authority.

    :param issuer: the parent of an intermediate; None for a root, which signs itself.
    """
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    extensions: Extensions = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_ca_key_usage(), True),
        (own_id, False),
        (issuer.key_id if issuer else x509.AuthorityKeyIdentifier(own_id.digest, None, None), False),
    ]
    return _signed(subject, key.public_key(), issuer or _self_issuer(subject, key), term, extensions)


def reissued_authority(old: x509.Certificate, key: t.Any, issuer: Issuer | None, term: Term) -> x509.Certificate:
    """Return *old* once more: same key, subject, key identifier and limits, new serial number and dates.

    All that was signed with the key stays valid, because verifiers find the certificate by subject and key identifier.
    """
    key_id = issuer.key_id if issuer else authority_key_identifier(old)
    # Strict verifiers (Python 3.13 and later) want these two critical, whatever the tool that made the old one did.
    limits = (x509.BasicConstraints, x509.KeyUsage)
    kept = [(found.value, found.critical or isinstance(found.value, limits)) for found in old.extensions
            if not isinstance(found.value, x509.AuthorityKeyIdentifier)]
    extensions: Extensions = [*kept, (key_id, False)]
    if extension(old, x509.KeyUsage) is None:
        extensions.append((_ca_key_usage(), True))
    if subject_key_id(old) is None:
        extensions.append((x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
    return _signed(old.subject, key.public_key(), issuer or _self_issuer(old.subject, key), term, extensions)


def cross_certificate(ca: x509.Certificate, old: x509.Certificate, old_key: t.Any, term: Term) -> x509.Certificate:
    """Return *ca* as an intermediate of *old*: who trusts the old generation alone then trusts the new one's leaves too.

    :raises PkiError: when the old generation may not sign CAs.
    """
    allowed = _path_length(old)
    if allowed == 0:
        raise PkiError(common_name(old.subject), "has path length 0, so no verifier accepts a cross-certificate of it",
                       "leave out cross_sign")
    limits = [limit for limit in (_path_length(ca), None if allowed is None else allowed - 1) if limit is not None]
    extensions: Extensions = [
        (x509.BasicConstraints(ca=True, path_length=min(limits, default=None)), True),
        (_ca_key_usage(), True),
        (extension(ca, x509.SubjectKeyIdentifier) or x509.SubjectKeyIdentifier.from_public_key(ca.public_key()), False),
        (authority_key_identifier(old), False),
    ]
    return _signed(ca.subject, ca.public_key(), issuer_of(old, old_key), term, extensions)


def adoption_problems(
    certificate: x509.Certificate, wanted_name: str, depth: int, parent: x509.Certificate | None, now: datetime.datetime
) -> list[str]:
    """Say why a CA certificate that is already there cannot be used; empty when it can.

    :param wanted_name: the common name asked for, "" for any.
    :param depth: how many CAs are to stand below it.
    """
    problems = ca_problems(certificate, now, depth)
    found = common_name(certificate.subject)
    if wanted_name and found != wanted_name:
        problems.append(f"is CN={found}, wanted CN={wanted_name}: another generation needs paths of its own")
    if parent is not None and not issued_by(certificate, parent):
        problems.append(f"is not issued by {parent.subject.rfc4514_string()}")
    return problems


def adoption_warnings(certificate: x509.Certificate) -> list[str]:
    """Say what strict verifiers (OpenSSL's -x509_strict, Python 3.13 and later) miss in a CA that others accept."""
    lacking = [name for name, kind in (("key usage", x509.KeyUsage), ("subject key identifier", x509.SubjectKeyIdentifier))
               if extension(certificate, kind) is None]
    return [f"has no {' and no '.join(lacking)}: strict verifiers refuse it; renew_before can issue it again"] if lacking else []


def renewal(
    certificate: x509.Certificate, renew_before: datetime.timedelta, parent: x509.Certificate | None, now: datetime.datetime
) -> tuple[list[str], list[str]]:
    """Return why an authority has to be issued again under its key, and warnings."""
    reasons = time_reasons(certificate, now, renew_before)
    if reasons and parent is not None and now < not_after(certificate) and not_after(certificate) >= not_after(parent):
        return [], [f"ends with its parent on {iso8601(not_after(parent))}"]
    return reasons, []


def child_path_length(wanted: int | None, parent: x509.Certificate, item: str) -> int | None:
    """Return the path length of an intermediate under *parent*; :raises PkiError: when the parent does not allow it."""
    allowed = _path_length(parent)
    if allowed is None:
        return wanted
    if allowed < 1 + (wanted or 0):
        raise PkiError(item, f"parent {parent.subject.rfc4514_string()} has path length {allowed}",
                       "choose another parent or a lower path_length")
    return allowed - 1 if wanted is None else wanted


def refuse_namesake(item: str, name: str, public_key: t.Any, others: t.Iterable[tuple[str, x509.Certificate]]) -> None:
    """Refuse a new authority whose common name another key already bears.

    OpenSSL finds an issuer by its name and does not look further when the signature of the first one fails.

    :param others: source and CA certificate.
    """
    own = public_key_sha256(public_key)
    for source, other in others:
        if common_name(other.subject) == name and public_key_sha256(other.public_key()) != own:
            raise PkiError(item, f"common name {name} is that of another authority, {source}", "give each generation a name of its own")


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Say whether a CA is a root."""
    return certificate.subject == certificate.issuer


def cross_reasons(
    found: x509.Certificate | None, ca: x509.Certificate, old: x509.Certificate, now: datetime.datetime
) -> list[str]:
    """Say why the cross-certificate of *ca* by *old* has to be made."""
    if found is None:
        return ["cross-certificate missing"]
    if found.subject != ca.subject or public_key_sha256(found.public_key()) != public_key_sha256(ca.public_key()):
        return ["cross-certificate is for another authority"]
    if not issued_by(found, old):
        return [f"cross-certificate is not issued by {old.subject.rfc4514_string()}"]
    return [f"cross-certificate {reason}" for reason in time_reasons(found, now, datetime.timedelta())]


def _signed(subject: x509.Name, public_key: t.Any, issuer: Issuer, term: Term, extensions: Extensions) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.name)
        .public_key(public_key)
        .serial_number(term.serial_number)
        .not_valid_before(term.start)
        .not_valid_after(term.end)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(issuer.key, issuer.algorithm)


def _self_issuer(subject: x509.Name, key: t.Any) -> Issuer:
    own_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return Issuer(subject, key, own_id, signature_hash(key))


def _ca_key_usage() -> x509.KeyUsage:
    return key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True)


def _path_length(certificate: x509.Certificate) -> int | None:
    constraints = extension(certificate, x509.BasicConstraints)
    return None if constraints is None else constraints.path_length
