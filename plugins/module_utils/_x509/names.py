# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whom a leaf names and what it is for: checked, normalised, and as X.509 names."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

LONGEST_NAME = 64  # ub-common-name and ub-organization-name of RFC 5280, appendix A.1

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[\x21-\x7e]+", re.IGNORECASE)


class Profile(t.NamedTuple):
    """What a leaf shall say. SANs are normalised: DNS names in lower case, IP addresses in their shortest form."""

    common_name: str
    organizations: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()

    @property
    def sans(self) -> list[str]:
        """All subject alternative names, as they are shown to people."""
        return [*self.dns, *self.ip, *self.uri]


def checked_profile(
    item: str, common_name: str, organizations: t.Sequence[str], sans: t.Mapping[str, t.Sequence[str]], usages: t.Sequence[str]
) -> Profile:
    """Return the profile of a leaf.

    :param item: the name for messages.
    :param sans: ``dns``, ``ip``, ``uri``.
    :raises PkiError: for a name that is too long, an IP address among the DNS names or the reverse, a server without SAN.
    """
    checked_subject(item, common_name, organizations)
    profile = Profile(
        common_name,
        _unique(organizations),
        _unique(_dns_name(item, value) for value in sans.get("dns") or ()),
        _unique(_ip_address(item, value) for value in sans.get("ip") or ()),
        _unique(_uri(item, value) for value in sans.get("uri") or ()),
        _unique(usages),
    )
    if not profile.usages:
        raise PkiError(item, "usages is empty", "give server_auth, client_auth or both")
    if "server_auth" in profile.usages and not profile.sans:
        raise PkiError(item, "a server certificate without SAN is refused by every client", "give sans")
    return profile


def checked_subject(item: str, common_name: str, organizations: t.Sequence[str]) -> None:
    """Refuse a subject that cannot be written; :raises PkiError: naming the option."""
    named = [("common_name", common_name)] + [("organizations", value) for value in organizations]
    for option, value in named:
        if not value.strip():
            raise PkiError(item, f"{option} is empty", "give it a value")
        if len(value) > LONGEST_NAME:
            raise PkiError(item, f"{option} {value!r} is longer than {LONGEST_NAME} characters", "shorten it")


def subject_name(common_name: str, organizations: t.Iterable[str]) -> x509.Name:
    """Return the subject: organizations first, as kubeadm and openssl write it."""
    parts = [x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, value) for value in organizations]
    return x509.Name([*parts, x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, common_name)])


def subject_alternative_name(profile: Profile) -> x509.SubjectAlternativeName | None:
    """Return the extension, or None where there is nothing to name."""
    names: list[t.Any] = [x509.DNSName(value) for value in profile.dns]
    names += [x509.IPAddress(ipaddress.ip_address(value)) for value in profile.ip]
    names += [x509.UniformResourceIdentifier(value) for value in profile.uri]
    return x509.SubjectAlternativeName(names) if names else None


def _dns_name(item: str, value: str) -> str:
    name = value.lower()
    if _is_ip_address(name):
        raise PkiError(item, f"sans.dns holds the IP address {value}", "move it to sans.ip: clients compare an address with IP SANs alone")
    if len(name) > 253 or not _DNS_NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise PkiError(item, f"sans.dns holds {value!r}, which is no DNS name", "correct it")
    return name


def _ip_address(item: str, value: str) -> str:
    if not _is_ip_address(value):
        raise PkiError(item, f"sans.ip holds {value!r}, which is no IP address", "correct it, or move it to sans.dns")
    return str(ipaddress.ip_address(value))


def _uri(item: str, value: str) -> str:
    if not _URI.fullmatch(value):
        raise PkiError(item, f"sans.uri holds {value!r}, which is no URI", "write it with its scheme, in ASCII")
    return value


def _is_ip_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _unique(values: t.Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
