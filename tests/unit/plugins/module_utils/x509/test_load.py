# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import issue, keys, load
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs


def test_the_first_certificate_is_found_among_other_blocks():
    certificate, key = made.make_pair("/CN=one")
    found = load.load_certificate(f"a comment\n{key}{certificate}{made.make_ca('two')}", "file")
    assert found.subject.rfc4514_string() == "CN=one"


def test_all_certificates_come_in_their_order():
    text = made.make_ca("one") + made.make_ca("two")
    assert [found.subject.rfc4514_string() for found in load.load_certificates(text, "file")] == ["CN=one", "CN=two"]
    assert load.load_certificates("", "file") == []


@pytest.mark.parametrize(("damage", "problem"), [
    (lambda pem: "", "holds no certificate"),
    (lambda pem: pem[:-40], "truncated or damaged"),
    (lambda pem: pem.replace(pem.splitlines()[2] + "\n", ""), "not a valid certificate"),
    (lambda pem: made.make_pair("/CN=one")[1], "holds no certificate"),
])
def test_a_damaged_certificate_is_named(damage, problem):
    with pytest.raises(PkiError, match=problem) as caught:
        load.load_certificate(damage(made.make_ca("one")), "apiserver: /etc/ca.crt")
    assert str(caught.value).startswith("apiserver: /etc/ca.crt: ")


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_the_key_of_a_certificate_is_the_key_that_openssl_sees(kind):
    certificate, key = made.make_pair("/CN=one", key=kind)
    loaded = load.load_key(key.encode(), "key")
    assert load.public_key_sha256(loaded.public_key()) == made.key_sha256(certificate)


@pytest.mark.parametrize(("content", "problem"), [
    (b"", "not a readable private key"),
    (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a readable private key"),
])
def test_a_key_that_is_none_is_refused(content, problem):
    with pytest.raises(PkiError, match=problem):
        load.load_key(content, "key")


def test_a_truncated_key_is_refused():
    key = made.make_pair("/CN=one")[1]
    with pytest.raises(PkiError, match="not a readable private key"):
        load.load_key(key[:-60].encode(), "key")


def test_an_encrypted_key_is_refused_without_its_passphrase():
    key = made.make_pair("/CN=one")[1]
    encrypted = made.openssl(["pkcs8", "-topk8", "-passout", "pass:secret"], key).encode()
    with pytest.raises(PkiError, match="encrypted"):
        load.load_key(encrypted, "key")
    with pytest.raises(PkiError, match="not encrypted"):
        load.load_key(key.encode(), "key", b"secret")
    assert load.load_key(encrypted, "key", b"secret").curve.name == "secp256r1"


def test_a_request_is_read_and_must_be_signed_with_its_own_key():
    request = issue.make_request(keys.new_key("ecdsa-p256"), pairs.SERVER)
    assert load.load_request(request, "csr").subject.rfc4514_string() == "CN=apiserver,O=acme"
    der = made.der(request)
    forged = _pem.Block("CERTIFICATE REQUEST", der[:-1] + bytes([der[-1] ^ 1])).text
    with pytest.raises(PkiError, match="not signed with its own key"):
        load.load_request(forged, "csr")


@pytest.mark.parametrize(("text", "problem"), [
    ("", "holds no certificate signing request"),
    (made.make_ca("one"), "holds no certificate signing request"),
    ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "not a valid certificate signing request"),
])
def test_what_is_no_request_is_refused(text, problem):
    with pytest.raises(PkiError, match=problem):
        load.load_request(text, "csr")
