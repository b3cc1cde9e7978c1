# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Facts of certificates, bundles and kubeconfigs. A missing or broken file is a fact, never an error.

Pure: files come through a reader that is passed in, and so does the time. No fact holds anything of a private key but whether
it matches.
"""

from __future__ import annotations

import datetime
import posixpath
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _kubeconfig, _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import hashes, x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import certificate_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificates, load_key
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import issued_by, pair_matches

Facts = dict[str, t.Any]


class File(t.NamedTuple):
    """A file as it was found: ``content`` is None where there is none or where ``error`` says why it cannot be read."""

    path: str
    exists: bool | None  # None where not even that can be told
    content: bytes | None = None
    error: str | None = None
    mode: str | None = None  # four octal digits
    mtime: float | None = None  # seconds since the epoch

    @property
    def text(self) -> str:
        """The content as text; bytes that are none become signs that no format takes."""
        return (self.content or b"").decode("utf-8", "replace")

    @property
    def facts(self) -> Facts:
        """What is known before the content is looked at."""
        return {"path": self.path, "exists": self.exists, "error": self.error, "mode": self.mode, "mtime": self.mtime}


class Inventory(t.NamedTuple):
    """What is needed to tell facts: how to read a file, the time (aware), and the authorities to name as issuers."""

    read: t.Callable[[str], File]
    now: datetime.datetime
    authorities: tuple[x509.Certificate, ...] = ()

    def certificate(self, path: str, key_path: str | None = None) -> Facts:
        """Return the facts of a certificate file (a leaf, its chain after it) and whether a key matches it."""
        found = self.read(path)
        leaf, facts = None, found.facts
        facts.update(certificate=None, chain=[], key_path=key_path, key_exists=None, key_mode=None, key_matches=None, key_error=None)
        if found.content is not None:
            leaf = self._certificates_into(facts, found.text, path)
        if key_path is not None:
            key = self.read(key_path)
            facts.update(key_exists=key.exists, key_mode=key.mode, key_error=key.error)
            _match_into(facts, key.content, key_path, leaf)
        return facts

    def bundle(self, path: str) -> Facts:
        """Return the facts of a trust bundle: its certificates in their order."""
        found = self.read(path)
        facts = {**found.facts, "certificates": []}
        if found.content is not None:
            self._bundle_into(facts, found.text, path)
        return facts

    def kubeconfig(self, path: str) -> Facts:
        """Return the facts of a kubeconfig: clusters with their CAs, users with their client pairs, contexts."""
        found = self.read(path)
        facts = {**found.facts, "current_context": None, "contexts": [], "clusters": [], "users": []}
        if found.content is None:
            return facts
        try:
            document = _kubeconfig.parse(found.text, path)
        except PkiError as exc:
            facts["error"] = _told(exc)
            return facts
        directory = posixpath.dirname(path)
        facts["current_context"] = _text(document, "current-context")
        facts["contexts"] = [_context(name, fields) for name, fields in _entries(document, "contexts")]
        facts["clusters"] = [self._cluster(name, fields, directory) for name, fields in _entries(document, "clusters")]
        facts["users"] = [self._user(name, fields, directory) for name, fields in _entries(document, "users")]
        return facts

    def _cluster(self, name: str, fields: Facts, directory: str) -> Facts:
        authority = self._content(fields, "certificate-authority", directory)
        facts: Facts = {
            "name": name, "server": _text(fields, "server"), "tls_server_name": _text(fields, "tls-server-name"),
            "insecure_skip_tls_verify": fields.get("insecure-skip-tls-verify") is True,
            "certificate_authority_path": authority.path or None, "error": authority.error, "certificates": [],
        }
        if authority.content is not None:
            self._bundle_into(facts, authority.text, authority.path or f"cluster {name}")
        return facts

    def _user(self, name: str, fields: Facts, directory: str) -> Facts:
        found = self._content(fields, "client-certificate", directory)
        key = self._content(fields, "client-key", directory)
        facts: Facts = {
            "name": name, "client_certificate_path": found.path or None, "client_key_path": key.path or None,
            "error": found.error, "certificate": None, "chain": [], "key_matches": None, "key_error": key.error,
        }
        leaf = None
        if found.content is not None:
            leaf = self._certificates_into(facts, found.text, found.path or f"user {name}")
        _match_into(facts, key.content, key.path or f"user {name}", leaf)
        return facts

    def _content(self, fields: Facts, name: str, directory: str) -> File:
        """Return what a field gives, inline data before a file, as client-go does; no path for inline data and for neither."""
        data, path = _text(fields, f"{name}-data"), _text(fields, name)
        if data:
            try:
                return File("", True, _kubeconfig.decode(data, f"{name}-data").encode("utf-8"))
            except PkiError as exc:
                return File("", True, error=_told(exc))
        if not path:
            return File("", None)
        found = self.read(posixpath.join(directory, path))
        return found if found.exists is not False else found._replace(error=f"{found.path}: no such file")

    def _certificates_into(self, facts: Facts, text: str, source: str) -> x509.Certificate | None:
        try:
            found = load_certificates(text, source)
        except PkiError as exc:
            facts["error"] = _told(exc)
            return None
        if not found:
            facts["error"] = f"{source}: holds no certificate"
            return None
        facts["certificate"], *facts["chain"] = [self._facts(one) for one in found]
        return found[0]

    def _bundle_into(self, facts: Facts, text: str, source: str) -> None:
        try:
            blocks = _pem.certificates(text, source)
            facts["certificates"] = [self._facts(one) for one in load_certificates(text, source)]
        except PkiError as exc:
            facts["error"] = _told(exc)
            return
        if not blocks:
            facts["error"] = f"{source}: holds no certificate"

    def _facts(self, certificate: x509.Certificate) -> Facts:
        issuer = next((authority for authority in self.authorities if issued_by(certificate, authority)), None)
        return {**certificate_facts(certificate, self.now), "issued_by": issuer.fingerprint(hashes.SHA256()).hex() if issuer else None}


def load_authorities(given: t.Iterable[str], read: t.Callable[[str], File]) -> tuple[x509.Certificate, ...]:
    """Return the certificates of paths and PEM texts, in their order.

    :raises PkiError: for one that is missing or broken: without it, no issuer that is not named could be told from one not asked for.
    """
    found: list[x509.Certificate] = []
    for position, one in enumerate(given, start=1):
        inline = "-----BEGIN" in one
        source = f"authorities: entry {position}" if inline else f"authorities: {one}"
        if inline:
            text = one
        else:
            file = read(one)
            if file.content is None:
                raise PkiError(source, file.error or "no such file", "check the path")
            text = file.text
        certificates = load_certificates(text, source)
        if not certificates:
            raise PkiError(source, "holds no certificate", "give a path or PEM text of CA certificates")
        found += certificates
    return tuple(found)


def _match_into(facts: Facts, key_pem: bytes | None, source: str, certificate: x509.Certificate | None) -> None:
    """Say whether key and certificate match; null where either is missing or broken."""
    if key_pem is None:
        return
    try:
        key = load_key(key_pem, source)
    except PkiError as exc:
        facts["key_error"] = _told(exc)
        return
    facts["key_matches"] = pair_matches(key, certificate) if certificate is not None else None


def _entries(document: Facts, kind: str) -> list[tuple[str, Facts]]:
    return [(one["name"], one.get(_kubeconfig.KINDS[kind]) or {}) for one in document.get(kind) or []]


def _context(name: str, fields: Facts) -> Facts:
    return {"name": name, **{field: _text(fields, field) for field in ("cluster", "user", "namespace")}}


def _text(fields: Facts, name: str) -> str | None:
    value = fields.get(name)
    return None if value is None or value == "" else str(value)


def _told(error: PkiError) -> str:
    return f"{error.subject}: {error.problem}"
