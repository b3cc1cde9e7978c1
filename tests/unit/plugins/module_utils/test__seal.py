# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import subprocess

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _seal
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._seal import Destination

SECRET = b"-----BEGIN PRIVATE KEY-----\nthe secret of the authority\n-----END PRIVATE KEY-----\n"
SIGNER = Destination("signer", "cp1")


@pytest.fixture
def transport() -> tuple[bytes, str]:
    key = _seal.new_transport_key()
    return key, _seal.transport_public_key(key, "signer")


def openssl(arguments: list[str], content: bytes) -> str:
    done = subprocess.run(["openssl", *arguments], input=content, capture_output=True, check=True)
    return (done.stdout + done.stderr).decode()


def test_a_sealed_key_opens_at_its_destination(transport):
    key, public = transport
    assert _seal.unseal(_seal.seal(SECRET, public, SIGNER), key, SIGNER) == SECRET


def test_nothing_of_the_secret_shows_in_the_blob_and_no_two_blobs_are_alike(transport):
    first, second = (_seal.seal(SECRET, transport[1], SIGNER) for _time in range(2))
    assert b"secret" not in base64.b64decode(first)
    assert first[:20] != second[:20]
    assert first[-20:] != second[-20:]


@pytest.mark.parametrize(
    "other",
    [Destination("signer", "cp2"), Destination("service-accounts", "cp1"), Destination("signerc", "p1"), Destination('signer", "cp1', "")],
)
def test_a_blob_is_bound_to_name_and_host(transport, other):
    key, public = transport
    with pytest.raises(PkiError, match="sealed for another transport key, copy or host"):
        _seal.unseal(_seal.seal(SECRET, public, SIGNER), key, other)


def test_a_blob_is_bound_to_the_transport_key(transport):
    with pytest.raises(PkiError, match="cannot be opened"):
        _seal.unseal(_seal.seal(SECRET, transport[1], SIGNER), _seal.new_transport_key(), SIGNER)


def test_every_flipped_byte_is_noticed(transport):
    key, public = transport
    blob = base64.b64decode(_seal.seal(SECRET, public, SIGNER))
    for position in range(len(blob)):
        damaged = bytearray(blob)
        damaged[position] ^= 1
        with pytest.raises(PkiError):
            _seal.unseal(base64.b64encode(bytes(damaged)).decode(), key, SIGNER)


@pytest.mark.parametrize("length", [0, 1, 65, 66, 70, 81])
def test_a_truncated_blob_is_refused(transport, length):
    key, public = transport
    blob = base64.b64decode(_seal.seal(SECRET, public, SIGNER))[:length]
    with pytest.raises(PkiError, match="signer for cp1"):
        _seal.unseal(base64.b64encode(blob).decode(), key, SIGNER)


def test_what_is_not_base64_is_refused(transport):
    with pytest.raises(PkiError, match="not base64"):
        _seal.unseal("no base64!", transport[0], SIGNER)


@pytest.mark.parametrize("point", [b"\x00" * 65, b"\x04" + b"\x01" * 64], ids=["at infinity", "off the curve"])
def test_an_invalid_sender_point_is_refused(transport, point):
    with pytest.raises(PkiError, match="cannot be opened"):
        _seal.unseal(base64.b64encode(b"\x01" + point + b"x" * 40).decode(), transport[0], SIGNER)


@pytest.mark.parametrize("pem", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "\u00e4"])
def test_nothing_is_sealed_for_what_is_no_public_key(pem):
    with pytest.raises(PkiError, match="signer for cp1: transport_public_key is not a public key"):
        _seal.seal(SECRET, pem, SIGNER)
    with pytest.raises(PkiError, match="not a public key"):
        _seal.check_transport_public_key(pem, "signer")


def test_openssl_agrees_that_the_transport_key_is_p256(transport):
    key, public = transport
    assert "prime256v1" in openssl(["pkey", "-noout", "-text"], key)
    assert openssl(["pkey", "-pubout"], key) == public


def test_only_p256_transports_a_key():
    other = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], stdout=subprocess.PIPE, check=True
    ).stdout
    public = openssl(["pkey", "-pubout"], other)
    with pytest.raises(PkiError, match="not a P-256 key"):
        _seal.seal(SECRET, public, SIGNER)
    with pytest.raises(PkiError, match="not a P-256 key"):
        _seal.transport_public_key(other, "signer")


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"\xff\x00"])
def test_a_damaged_transport_key_is_named(pem):
    with pytest.raises(PkiError, match="transport key is not a private key"):
        _seal.transport_public_key(pem, "signer")
