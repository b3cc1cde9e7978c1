# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import compare, issue, keys, load, names
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs

CA = pairs.root()
LEAF = pairs.leaf(CA).certificate


def reasons(**changes) -> list[str]:
    return compare.content_reasons(LEAF, pairs.SERVER._replace(**changes), "ecdsa-p256")


def test_a_leaf_that_says_what_it_should_has_no_reasons():
    assert reasons() == []


def test_order_and_case_mean_nothing():
    profile = names.checked_profile("item", "name", ["b", "a"], {"dns": ["B.example", "a.example"]}, ["client_auth", "server_auth"])
    certificate = pairs.leaf(CA, profile).certificate
    other = names.checked_profile("item", "name", ["a", "b"], {"dns": ["a.Example", "b.example"]}, ["server_auth", "client_auth"])
    assert compare.content_reasons(certificate, other, "ecdsa-p256") == []


@pytest.mark.parametrize(("changes", "expected"), [
    ({"common_name": "other"}, ["subject is CN=apiserver,O=acme, wanted CN=other,O=acme"]),
    ({"organizations": ()}, ["subject is CN=apiserver,O=acme, wanted CN=apiserver"]),
    ({"organizations": ("acme", "more")}, ["subject is CN=apiserver,O=acme, wanted CN=apiserver,O=acme,O=more"]),
    ({"ip": ("10.96.0.1", "10.96.0.2")}, ["SAN missing: 10.96.0.2", "SAN extra: fd00::1"]),
    ({"dns": ()}, ["SAN extra: api.example"]),
    ({"uri": ("spiffe://acme/API",)}, ["SAN missing: spiffe://acme/API", "SAN extra: spiffe://acme/api"]),
    ({"usages": ("server_auth", "client_auth")}, ["usages are server_auth, wanted client_auth, server_auth"]),
])
def test_each_difference_is_a_reason(changes, expected):
    assert reasons(**changes) == expected


def test_the_type_of_the_key_is_compared():
    assert compare.content_reasons(LEAF, pairs.SERVER, "rsa-2048") == ["key is ecdsa-p256, wanted rsa-2048"]


def openssl_reasons(subject: str, extensions: str, profile: names.Profile) -> list[str]:
    certificate = load.load_certificate(made.make_pair(subject, extensions)[0], "leaf")
    return compare.content_reasons(certificate, profile, "ecdsa-p256")


def test_an_address_that_is_written_as_a_dns_name_is_not_the_address():
    found = openssl_reasons("/CN=a", made.LEAF + "subjectAltName=DNS:10.0.0.1\nextendedKeyUsage=serverAuth\n",
                            names.Profile("a", ip=("10.0.0.1",), usages=("server_auth",)))
    assert found == ["SAN missing: 10.0.0.1", "SAN extra: 10.0.0.1"]


def test_what_other_tools_add_is_seen():
    found = openssl_reasons("/C=DE/CN=a", made.LEAF + "subjectAltName=email:a@b.example\n", names.Profile("a", usages=("client_auth",)))
    assert found == ["subject is CN=a,C=DE, wanted CN=a", "SAN extra: a@b.example", "usages are none, wanted client_auth"]


def test_a_ca_is_no_leaf():
    assert "is a CA certificate" in compare.content_reasons(CA.certificate, pairs.SERVER, "ecdsa-p256")


def test_the_issuer_is_known_by_name_and_key():
    assert compare.issuer_reasons(LEAF, CA.certificate) == []
    assert compare.issuer_reasons(LEAF, pairs.root("next").certificate) == ["issued by CN=root, wanted CN=next"]
    assert compare.issuer_reasons(LEAF, pairs.root().certificate) == ["issued by another key of CN=root"]


@pytest.mark.parametrize(("passed", "renew_before", "expected"), [
    (0, 30, []), (334, 30, []), (353, 30, ["expires in 11 d"]), (364, 30, ["expires in 23 h"]), (366, 30, ["expired on "]),
    (366, 0, ["expired on "]), (-1, 30, ["not valid before "])])
def test_age_is_a_reason(passed, renew_before, expected):
    moment = pairs.NOW + passed * pairs.DAY
    found = compare.time_reasons(LEAF, moment, renew_before * pairs.DAY)
    assert len(found) == len(expected)
    assert all(reason.startswith(start) for reason, start in zip(found, expected))


def excess(asked: names.Profile, key_type: str = "ecdsa-p256") -> list[str]:
    request = load.load_request(issue.make_request(keys.new_key(key_type), asked), "csr")
    return compare.request_excess(request, pairs.SERVER, "ecdsa-p256")


@pytest.mark.parametrize("asked", [pairs.SERVER, pairs.SERVER._replace(dns=(), ip=(), uri=())], ids=["all", "less"])
def test_a_request_may_ask_for_all_of_the_item_or_less(asked):
    assert excess(asked) == []


@pytest.mark.parametrize(("changes", "expected"), [
    ({"common_name": "admin"}, ["subject CN=admin,O=acme"]),
    ({"organizations": ("system:masters",)}, ["subject CN=apiserver,O=system:masters"]),
    ({"dns": ("api.example", "evil.example")}, ["SAN evil.example"]),
    ({"ip": ("10.96.0.1", "192.0.2.1")}, ["SAN 192.0.2.1"]),
    ({"usages": ("server_auth", "client_auth")}, ["usage client_auth"]),
])
def test_a_request_for_more_than_the_item_is_told(changes, expected):
    assert excess(pairs.SERVER._replace(**changes)) == expected


def test_a_request_for_another_key_type_or_for_a_ca_is_told():
    assert excess(pairs.SERVER, "rsa-2048") == ["key type rsa-2048"]
    builder = x509.CertificateSigningRequestBuilder().subject_name(names.subject_name("apiserver", ["acme"]))
    key = keys.new_key("ecdsa-p256")
    request = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, issue.signature_hash(key))
    assert compare.request_excess(request, pairs.SERVER, "ecdsa-p256") == ["to be a CA"]
