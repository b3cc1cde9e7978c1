# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._inventory_facts import File, Inventory, load_authorities

NOW = datetime.datetime(2026, 11, 22, 17, tzinfo=datetime.timezone.utc)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> dict[str, bytes]:
    """Files by path, made by openssl: one key with two certificates of the same name, and a leaf that both issued."""
    root = tmp_path_factory.mktemp("world")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=root, capture_output=True, check=True)

    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key")
    for name, days in (("first.crt", "9"), ("renewed.crt", "99")):
        openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=ca", "-days", days, "-out", name)
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=leaf", "-keyout", "leaf.key",
            "-out", "leaf.csr")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "first.crt", "-CAkey", "ca.key", "-days", "9", "-out", "leaf.crt")
    return {f"/{path.name}": path.read_bytes() for path in root.iterdir()}


def reader(world: dict[str, bytes]):
    return lambda path: File(path, path in world, world.get(path), mode="0600" if path in world else None)


@pytest.mark.parametrize("later, remaining", [(0, True), (3650, False)])
def test_the_time_is_passed_in(world, later, remaining):
    found = Inventory(reader(world), datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=later)).certificate("/leaf.crt")
    assert (found["certificate"]["remaining_days"] > 0) is remaining


@pytest.mark.parametrize("order", [["/first.crt", "/renewed.crt"], ["/renewed.crt", "/first.crt"]])
def test_of_several_issuers_the_first_is_named(world, order):
    authorities = load_authorities(order, reader(world))
    inventory = Inventory(reader(world), NOW, authorities)
    named = inventory.certificate("/leaf.crt")["certificate"]["issued_by"]
    assert named == inventory.certificate(order[0])["certificate"]["fingerprint_sha256"]


def test_a_kubeconfig_reads_only_what_it_names(world):
    asked = []
    config = b'{"users": [{"name": "u", "user": {"client-certificate": "../leaf.crt"}}]}'

    def read(path: str) -> File:
        asked.append(path)
        return File(path, True, config if path == "/etc/config" else world[f"/{Path(path).name}"])

    found = Inventory(read, NOW).kubeconfig("/etc/config")
    assert asked == ["/etc/config", "/etc/../leaf.crt"]
    assert found["users"][0]["certificate"]["common_name"] == "leaf"


def test_an_unreadable_authority_says_why():
    with pytest.raises(PkiError, match="authorities: /ca.crt: Permission denied"):
        load_authorities(["/ca.crt"], lambda path: File(path, True, error="Permission denied"))
