# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What has to happen to a leaf: the one decision that check mode, diff and the real run share."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import hashes, x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._duration import describe_duration
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.compare import (
    content_reasons,
    issuer_reasons,
    request_excess,
    time_reasons,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import (
    common_name,
    key_type,
    not_after,
    not_before,
    organizations,
    sans,
    usages,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import Item
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_request
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import pair_matches


class Authority(t.NamedTuple):
    """Who is to sign, and what a leaf presents after its own certificate."""

    name: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


class Found(t.NamedTuple):
    """What the files of an item hold: the leaf first, then its chain; None for a key that is not there."""

    certificates: tuple[x509.Certificate, ...] = ()
    key: t.Any = None


class Decision(t.NamedTuple):
    """Why a leaf has to be issued (empty: it is fine), and what its owner should know."""

    reasons: list[str]
    warnings: list[str]


def decide(item: Item, found: Found, authority: Authority | None, now: datetime.datetime) -> Decision:
    """Return why a leaf has to be issued.

    :param authority: None when it does not exist yet, which only check mode lets through.
    :param now: aware.
    """
    absent = _absence(found)
    if absent or authority is None:
        return Decision(absent or [f"authority {item.authority} does not exist yet"], [])
    leaf = found.certificates[0]
    reasons = [] if pair_matches(found.key, leaf) else ["key does not match the certificate"]
    reasons += content_reasons(leaf, item.profile, item.key_type) + issuer_reasons(leaf, authority.certificate)
    if not reasons and _fingerprints(found.certificates[1:]) != _fingerprints(authority.chain):
        reasons.append("chain differs from the authority's")
    age = time_reasons(leaf, now, item.renew_before)
    # A new leaf would end with the CA as well, and be due again in the next run.
    if age and not reasons and not_before(leaf) <= now < not_after(leaf) and not_after(leaf) >= not_after(authority.certificate):
        left = describe_duration(not_after(leaf) - now)
        return Decision([], [f"expires in {left} together with its CA: give the authority a new generation first"])
    return Decision(reasons + age, [])


def keeps_key(item: Item, found: Found) -> bool:
    """Say whether the next certificate is for the key that is in place."""
    return not item.rotate_key and found.key is not None and key_type(found.key.public_key()) == item.key_type


def checked_request(item: Item) -> t.Any:
    """Return the public key of an item's request; :raises PkiError: when it asks for anything beyond the item."""
    request = load_request(item.csr_content, f"{item.label}: csr_content")
    excess = request_excess(request, item.profile, item.key_type)
    if excess:
        raise PkiError(item.label, f"csr_content asks for more than the item: {', '.join(excess)}",
                       "correct the item, or run the request again")
    return request.public_key()


def check_delivery(item: Item, certificates: t.Sequence[x509.Certificate], authority: Authority | None, now: datetime.datetime) -> None:
    """Refuse a signed certificate that is not the one its item asks for; :raises PkiError: saying why."""
    problems = content_reasons(certificates[0], item.profile, item.key_type)
    problems += time_reasons(certificates[0], now, datetime.timedelta())
    if authority is not None:
        problems += issuer_reasons(certificates[0], authority.certificate)
    if problems:
        raise PkiError(item.label, f"certificate_content does not fit the item: {', '.join(problems)}",
                       "give the certificate that was signed for it")


def description(certificate: x509.Certificate) -> dict[str, t.Any]:
    """Return what a diff shows of a leaf: the values that :func:`outlook` foretells."""
    return {
        "common_name": common_name(certificate.subject),
        "organizations": organizations(certificate.subject),
        "sans": sans(certificate),
        "usages": usages(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "key_type": key_type(certificate.public_key()),
    }


def outlook(item: Item, authority: Authority | None) -> dict[str, t.Any]:
    """Return what a diff shows of the leaf that an item asks for."""
    profile = item.profile
    return {
        "common_name": profile.common_name,
        "organizations": list(profile.organizations),
        "sans": {"dns": list(profile.dns), "ip": list(profile.ip), "uri": list(profile.uri)},
        "usages": list(profile.usages),
        "issuer": authority.certificate.subject.rfc4514_string() if authority else item.authority,
        "key_type": item.key_type,
    }


def same_certificates(one: t.Sequence[x509.Certificate], other: t.Sequence[x509.Certificate]) -> bool:
    """Say whether two files hold the same certificates in the same order."""
    return _fingerprints(one) == _fingerprints(other)


def _absence(found: Found) -> list[str]:
    missing = [word for word, there in (("certificate", found.certificates), ("key", found.key)) if not there]
    return [f"{' and '.join(missing)} missing"] if missing else []


def _fingerprints(certificates: t.Sequence[x509.Certificate]) -> list[bytes]:
    return [certificate.fingerprint(hashes.SHA256()) for certificate in certificates]
