# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import facts, load
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs

LEAF = (made.LEAF + "subjectAltName=DNS:a.example,IP:10.0.0.1,IP:fd00::1,URI:spiffe://a/b,email:root@a.example\n"
        "extendedKeyUsage=serverAuth,clientAuth,codeSigning\n")


def printed(pem: str, *fields: str) -> list[str]:
    """Return what openssl prints for these fields, without their names."""
    lines = made.openssl(["x509", "-noout", "-dateopt", "iso_8601", *fields], pem).splitlines()
    return [line.partition("=")[2] for line in lines]


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_facts_are_what_openssl_reads(kind):
    pem = made.make_pair("/O=acme/O=other/CN=leaf", LEAF, key=kind)[0]
    found = facts.certificate_facts(load.load_certificate(pem, "leaf"), pairs.NOW)
    serial, start, end = printed(pem, "-serial", "-startdate", "-enddate")
    assert found["serial_number"] == str(int(serial, 16))
    assert found["not_before"] == start.replace(" ", "T")
    assert found["not_after"] == end.replace(" ", "T")
    assert found["fingerprint_sha256"] == made.fingerprint(pem)
    assert found["public_key_sha256"] == made.key_sha256(pem)
    assert found["subject"] == found["issuer"] == made.subject(pem)
    identifier = made.openssl(["x509", "-noout", "-ext", "subjectKeyIdentifier"], pem).split()[-1].replace(":", "").lower()
    assert found["subject_key_id"] == identifier
    assert found["key_type"] == {"ec": "ecdsa-p256", "rsa": "rsa-2048"}[kind]


def test_names_and_usages_keep_their_types_and_order():
    found = facts.certificate_facts(load.load_certificate(made.make_pair("/O=acme/O=other/CN=leaf", LEAF)[0], "leaf"), pairs.NOW)
    assert found["common_name"] == "leaf"
    assert found["organizations"] == ["acme", "other"]
    assert found["sans"] == {"dns": ["a.example"], "ip": ["10.0.0.1", "fd00::1"], "uri": ["spiffe://a/b"]}
    assert found["usages"] == ["server_auth", "client_auth", "1.3.6.1.5.5.7.3.3"]
    assert found["is_ca"] is False


def test_what_is_absent_is_empty():
    certificate = load.load_certificate(made.make_pair("/O=acme", made.CA_WITHOUT_KEY_ID)[0], "ca")
    found = facts.certificate_facts(certificate, pairs.NOW)
    assert (found["common_name"], found["subject_key_id"], found["authority_key_id"]) == ("", "", "")
    assert (found["sans"], found["usages"]) == ({"dns": [], "ip": [], "uri": []}, [])
    assert found["is_ca"] is True


@pytest.mark.parametrize(("after", "days"), [
    (datetime.timedelta(days=0, hours=1), 9), (datetime.timedelta(days=9, hours=1), 0), (datetime.timedelta(days=10, hours=1), -1)])
def test_remaining_days_are_whole_days_and_negative_afterwards(after, days):
    certificate = load.load_certificate(made.make_ca("ten-days"), "ca")
    assert facts.certificate_facts(certificate, facts.not_before(certificate) + after)["remaining_days"] == days


def test_the_short_facts_of_a_leaf_are_some_of_the_long_ones():
    certificate = load.load_certificate(made.make_ca("one"), "ca")
    short = facts.leaf_facts(certificate)
    assert set(short) == {"serial_number", "not_after", "fingerprint_sha256"}
    assert short.items() <= facts.certificate_facts(certificate, pairs.NOW).items()


@pytest.mark.parametrize(("arguments", "expected"), [
    (["-algorithm", "ED25519"], "ed25519"),
    (["-algorithm", "ED448"], "ed448"),
    (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ecdsa-p384"),
    (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "ecdsa-p521"),
    (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "ecdsa-secp256k1"),
    (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "rsa-1024"),
])
def test_key_types_have_names(arguments, expected):
    key = load.load_key(made.openssl(["genpkey", *arguments]).encode(), "key")
    assert facts.key_type(key.public_key()) == expected
