# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens of service accounts, judged by openssl: names of keys, signatures, claims."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import tokens
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_key

CLAIMS = {"iss": "https://kubernetes.default.svc.cluster.local", "aud": ["https://kubernetes.default.svc.cluster.local"],
          "sub": "system:serviceaccount:kube-node-lease:default",
          "kubernetes.io": {"namespace": "kube-node-lease", "serviceaccount": {"name": "default", "uid": "7"}}}
KINDS = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]}
ALGORITHM = {"rsa": ("RS256", "-sha256"), "p256": ("ES256", "-sha256"), "p384": ("ES384", "-sha384")}


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True).stdout


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture(params=KINDS)
def pair(request, tmp_path):
    """A key made by openssl: its kind, its path, its public half as PEM, and the kid that openssl's digest of it makes."""
    key = tmp_path / "sa.key"
    openssl("genpkey", "-algorithm", *KINDS[request.param], "-out", key)
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=openssl("pkey", "-in", key, "-pubout", "-outform", "DER"),
                            capture_output=True, check=True).stdout
    return request.param, key, openssl("pkey", "-in", key, "-pubout").decode(), base64.urlsafe_b64encode(digest).decode().rstrip("=")


def canary(path: Path) -> str:
    return tokens.canary(load_key(path.read_bytes(), str(path)), CLAIMS, 1000.5, "one")


def der(signature: bytes) -> bytes:
    """Return the two numbers of a JWT's ECDSA signature as openssl wants them."""
    config = "asn1=SEQUENCE:two\n[two]\n" + "".join(
        f"{name}=INTEGER:0x{half.hex()}\n" for name, half in
        (("r", signature[:len(signature) // 2]), ("s", signature[len(signature) // 2:])))
    return config.encode()


def test_openssl_verifies_a_canary(pair, tmp_path):
    kind, key, public, kid = pair
    header, claims, signature = canary(key).split(".")
    assert json.loads(decoded(header)) == {"alg": ALGORITHM[kind][0], "kid": kid}
    assert json.loads(decoded(claims)) == {**CLAIMS, "iat": 1000, "nbf": 1000, "exp": 1060, "jti": "one"}
    (tmp_path / "sa.pub").write_text(public)
    (tmp_path / "signed").write_text(f"{header}.{claims}")
    (tmp_path / "signature").write_bytes(decoded(signature))
    if kind != "rsa":
        (tmp_path / "config").write_bytes(der(decoded(signature)))
        openssl("asn1parse", "-genconf", tmp_path / "config", "-noout", "-out", tmp_path / "signature")
    said = openssl("dgst", ALGORITHM[kind][1], "-verify", tmp_path / "sa.pub", "-signature", tmp_path / "signature", tmp_path / "signed")
    assert said == b"Verified OK\n"


def test_a_token_is_of_the_generation_whose_key_it_names(pair):
    _kind, key, public, _kid = pair
    known = Generations({"service-accounts/first": public})
    assert known.of_token(canary(key)) == "service-accounts/first"
    assert known.of_key(load_key(key.read_bytes(), "sa.key")) == "service-accounts/first"
    assert Generations({}).of_token(canary(key)) == ""


@pytest.mark.parametrize("text", ["", "no token", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "MQ.e30.x", "é.é.é"])
def test_what_names_no_key_is_of_no_generation(text):
    assert tokens.key_id_of(text) == ""
    with pytest.raises(PkiError, match="is none that is bound"):
        tokens.claims_of(text)


def test_a_canary_claims_the_account_of_a_token_and_nothing_that_it_is_bound_to(pair):
    bound = {**CLAIMS, "kubernetes.io": {**CLAIMS["kubernetes.io"], "pod": {"name": "p", "uid": "8"}}, "exp": 1, "jti": "other"}
    token = tokens.canary(load_key(pair[1].read_bytes(), "sa.key"), bound, 0, "two")
    assert tokens.claims_of(token) == CLAIMS
