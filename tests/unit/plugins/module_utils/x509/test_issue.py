# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import re

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import facts, issue, keys, load, names
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs


def section(text: str, name: str) -> str:
    """Return the line below an extension's name in what openssl prints."""
    return re.search(rf"{re.escape(name)}[^\n]*\n\s*([^\n]*)", text)[1]


@pytest.mark.parametrize("ca_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048"])
@pytest.mark.parametrize("profile", [pairs.SERVER, pairs.CLIENT], ids=["server", "client"])
def test_openssl_accepts_what_is_signed(ca_type, profile):
    ca = pairs.root(key_type=ca_type)
    certificate = pairs.leaf(ca, profile).certificate
    assert pairs.verdict(certificate, [ca.certificate]) == "OK"
    other = pairs.root("root", key_type=ca_type)
    assert "error" in pairs.verdict(certificate, [other.certificate])


def test_a_server_certificate_says_what_it_should():
    ca = pairs.root()
    text = pairs.text(pairs.leaf(ca).certificate)
    assert "Subject: O = acme, CN = apiserver" in text
    assert "X509v3 Basic Constraints: critical" in text
    assert section(text, "X509v3 Basic Constraints: critical") == "CA:FALSE"
    assert section(text, "X509v3 Key Usage: critical") == "Digital Signature"
    assert section(text, "X509v3 Extended Key Usage:").strip() == "TLS Web Server Authentication"
    assert section(text, "X509v3 Subject Alternative Name:").strip() == (
        "DNS:api.example, IP Address:10.96.0.1, IP Address:FD00:0:0:0:0:0:0:1, URI:spiffe://acme/api")
    assert "X509v3 Subject Key Identifier:" in text
    assert "Signature Algorithm: ecdsa-with-SHA256" in text


def test_only_an_rsa_key_may_encipher_keys():
    text = pairs.text(pairs.leaf(pairs.root(), key_type="rsa-2048").certificate)
    assert section(text, "X509v3 Key Usage: critical") == "Digital Signature, Key Encipherment"


def test_a_client_certificate_without_sans_has_no_empty_extension():
    assert "Subject Alternative Name" not in pairs.text(pairs.leaf(pairs.root(), pairs.CLIENT).certificate)


def test_the_issuers_key_identifier_is_taken_over_byte_for_byte():
    # A CA of another tool: its identifier is no SHA-1 of its key, so computing it anew would give another one.
    pem, key = made.make_pair("/CN=foreign", made.CA.replace("subjectKeyIdentifier=hash", "subjectKeyIdentifier=0102030405"))
    ca = pairs.Pair(load.load_certificate(pem, "ca"), load.load_key(key.encode(), "key"))
    text = pairs.text(pairs.leaf(ca).certificate)
    assert section(text, "X509v3 Authority Key Identifier:").strip() == "01:02:03:04:05"
    assert "DirName" not in text
    assert "serial:" not in text


def test_a_ca_without_key_identifier_gets_leaves_with_one():
    pem, key = made.make_pair("/CN=old", made.CA_WITHOUT_KEY_ID)
    ca = pairs.Pair(load.load_certificate(pem, "ca"), load.load_key(key.encode(), "key"))
    certificate = pairs.leaf(ca, dates=pairs.term(-pairs.HOUR, pairs.DAY)).certificate
    assert facts.authority_key_id(certificate) == x509.SubjectKeyIdentifier.from_public_key(ca.key.public_key()).digest


def test_dates_and_serial_number_are_those_given():
    dates = pairs.term(serial_number=(1 << 158) + 1)
    text = made.openssl(["x509", "-noout", "-serial", "-startdate", "-enddate", "-dateopt", "iso_8601"],
                        pairs.pem(pairs.leaf(pairs.root(), dates=dates).certificate))
    found = [line.partition("=")[2] for line in text.splitlines()]
    assert int(found[0], 16) == (1 << 158) + 1
    assert found[1:] == [moment.strftime("%Y-%m-%d %H:%M:%SZ") for moment in (dates.start, dates.end)]


def test_serial_numbers_fit_in_twenty_octets():
    for _number in range(200):
        assert 1 << 64 < x509.random_serial_number() < 1 << 159


def test_a_leaf_starts_an_hour_ago_and_lasts_as_long_as_asked():
    start, end, cut = issue.period(pairs.NOW, 90 * pairs.DAY, pairs.root(dates=pairs.term(-2 * pairs.HOUR)).certificate)
    assert (pairs.NOW - start, end - pairs.NOW, cut) == (
        pairs.HOUR + datetime.timedelta(microseconds=pairs.NOW.microsecond),
        90 * pairs.DAY - datetime.timedelta(microseconds=pairs.NOW.microsecond), False)


def test_a_leaf_neither_outlives_nor_predates_its_ca():
    ca = pairs.root(dates=pairs.term(datetime.timedelta(), 30 * pairs.DAY)).certificate
    start, end, cut = issue.period(pairs.NOW, pairs.YEAR, ca)
    assert (start, end, cut) == (facts.not_before(ca), facts.not_after(ca), True)


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048"])
def test_openssl_accepts_a_request_and_reads_what_it_asks_for(key_type):
    text = made.openssl(["req", "-verify", "-noout", "-text"], issue.make_request(keys.new_key(key_type), pairs.SERVER))
    assert "Subject: O = acme, CN = apiserver" in text
    assert section(text, "X509v3 Subject Alternative Name:").strip().startswith("DNS:api.example, IP Address:10.96.0.1")
    assert section(text, "X509v3 Extended Key Usage:").strip() == "TLS Web Server Authentication"


@pytest.mark.parametrize(("algorithm", "name"), [("P-384", "ecdsa-with-SHA384"), ("P-521", "ecdsa-with-SHA512")])
def test_the_hash_fits_the_key_of_an_adopted_ca(algorithm, name):
    key = load.load_key(made.openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{algorithm}"]).encode(), "key")
    assert f"Signature Algorithm: {name}" in pairs.text(self_signed(key))


def test_an_edwards_key_brings_its_own_hash():
    key = load.load_key(made.openssl(["genpkey", "-algorithm", "ED25519"]).encode(), "key")
    assert "Signature Algorithm: ED25519" in pairs.text(self_signed(key))


def self_signed(key) -> x509.Certificate:
    issuer = issue.Issuer(names.subject_name("ca", ()), key, x509.AuthorityKeyIdentifier(b"id", None, None), issue.signature_hash(key))
    return issue.sign_leaf(issuer, pairs.CLIENT, keys.new_key("ecdsa-p256").public_key(), *pairs.term())
