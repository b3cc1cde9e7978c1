# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Reading CA pairs: the certificate once for a batch, the key only when something is signed."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.decide import Authority, same_certificates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.issue import Issuer, issuer_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, load_key, require_certificates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import ca_problems, pair_matches

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509


def read_authority(option: t.Mapping[str, t.Any], now: datetime.datetime, may_be_absent: bool) -> Authority | None:
    """Return an authority from the option ``authorities`` of pki_cert.

    :param may_be_absent: in check mode, where an earlier task would have made it: None is returned then.
    :raises PkiError: when it is missing, damaged, or may not sign leaves now.
    """
    label = f"authority {option['name']}"
    text, source = _text(option, "certificate", label)
    if not text:
        if may_be_absent:
            return None
        raise PkiError(label, f"{source or 'certificate_path'}: no such file", "make the authority first, with pki_ca")
    certificate = load_certificate(text, f"{label}: {source}")
    problems = ca_problems(certificate, now)
    if problems:
        raise PkiError(label, f"{source} {' and '.join(problems)}", "give the certificate of an authority that may sign")
    chain_text, chain_source = _text(option, "chain", label)
    if not chain_text:
        if chain_source and not may_be_absent:
            raise PkiError(label, f"{chain_source}: no such file", "make the authority first, with pki_ca")
        return Authority(option["name"], certificate)
    chain = require_certificates(chain_text, f"{label}: {chain_source}")
    if not same_certificates(chain[:1], [certificate]):
        raise PkiError(label, f"{chain_source} does not begin with the authority's own certificate", "put it first")
    return Authority(option["name"], certificate, tuple(chain))


def read_issuer(option: t.Mapping[str, t.Any], authority: Authority) -> Issuer:
    """Return what signing with an authority needs; :raises PkiError: when its key is missing or another's."""
    label = f"authority {authority.name}"
    if not option["key_path"]:
        raise PkiError(label, "key_path is missing", "set it, and sign on the host that keeps the authority's key")
    return issuer_of(authority.certificate, read_key_of(option["key_path"], authority.certificate, label))


def read_key_of(path: str, certificate: x509.Certificate, label: str) -> t.Any:
    """Return the private key at *path*; :raises PkiError: unless it is there and belongs to *certificate*."""
    key = load_key(files.require(path, label), f"{label}: {path}")
    if not pair_matches(key, certificate):
        raise PkiError(label, f"{path} is not the key of {certificate.subject.rfc4514_string()}", "give the pair that belongs together")
    return key


def _text(option: t.Mapping[str, t.Any], what: str, label: str) -> tuple[str, str]:
    content, path = option[f"{what}_content"], option[f"{what}_path"]
    if content:
        return content, f"{what}_content"
    if not path:
        return "", ""
    return (files.read(path, label) or b"").decode("utf-8", "replace"), path
