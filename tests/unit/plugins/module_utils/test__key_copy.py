# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _key_copy
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._key_copy import Held, PublicHalf

ONE, TWO = (PublicHalf(f"pem {name}", name * 64, "ecdsa-p256") for name in "12")


def reasons(found: Held, wanted_sha256: str | None = None, wanted: PublicHalf | None = None) -> list[str]:
    return _key_copy.copy_reasons(found, "k", "p", wanted_sha256, wanted)


@pytest.mark.parametrize(
    "found, wanted_sha256, wanted, told",
    [
        (Held(ONE.sha256, ONE, ()), None, None, []),
        (Held(ONE.sha256, ONE, ()), ONE.sha256, None, []),
        (Held(ONE.sha256, ONE, ()), ONE.sha256, ONE, []),
        (Held(ONE.sha256, TWO, ()), None, None, ["k and p do not match"]),
        (Held(ONE.sha256, ONE, ()), TWO.sha256, None,
         [f"k holds key sha256:{ONE.sha256}, wanted sha256:{TWO.sha256}",
          f"p holds the public half of sha256:{ONE.sha256}, wanted sha256:{TWO.sha256}"]),
        (Held(ONE.sha256, ONE, ()), ONE.sha256, ONE._replace(pem="renewed"), ["p does not hold the wanted public half"]),
        (Held(None, ONE, ("k is missing",)), ONE.sha256, ONE, ["k is missing"]),
        (Held(ONE.sha256, None, ("p is missing",)), TWO.sha256, TWO,
         ["p is missing", f"k holds key sha256:{ONE.sha256}, wanted sha256:{TWO.sha256}"]),
    ],
)
def test_reasons(found, wanted_sha256, wanted, told):
    assert reasons(found, wanted_sha256, wanted) == told


def test_option_and_public_half_must_name_one_key():
    assert _key_copy.wanted_sha256(None, None, "signer") is None
    assert _key_copy.wanted_sha256(None, ONE, "signer") == ONE.sha256
    assert _key_copy.wanted_sha256(f"SHA256:{'A' * 64}", None, "signer") == "a" * 64
    with pytest.raises(PkiError, match="signer: public_content is of key sha256:1111"):
        _key_copy.wanted_sha256(TWO.sha256, ONE, "signer")


@pytest.mark.parametrize("kind", [["RSA", "rsa_keygen_bits:2048"], ["EC", "ec_paramgen_curve:P-256"]], ids=["rsa", "ecdsa"])
def test_a_bare_public_key_in_any_layout_is_read_in_one_form(kind):
    key = subprocess.run(["openssl", "genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1]], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=key, capture_output=True, check=True).stdout
    wide = b"a note\n" + public.replace(b"\n", b"\r\n") + b"\n\n"
    assert _key_copy.public_half(wide, "sa.pub") == _key_copy.public_half(public, "sa.pub")
    assert _key_copy.public_half(public, "sa.pub").pem.encode() == public
    assert _key_copy.held("k", key, "p", public) == Held(_key_copy.public_half(public, "p").sha256, _key_copy.public_half(public, "p"), ())
