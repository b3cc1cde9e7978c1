# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of this folder share: moments, profiles, chains judged by openssl."""

from __future__ import annotations

import datetime
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import authority, issue, keys, names
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.authority import Term
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

NOW = datetime.datetime.now(datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
YEAR = 365 * DAY

SERVER = names.Profile("apiserver", ("acme",), ("api.example",), ("10.96.0.1", "fd00::1"), ("spiffe://acme/api",), ("server_auth",))
CLIENT = names.Profile("admin", ("system:masters",), usages=("client_auth",))


class Pair(t.NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: t.Any

    @property
    def issuer(self) -> issue.Issuer:
        return issue.issuer_of(self.certificate, self.key)


def term(start: datetime.timedelta = -HOUR, end: datetime.timedelta = YEAR, serial_number: int | None = None) -> Term:
    """Return dates around now."""
    whole = NOW.replace(microsecond=0)
    return Term(whole + start, whole + end, serial_number or x509.random_serial_number())


def root(name: str = "root", key_type: str = "ecdsa-p256", path_length: int | None = None, dates: Term | None = None) -> Pair:
    """Return a root that our own code made."""
    key = keys.new_key(key_type)
    return Pair(authority.new_authority(names.subject_name(name, ()), path_length, key, None, dates or term()), key)


def intermediate(parent: Pair, name: str = "middle", path_length: int | None = None) -> Pair:
    """Return an intermediate of a root."""
    key = keys.new_key("ecdsa-p256")
    return Pair(authority.new_authority(names.subject_name(name, ()), path_length, key, parent.issuer, term()), key)


def leaf(ca: Pair, profile: names.Profile = SERVER, key_type: str = "ecdsa-p256", dates: Term | None = None) -> Pair:
    """Return a leaf that our own code made."""
    key, dates = keys.new_key(key_type), dates or term()
    return Pair(issue.sign_leaf(ca.issuer, profile, key.public_key(), *dates), key)


def pem(*certificates: x509.Certificate) -> str:
    """Return certificates as one text."""
    return "".join(issue.certificate_pem(certificate) for certificate in certificates)


def text(certificate: x509.Certificate) -> str:
    """Return how openssl reads a certificate."""
    return made.openssl(["x509", "-noout", "-text"], pem(certificate))


def verdict(certificate: x509.Certificate, anchors: t.Sequence[x509.Certificate], chain: t.Sequence[x509.Certificate] = ()) -> str:
    """Return what ``openssl verify -x509_strict`` holds of a certificate: "OK", or its error."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"leaf": pem(certificate), "anchors": pem(*anchors), "chain": pem(*chain)}
        for name, content in files.items():
            Path(folder, name).write_text(content, encoding="ascii")
        untrusted = ["-untrusted", f"{folder}/chain"] if chain else []
        done = made.subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", f"{folder}/anchors", *untrusted, f"{folder}/leaf"],
                                   capture_output=True, text=True, check=False)
    return "OK" if done.returncode == 0 else done.stdout + done.stderr
