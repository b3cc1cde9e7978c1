# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Bootstrap tokens: which of them sign cluster-info, and whether their signature fits what it holds now. Pure.

A joining node trusts the CA in cluster-info because of a JWS over the kubeconfig in it, whose payload is left out (RFC 7515 appendix F),
made with HMAC-SHA256 and the token's secret (Kubernetes: "Authenticating with bootstrap tokens"; controller bootstrapsigner).
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import typing as t

SIGNATURE = "jws-kubeconfig-"  # and the token's id: a key of cluster-info
CONTENT = "kubeconfig"
SECRET_TYPE = "bootstrap.kubernetes.io/token"

Object = t.Mapping[str, t.Any]


def signatures(information: t.Mapping[str, str], secrets: t.Iterable[Object], now: datetime.datetime) -> dict[str, bool]:
    """Return token id → whether its signature fits the content, for every living token that is to sign.

    A cluster whose cluster-info nobody has ever signed has no signer, and nothing is asked of it.

    :param information: the data of the ConfigMap cluster-info.
    :param secrets: the Secrets of type SECRET_TYPE.
    """
    if not any(name.startswith(SIGNATURE) for name in information):
        return {}
    return {name: is_signed(information.get(f"{SIGNATURE}{name}", ""), information.get(CONTENT, ""), key)
            for name, key in _signing(secrets, now).items()}


def is_signed(detached: str, content: str, key: bytes) -> bool:
    """Say whether a detached JWS (``header..signature``) is one of *content* by *key*."""
    header, _dot, signature = detached.partition("..")
    expected = hmac.new(key, f"{header}.{_base64url(content.encode())}".encode(), hashlib.sha256).digest()
    return hmac.compare_digest(_base64url(expected).encode(), signature.encode())


def _signing(secrets: t.Iterable[Object], now: datetime.datetime) -> dict[str, bytes]:
    found = {}
    for secret in secrets:
        data = {name: _decoded(value) for name, value in (secret.get("data") or {}).items()}
        ends = data.get("expiration", b"").decode("utf-8", "replace")
        if data.get("usage-bootstrap-signing") == b"true" and not (ends and _moment(ends) <= now):
            found[data.get("token-id", b"").decode("utf-8", "replace")] = data.get("token-secret", b"")
    return found


def _moment(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)  # its signer takes it for expired, too


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError):
        return b""


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
