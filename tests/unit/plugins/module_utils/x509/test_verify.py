# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import load, verify
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs

KEYS = {
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ed25519": ["-algorithm", "ED25519"],
}


def signed_by_openssl(folder: Path, kind: str) -> tuple[str, str]:
    """Return a CA and a leaf of it, both made by openssl."""
    for name in ("ca", "leaf"):
        made.openssl(["genpkey", *KEYS[kind], "-out", f"{folder}/{name}.key"])
    made.openssl(["req", "-x509", "-new", "-key", f"{folder}/ca.key", "-subj", "/CN=ca", "-out", f"{folder}/ca.crt"])
    made.openssl(["req", "-x509", "-new", "-key", f"{folder}/leaf.key", "-subj", "/CN=leaf", "-CA", f"{folder}/ca.crt",
                  "-CAkey", f"{folder}/ca.key", "-out", f"{folder}/leaf.crt"])
    return (folder / "ca.crt").read_text(), (folder / "leaf.crt").read_text()


@pytest.mark.parametrize("kind", KEYS)
def test_a_leaf_is_issued_by_its_ca_and_by_no_other(tmp_path, kind):
    ca, leaf = (load.load_certificate(text, "file") for text in signed_by_openssl(tmp_path, kind))
    namesake = load.load_certificate(made.make_ca("ca"), "file")
    assert verify.issued_by(leaf, ca)
    assert verify.issued_by(ca, ca)
    assert not verify.issued_by(leaf, namesake)
    assert not verify.issued_by(ca, leaf)


def test_a_namesake_without_key_identifiers_is_told_apart_by_the_signature():
    one, two = (made.make_pair("/CN=ca", made.CA_WITHOUT_KEY_ID, generation=number)[0] for number in (1, 2))
    first, second = load.load_certificate(one, "one"), load.load_certificate(two, "two")
    assert first.subject == second.subject
    assert verify.issued_by(first, first)
    assert not verify.issued_by(first, second)


def test_a_signature_with_pss_padding_is_judged_where_the_library_can():
    command = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "/dev/null", "-subj", "/CN=ca",
               "-sigopt", "rsa_padding_mode:pss"]
    ca = load.load_certificate(made.openssl(command), "ca")
    assert verify.issued_by(ca, ca) is hasattr(ca, "signature_algorithm_parameters")


def test_a_pair_is_a_pair():
    one, two = pairs.root("one"), pairs.root("two", "rsa-2048")
    assert verify.pair_matches(one.key, one.certificate)
    assert verify.pair_matches(two.key, two.certificate)
    assert not verify.pair_matches(two.key, one.certificate)


@pytest.mark.parametrize(("extensions", "problem"), [
    (made.LEAF, "is not a CA certificate"),
    (made.NO_BASIC_CONSTRAINTS, "is not a CA certificate"),
    ("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n", "may not sign certificates (key usage without keyCertSign)"),
])
def test_what_may_not_sign_is_no_ca(extensions, problem):
    certificate = load.load_certificate(made.make_pair("/CN=ca", extensions)[0], "ca")
    assert verify.ca_problems(certificate, pairs.NOW + pairs.HOUR) == [problem]


@pytest.mark.parametrize("extensions", [made.CA, made.CA_WITHOUT_KEY_ID])
def test_a_ca_may_sign_in_its_time(extensions):
    certificate = load.load_certificate(made.make_pair("/CN=ca", extensions)[0], "ca")
    assert verify.ca_problems(certificate, pairs.NOW + pairs.HOUR) == []
    assert verify.ca_problems(certificate, pairs.NOW + 11 * pairs.DAY)[0].startswith("expired on ")
    assert verify.ca_problems(certificate, pairs.NOW - pairs.DAY)[0].startswith("is not valid before ")


@pytest.mark.parametrize(("path_length", "depth", "allowed"), [(None, 5, True), (0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False)])
def test_the_path_length_limits_the_cas_below(path_length, depth, allowed):
    ca = pairs.root(path_length=path_length).certificate
    assert (verify.ca_problems(ca, pairs.NOW, depth) == []) is allowed


def test_openssl_is_there_to_judge():
    assert subprocess.run(["openssl", "version"], check=True, capture_output=True).stdout.startswith(b"OpenSSL 3")
