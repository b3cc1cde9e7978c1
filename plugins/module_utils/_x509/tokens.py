# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Tokens of service accounts (JSON Web Tokens, RFC 7519): which key signed one, what it claims, and a short-lived one as a canary.

A token's header names its key: ``kid`` is the SHA-256 of the DER SubjectPublicKeyInfo (kubernetes pkg/serviceaccount/jwt.go).
"""

from __future__ import annotations

import base64
import json
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import ec, hashes, padding, utils
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import key_type
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import public_key_sha256

CANARY_SECONDS = 60
# What a canary claims of a token that the cluster made: who it is and for whom; no pod or Secret that it is bound to.
CLAIMS = ("iss", "aud", "sub", "kubernetes.io")
_IDENTITY = ("namespace", "serviceaccount")


def key_id(public_key_sha256_hex: str) -> str:
    """Return the ``kid`` of a key, given the SHA-256 of its SubjectPublicKeyInfo."""
    return _text(bytes.fromhex(public_key_sha256_hex))


def key_id_of(token: str) -> str:
    """Return the ``kid`` that a token names, empty where it names none or is no token."""
    try:
        return str(_part(token, 0).get("kid") or "")
    except (ValueError, IndexError, AttributeError):
        return ""


def claims_of(token: str) -> dict[str, t.Any]:
    """Return what a canary for the account of a token must claim. Nothing of it is secret.

    :raises PkiError: for a text that is no token of a service account.
    """
    try:
        found = _part(token, 1)
        identity = {name: found["kubernetes.io"][name] for name in _IDENTITY}
        return {**{name: found[name] for name in CLAIMS}, "kubernetes.io": identity}
    except (ValueError, IndexError, KeyError, TypeError) as exc:
        raise PkiError("token of a service account", "is none that is bound to its account", "see how the API server makes tokens") from exc


def canary(key: t.Any, claims: t.Mapping[str, t.Any], now: float, name: str) -> str:
    """Return a token for the claimed account, valid for CANARY_SECONDS.

    :param key: an RSA key or an ECDSA key on P-256 or P-384.
    :param now: seconds since the epoch.
    :param name: what makes it a token of its own: API servers remember answers for some seconds.
    """
    kind = key_type(key.public_key())
    header = {"alg": _ALGORITHM[kind.partition("-")[0] if kind.startswith("rsa") else kind],
              "kid": key_id(public_key_sha256(key.public_key()))}
    times = {"iat": int(now), "nbf": int(now), "exp": int(now) + CANARY_SECONDS, "jti": name}
    signed = ".".join(_text(json.dumps(part).encode()) for part in (header, {**claims, **times}))
    return f"{signed}.{_text(_signature(key, header['alg'], signed.encode()))}"


_ALGORITHM = {"rsa": "RS256", "ecdsa-p256": "ES256", "ecdsa-p384": "ES384"}


def _signature(key: t.Any, algorithm: str, content: bytes) -> bytes:
    if algorithm == "RS256":
        return t.cast(bytes, key.sign(content, padding.PKCS1v15(), hashes.SHA256()))
    half = key.curve.key_size // 8
    numbers = utils.decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256() if algorithm == "ES256" else hashes.SHA384())))
    return b"".join(number.to_bytes(half, "big") for number in numbers)  # RFC 7518, 3.4


def _part(token: str, number: int) -> dict[str, t.Any]:
    encoded = token.strip().split(".")[number]
    return t.cast("dict[str, t.Any]", json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
