# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Why a leaf, or a request for one, is not what it should be. Compared by meaning, never by bytes."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._duration import describe_duration
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import (
    extension,
    is_ca,
    iso8601,
    key_type,
    not_after,
    not_before,
    organizations,
    usages,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.names import Profile
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import issued_by


def content_reasons(certificate: x509.Certificate, profile: Profile, wanted_key_type: str) -> list[str]:
    """Say in what a leaf differs from its profile; empty when it says what it should."""
    reasons = []
    if not _same_subject(certificate.subject, profile):
        wanted = ",".join([f"CN={profile.common_name}", *(f"O={value}" for value in profile.organizations)])
        reasons.append(f"subject is {certificate.subject.rfc4514_string()}, wanted {wanted}")
    found, expected = _names_of(certificate), _names_in(profile)
    reasons += [f"SAN missing: {value}" for kind, value in expected if (kind, value) not in found]
    reasons += [f"SAN extra: {value}" for kind, value in found if (kind, value) not in expected]
    if set(usages(certificate)) != set(profile.usages):
        reasons.append(f"usages are {_listed(usages(certificate))}, wanted {_listed(profile.usages)}")
    if is_ca(certificate):
        reasons.append("is a CA certificate")
    if key_type(certificate.public_key()) != wanted_key_type:
        reasons.append(f"key is {key_type(certificate.public_key())}, wanted {wanted_key_type}")
    return reasons


def issuer_reasons(certificate: x509.Certificate, ca: x509.Certificate) -> list[str]:
    """Say how a leaf's issuer differs from the wanted one."""
    if issued_by(certificate, ca):
        return []
    if certificate.issuer != ca.subject:
        return [f"issued by {certificate.issuer.rfc4514_string()}, wanted {ca.subject.rfc4514_string()}"]
    return [f"issued by another key of {ca.subject.rfc4514_string()}"]


def time_reasons(certificate: x509.Certificate, now: datetime.datetime, renew_before: datetime.timedelta) -> list[str]:
    """Say whether a leaf has to be replaced for its age; :param now: aware."""
    end = not_after(certificate)
    if now >= end:
        return [f"expired on {iso8601(end)}"]
    if now < not_before(certificate):
        return [f"not valid before {iso8601(not_before(certificate))}"]
    return [f"expires in {describe_duration(end - now)}"] if end - now < renew_before else []


def request_excess(request: x509.CertificateSigningRequest, profile: Profile, wanted_key_type: str) -> list[str]:
    """Say what a request asks for beyond the profile; empty when it asks for no more than that."""
    excess = []
    if not _same_subject(request.subject, profile):
        excess.append(f"subject {request.subject.rfc4514_string()}")
    allowed = _names_in(profile)
    excess += [f"SAN {value}" for kind, value in _names_of(request) if (kind, value) not in allowed]
    excess += [f"usage {value}" for value in usages(request) if value not in profile.usages]
    constraints = extension(request, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        excess.append("to be a CA")
    if key_type(request.public_key()) != wanted_key_type:
        excess.append(f"key type {key_type(request.public_key())}")
    return excess


def _same_subject(name: x509.Name, profile: Profile) -> bool:
    # The order of organizations means nothing to a verifier: they are a user's groups.
    known = {x509.oid.NameOID.COMMON_NAME, x509.oid.NameOID.ORGANIZATION_NAME}
    if any(part.oid not in known for part in name):
        return False
    found = [part.value for part in name.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)]
    return found == [profile.common_name] and set(organizations(name)) == set(profile.organizations)


def _names_in(profile: Profile) -> list[tuple[str, str]]:
    typed = (("dns", profile.dns), ("ip", profile.ip), ("uri", profile.uri))
    return [(kind, value) for kind, values in typed for value in values]


def _names_of(holder: x509.Certificate | x509.CertificateSigningRequest) -> list[tuple[str, str]]:
    # With their types: an address that is written as a DNS name is not the address to any client.
    names = []
    for name in extension(holder, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName):
            names.append(("dns", name.value.lower()))
        elif isinstance(name, x509.IPAddress):
            names.append(("ip", str(name.value)))
        elif isinstance(name, x509.UniformResourceIdentifier):
            names.append(("uri", name.value))
        else:
            names.append(("other", str(name.value)))
    return names


def _listed(values: t.Iterable[str]) -> str:
    return ", ".join(sorted(values)) or "none"
