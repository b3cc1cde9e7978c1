# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A key and its public half, a certificate or a bare public key: read and compared. Pure: contents in, values out."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import exceptions, serialization
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import key_type
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, load_key, public_key_sha256

KEY_TYPES = ("rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384")
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


class PublicHalf(t.NamedTuple):
    """What the file beside a private key holds: one certificate or one public key, in its normal form."""

    pem: str
    sha256: str  # of the SubjectPublicKeyInfo
    key_type: str


class Held(t.NamedTuple):
    """What a key path and a public path hold; ``problems`` say why a file that is there does not count."""

    key_sha256: str | None
    public: PublicHalf | None
    problems: tuple[str, ...]


def public_half(pem: bytes, source: str) -> PublicHalf:
    """Return the one certificate or public key of *pem*.

    :raises PkiError: for none or several (kube-controller-manager refuses a signing file with two certificates), or a damaged one.
    """
    blocks = _pem.split(pem.decode("utf-8", "replace"), source)
    if len(blocks) != 1 or blocks[0].label not in ("CERTIFICATE", "PUBLIC KEY"):
        found = ", ".join(block.label for block in blocks) or "no PEM block"
        raise PkiError(source, f"holds {found} where exactly one CERTIFICATE or PUBLIC KEY belongs", "give the file one of them")
    text = blocks[0].text
    certificate = load_certificate(text, source) if blocks[0].label == "CERTIFICATE" else None
    public_key = certificate.public_key() if certificate else _load_public_key(text, source)
    return PublicHalf(text, public_key_sha256(public_key), key_type(public_key))


def held(key_path: str, key_pem: bytes | None, public_path: str, public_pem: bytes | None) -> Held:
    """Return what two files hold; a damaged one is a problem, not an error, since a copy can be brought again.

    :param public_path: empty for a copy of the key alone.
    """
    problems = []
    key_sha256 = public = None
    for path, content in ((key_path, key_pem), (public_path, public_pem)):
        if path and content is None:
            problems.append(f"{path} is missing")
    try:
        key_sha256 = None if key_pem is None else public_key_sha256(load_key(key_pem, key_path).public_key())
    except PkiError as exc:
        problems.append(f"{exc.subject} {exc.problem}")
    try:
        public = None if public_pem is None else public_half(public_pem, public_path)
    except PkiError as exc:
        problems.append(f"{exc.subject} {exc.problem}")
    return Held(key_sha256, public, tuple(problems))


def copy_reasons(found: Held, key_path: str, public_path: str, wanted_sha256: str | None, wanted: PublicHalf | None) -> list[str]:
    """Say why the pair in place is not the wanted one; empty when it is.

    :param wanted_sha256: of the wanted key's SubjectPublicKeyInfo, None where any key that has its public half will do.
    :param wanted: the wanted public half, compared by content: a certificate renewed for the same key counts as another.
    """
    reasons = list(found.problems)
    if found.key_sha256 and wanted_sha256 and found.key_sha256 != wanted_sha256:
        reasons.append(f"{key_path} holds key sha256:{found.key_sha256}, wanted sha256:{wanted_sha256}")
    if found.public and wanted and found.public.pem != wanted.pem:
        reasons.append(f"{public_path} does not hold the wanted public half")
    elif found.public and wanted_sha256 and found.public.sha256 != wanted_sha256:
        reasons.append(f"{public_path} holds the public half of sha256:{found.public.sha256}, wanted sha256:{wanted_sha256}")
    if found.key_sha256 and found.public and found.key_sha256 != found.public.sha256:
        reasons.append(f"{key_path} and {public_path} do not match")
    return reasons


def wanted_sha256(given: str | None, public: PublicHalf | None, item: str) -> str | None:
    """Return the wanted key's SHA-256 from an option, a public half or both.

    :raises PkiError: when the option is no SHA-256, or the two name different keys.
    """
    if given is None:
        return public.sha256 if public else None
    match = _SHA256.fullmatch(given)
    if match is None:
        raise PkiError(item, f"wanted_public_sha256 {given!r} is not a SHA-256", "give 64 hexadecimal digits")
    wanted = match.group(1).lower()
    if public and public.sha256 != wanted:
        raise PkiError(item, f"public_content is of key sha256:{public.sha256}, wanted sha256:{wanted}", "give the two of one key")
    return wanted


def public_key_half(key: t.Any) -> PublicHalf:
    """Return the bare public half of a private key."""
    public = key.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicHalf(pem.decode("ascii"), public_key_sha256(public), key_type(public))


def _load_public_key(pem: str, source: str) -> t.Any:
    try:
        return serialization.load_pem_public_key(pem.encode("ascii"))
    except (ValueError, exceptions.UnsupportedAlgorithm) as exc:
        raise PkiError(source, "is not a valid public key", "restore the file") from exc
