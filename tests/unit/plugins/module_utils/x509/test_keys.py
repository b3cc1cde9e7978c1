# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import facts, keys, load
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made


@pytest.mark.parametrize("key_type", keys.KEY_TYPES[:3])
def test_a_key_is_of_its_type_and_openssl_can_read_it(key_type):
    pem = keys.key_pem(keys.new_key(key_type)).decode()
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    printed = made.openssl(["pkey", "-noout", "-text"], pem)
    assert {"ecdsa-p256": "NIST CURVE: P-256", "ecdsa-p384": "NIST CURVE: P-384", "rsa-2048": "(2048 bit"}[key_type] in printed
    assert facts.key_type(load.load_key(pem.encode(), "key").public_key()) == key_type


@pytest.mark.parametrize("key_type", keys.KEY_TYPES[3:])
def test_long_rsa_keys_are_as_long_as_asked(monkeypatch, key_type):
    asked = {}
    monkeypatch.setattr(keys.rsa, "generate_private_key", lambda **options: asked.update(options))
    keys.new_key(key_type)
    assert asked == {"public_exponent": 65537, "key_size": int(key_type[4:])}


@pytest.mark.parametrize("wanted", [[], ["rsa-2048"], ["rsa-2048", "ecdsa-p256", "rsa-2048", "ecdsa-p384"]])
def test_many_keys_come_in_the_order_asked_for_and_differ(wanted):
    made_keys = keys.new_keys(wanted)
    assert [facts.key_type(key.public_key()) for key in made_keys] == wanted
    assert len({load.public_key_sha256(key.public_key()) for key in made_keys}) == len(wanted)
