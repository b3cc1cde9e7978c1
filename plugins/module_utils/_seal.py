# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Sealing a private key for one copy on one host, so that whoever carries the blob (controller, log, cache) learns nothing.

ECIES: an ephemeral P-256 key agrees with the destination's transport key, HKDF-SHA256 (RFC 5869) bound to both public keys
gives an AES-256-GCM key and nonce for this one message, and the copy's name and host are its associated data.
A sealed blob says nothing about who sealed it: whoever opens it checks the key against the public half it expects.
"""

from __future__ import annotations

import base64
import binascii
import json
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import ec, exceptions, hashes, serialization
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    pass  # _cryptography_dep.py tells the user

VERSION = b"\x01"
INFO = b"rekey.kubernetes seal 1"
POINT_SIZE = 65  # an uncompressed P-256 point, SEC 1 section 2.3.3
KEY_SIZE = 32
NONCE_SIZE = 12
_SEAL_AGAIN = "run request and seal again for this copy and host"


class Destination(t.NamedTuple):
    """What a sealed key is for: the copy's name and the label of the host that may use it."""

    name: str
    host: str

    @property
    def item(self) -> str:
        """How messages name the copy."""
        return f"{self.name} for {self.host}"

    @property
    def associated_data(self) -> bytes:
        """Name and host in a form in which no two destinations look alike."""
        return json.dumps([self.name, self.host]).encode("utf-8")


def new_transport_key() -> bytes:
    """Return a new P-256 transport key as PKCS#8 PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def transport_public_key(transport_key_pem: bytes, item: str) -> str:
    """Return the public half, as PEM, that travels to the authority host; :raises PkiError: for anything but a P-256 key."""
    public = _load_transport_key(transport_key_pem, item).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


def check_transport_public_key(transport_public_pem: str, item: str) -> None:
    """Refuse, with a PkiError, a public key for which nothing can be sealed."""
    _load_transport_public_key(transport_public_pem, item)


def seal(secret: bytes, transport_public_pem: str, destination: Destination) -> str:
    """Return *secret* encrypted for the holder of the transport key, as base64 on one line.

    :raises PkiError: when the transport key is not a P-256 public key.
    """
    recipient = _load_transport_public_key(transport_public_pem, destination.item)
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    sender_point = _point(ephemeral.public_key())
    key, nonce = _derive(ephemeral.exchange(ec.ECDH(), recipient), sender_point, _point(recipient))
    sealed = AESGCM(key).encrypt(nonce, secret, destination.associated_data)
    return base64.b64encode(VERSION + sender_point + sealed).decode("ascii")


def unseal(sealed: str, transport_key_pem: bytes, destination: Destination) -> bytes:
    """Return what was sealed for this transport key, copy and host.

    :raises PkiError: when the blob is damaged, or was sealed for another key, copy or host (which of them cannot be told).
    """
    item = destination.item
    own = _load_transport_key(transport_key_pem, item)
    try:
        blob = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PkiError(item, "the sealed key is not base64", _SEAL_AGAIN) from exc
    sender_point, body = blob[1 : 1 + POINT_SIZE], blob[1 + POINT_SIZE :]
    if blob[:1] != VERSION:
        raise PkiError(item, "the sealed key has an unknown format", _SEAL_AGAIN)
    try:
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender_point)
        key, nonce = _derive(own.exchange(ec.ECDH(), sender), sender_point, _point(own.public_key()))
        return AESGCM(key).decrypt(nonce, body, destination.associated_data)
    except (exceptions.InvalidTag, ValueError) as exc:
        problem = "the sealed key cannot be opened: it is damaged, or was sealed for another transport key, copy or host"
        raise PkiError(item, problem, _SEAL_AGAIN) from exc


def _derive(shared: bytes, sender_point: bytes, recipient_point: bytes) -> tuple[bytes, bytes]:
    info = INFO + sender_point + recipient_point
    material = HKDF(algorithm=hashes.SHA256(), length=KEY_SIZE + NONCE_SIZE, salt=None, info=info).derive(shared)
    return material[:KEY_SIZE], material[KEY_SIZE:]


def _point(public_key: ec.EllipticCurvePublicKey) -> bytes:
    return public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _load_transport_key(pem: bytes, item: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as exc:
        raise PkiError(item, "the transport key is not a private key", _SEAL_AGAIN) from exc
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        raise PkiError(item, "the transport key is not a P-256 key", _SEAL_AGAIN)
    return key


def _load_transport_public_key(pem: str, item: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem.encode("utf-8"))
    except (ValueError, exceptions.UnsupportedAlgorithm) as exc:
        raise PkiError(item, "transport_public_key is not a public key in PEM", _SEAL_AGAIN) from exc
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise PkiError(item, "transport_public_key is not a P-256 key", _SEAL_AGAIN)
    return key
