# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _seal
from ansible_collections.rekey.kubernetes.tests.unit.plugins.key_copy_bench import Bench, openssl, paths, snapshot, spki_sha256


@pytest.fixture
def bench(tmp_path, capsys) -> Bench:
    return Bench(tmp_path, capsys)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_copy_comes_over_and_no_key_is_ever_said(bench, kind):
    pair = bench.pair(kind=kind)
    asked = bench.run("request", bench.there, diff=True)
    assert asked["changed"] is True
    assert asked["results"][0]["needed"] is True
    assert asked["results"][0]["reasons"] == [f"{bench.there['key_path']} is missing", f"{bench.there['public_path']} is missing"]
    transport = bench.destination / "signing-ca.key.transport"
    transport_body = transport.read_text()
    assert stat.S_IMODE(transport.stat().st_mode) == 0o600

    before = snapshot(bench.authority)
    sealed = bench.run("seal", {**pair, "transport_public_key": asked["results"][0]["transport_public_key"]}, diff=True)
    assert sealed["changed"] is False
    assert snapshot(bench.authority) == before

    item = {**bench.there, **{name: sealed["results"][0][name] for name in ("sealed", "public_content")}}
    installed = bench.run("install", item, diff=True)
    assert installed["changed"] is True
    assert installed["results"][0]["public_sha256"] == spki_sha256(Path(pair["key_path"]))
    assert openssl("pkey", "-in", bench.there["key_path"]) == openssl("pkey", "-in", pair["key_path"])
    assert openssl("x509", "-in", bench.there["public_path"]) == openssl("x509", "-in", pair["public_path"])
    assert stat.S_IMODE(os.stat(bench.there["key_path"]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(bench.there["public_path"]).st_mode) == 0o644
    assert sorted(os.listdir(bench.destination)) == ["signing-ca.crt", "signing-ca.key"]

    bench.no_key_was_said(pair["key_path"], bench.there["key_path"])
    assert not [line for line in transport_body.splitlines() if line in bench.said]


def test_nothing_is_done_twice(bench):
    pair = bench.pair()
    first = bench.run("request", bench.there)["results"][0]
    before = snapshot(bench.destination)
    again = bench.run("request", bench.there)
    assert again["changed"] is False
    assert again["results"][0]["transport_public_key"] == first["transport_public_key"]
    assert snapshot(bench.destination) == before

    item = bench.copied(pair)
    before = snapshot(bench.destination)
    assert bench.run("install", item)["results"] == [
        {"name": "signer", "host": "cp1", "changed": False, "reasons": [], "public_sha256": spki_sha256(Path(pair["key_path"]))}
    ]
    done = bench.run("request", {**bench.there, "public_content": item["public_content"]})
    assert done["changed"] is False
    assert done["results"][0]["needed"] is False
    assert done["results"][0]["transport_public_key"] is None
    assert snapshot(bench.destination) == before


def test_check_mode_tells_the_same_and_writes_nothing(bench):
    pair = bench.pair()
    before = snapshot(bench.root)
    foretold = bench.run("request", bench.there, check=True)
    assert snapshot(bench.root) == before
    real = bench.run("request", bench.there)
    assert foretold["changed"] is real["changed"] is True
    assert foretold["results"][0].pop("transport_public_key") is None
    assert real["results"][0].pop("transport_public_key")
    assert foretold["results"] == real["results"]

    item = bench.sealed(pair)
    before = snapshot(bench.root)
    foretold = bench.run("install", item, check=True)
    assert snapshot(bench.root) == before
    assert bench.run("install", item) == foretold
    assert foretold["results"][0]["reasons"] == [f"{bench.there['key_path']} is missing", f"{bench.there['public_path']} is missing"]


def test_check_mode_goes_on_without_what_earlier_calls_would_have_made(bench):
    before = snapshot(bench.root)
    absent = {"name": "signer", "host": "cp1", **paths(bench.authority, "new")}
    sealed = bench.run("seal", {**absent, "transport_public_key": None}, check=True)["results"][0]
    assert (sealed["sealed"], sealed["public_content"]) == (None, None)
    assert bench.run("install", {**bench.there, "sealed": None, "public_content": None}, check=True)["changed"] is True
    assert snapshot(bench.root) == before

    pair = bench.pair()
    half = bench.run("seal", pair, check=True)["results"][0]
    assert half["sealed"] is None
    assert half["public_content"] == Path(pair["public_path"]).read_text()
    assert bench.run("install", {**bench.there, "public_content": half["public_content"]}, check=True)["changed"] is True


def test_another_generation_is_asked_for_by_its_key(bench):
    old, new = bench.pair("old"), bench.pair("new")
    bench.copied(old)
    old_sha256, new_sha256 = (spki_sha256(Path(pair["key_path"])) for pair in (old, new))
    for wanted in (new_sha256, new_sha256.upper(), f"sha256:{new_sha256}"):
        result = bench.run("request", {**bench.there, "wanted_public_sha256": wanted})["results"][0]
        assert result["needed"] is True
        assert f"{bench.there['key_path']} holds key sha256:{old_sha256}, wanted sha256:{new_sha256}" in result["reasons"]
    assert bench.run("request", {**bench.there, "wanted_public_sha256": old_sha256})["results"][0]["needed"] is False

    item = bench.sealed(new, wanted_public_sha256=new_sha256)
    shown = bench.run("install", {**item, "wanted_public_sha256": new_sha256}, diff=True)["diff"][0]
    assert (shown["before"]["key"], shown["after"]["key"]) == (old_sha256, new_sha256)
    assert spki_sha256(Path(bench.there["key_path"])) == new_sha256


def test_a_certificate_renewed_for_the_same_key_is_brought_without_the_key(bench):
    pair = bench.pair()
    bench.copied(pair)
    openssl("req", "-x509", "-new", "-key", pair["key_path"], "-subj", "/CN=renewed", "-days", "9", "-out", pair["public_path"])
    content = Path(pair["public_path"]).read_text()
    result = bench.run("request", {**bench.there, "public_content": content})["results"][0]
    assert result["reasons"] == [f"{bench.there['public_path']} does not hold the wanted public half"]
    inode = os.stat(bench.there["key_path"]).st_ino
    assert bench.run("install", {**bench.there, "public_content": content})["changed"] is True
    assert os.stat(bench.there["key_path"]).st_ino == inode
    assert "renewed" in openssl("x509", "-in", bench.there["public_path"], "-noout", "-subject")


@pytest.mark.parametrize("damage", ["key", "public", "swapped", "two certificates"])
def test_what_is_damaged_at_the_destination_is_brought_again(bench, damage):
    pair = bench.pair()
    item = bench.copied(pair)
    key, public = Path(bench.there["key_path"]), Path(bench.there["public_path"])
    if damage == "key":
        key.write_text(key.read_text()[:90])
    elif damage == "public":
        public.write_text(public.read_text()[:300])
    elif damage == "swapped":
        key.write_text(Path(bench.pair("other")["key_path"]).read_text())
    else:
        public.write_text(public.read_text() * 2)
    asked = bench.run("request", bench.there)["results"][0]
    assert asked["needed"] is True
    expected = {"key": "is not a readable private key", "public": "truncated", "swapped": "do not match",
                "two certificates": "exactly one CERTIFICATE or PUBLIC KEY belongs"}[damage]
    assert expected in " ".join(asked["reasons"])
    assert bench.run("install", {**item, **bench.sealed(pair)})["changed"] is True
    assert openssl("pkey", "-in", str(key)) == openssl("pkey", "-in", pair["key_path"])
    assert public.read_text().count("BEGIN") == 1


def test_text_around_a_certificate_is_no_difference(bench):
    item = bench.copied(bench.pair())
    public = Path(bench.there["public_path"])
    public.write_text(openssl("x509", "-in", str(public), "-text"))
    assert bench.run("install", item)["changed"] is False


@pytest.mark.parametrize("option, mode", [("key_path", 0o644), ("public_path", 0o600)])
def test_a_wrong_mode_is_a_reason_and_mended_in_place(bench, option, mode):
    item = bench.copied(bench.pair())
    os.chmod(bench.there[option], mode)
    asked = bench.run("request", bench.there)["results"][0]
    right = {"key_path": "0600", "public_path": "0644"}[option]
    assert asked["reasons"] == [f"mode of {bench.there[option]} is {mode:04o}, not {right}"]
    inode = os.stat(bench.there[option]).st_ino
    installed = bench.run("install", item, diff=True)
    assert installed["results"][0]["reasons"] == asked["reasons"]
    assert installed["diff"][0]["before"]["attributes"] == asked["reasons"]
    assert (os.stat(bench.there[option]).st_ino, f"{stat.S_IMODE(os.stat(bench.there[option]).st_mode):04o}") == (inode, right)
    assert bench.run("install", item)["changed"] is False


def test_a_transport_key_that_others_saw_or_that_is_damaged_is_made_anew(bench):
    transport = bench.destination / "signing-ca.key.transport"
    seen = set()
    for spoil in (lambda: transport.chmod(0o644), lambda: transport.write_text("nonsense"), lambda: None):
        result = bench.run("request", bench.there)
        assert result["changed"] is True
        seen.add(result["results"][0]["transport_public_key"])
        assert stat.S_IMODE(transport.stat().st_mode) == 0o600
        spoil()
    assert len(seen) == 3


def test_a_left_over_transport_key_goes(bench):
    item = bench.copied(bench.pair())
    transport = bench.destination / "signing-ca.key.transport"
    for action, copy in (("request", bench.there), ("install", item)):
        transport.write_bytes(_seal.new_transport_key())
        assert bench.run(action, copy, check=True)["results"][0]["reasons"] == [f"{transport} is left over"]
        assert transport.exists()
        assert bench.run(action, copy)["changed"] is True
        assert not transport.exists()


def test_a_run_that_died_between_key_and_public_half_goes_on(bench):
    old, new = bench.pair("old"), bench.pair("new")
    bench.copied(old)
    item = bench.sealed(new, wanted_public_sha256=spki_sha256(Path(new["key_path"])))
    Path(bench.there["key_path"]).write_text(Path(new["key_path"]).read_text())
    assert bench.run("install", item)["changed"] is True
    assert openssl("x509", "-in", bench.there["public_path"]) == openssl("x509", "-in", new["public_path"])


def test_the_key_is_written_first_and_no_wider_than_asked(bench, monkeypatch):
    item = bench.sealed(bench.pair())
    events = []
    rename, unlink = os.rename, os.unlink

    def note_rename(old: str, new: str) -> None:
        events.append((os.path.basename(new), stat.S_IMODE(os.stat(old).st_mode)))
        rename(old, new)

    def note_unlink(path: str) -> None:
        events.append((os.path.basename(path), 0))
        unlink(path)

    monkeypatch.setattr(os, "rename", note_rename)
    monkeypatch.setattr(os, "unlink", note_unlink)
    bench.run("install", item)
    assert events == [("signing-ca.key", 0o600), ("signing-ca.crt", 0o644), ("signing-ca.key.transport", 0)]


def test_several_copies_keep_their_order(bench):
    pair = bench.pair()
    names = ["b", "a", "c"]
    copies = [{**bench.there, "name": name, **paths(bench.destination, name)} for name in names]
    asked = bench.run("request", *copies)["results"]
    to_seal = [{**pair, "name": one["name"], "transport_public_key": one["transport_public_key"]} for one in asked]
    sealed = bench.run("seal", *to_seal)["results"]
    blobs = [{**copy, "sealed": one["sealed"], "public_content": one["public_content"]} for copy, one in zip(copies, sealed)]
    assert [one["name"] for one in bench.run("install", *blobs)["results"]] == names


class TestCreate:
    @pytest.fixture
    def item(self, bench) -> dict[str, t.Any]:
        return {"name": "service-accounts", "key_path": str(bench.authority / "sa.key"), "public_path": str(bench.authority / "sa.pub")}

    @pytest.mark.parametrize(
        "kind, shown", [("rsa-2048", "2048 bit"), ("rsa-3072", "3072 bit"), ("rsa-4096", "4096 bit"), ("ecdsa-p256", "prime256v1"),
                        ("ecdsa-p384", "secp384r1")]
    )
    def test_a_pair_is_made_once(self, bench, item, kind, shown):
        item = {**item, "key_type": kind}
        foretold = bench.run("create", item, check=True)
        assert os.listdir(bench.authority) == []
        made = bench.run("create", item)
        assert foretold["changed"] is made["changed"] is True
        assert foretold["results"][0]["reasons"] == made["results"][0]["reasons"] == [
            f"{item['key_path']} is missing", f"{item['public_path']} is missing"
        ]
        assert shown in openssl("pkey", "-in", item["key_path"], "-noout", "-text")
        assert openssl("pkey", "-in", item["key_path"], "-pubout") == Path(item["public_path"]).read_text()
        assert made["results"][0]["public_content"] == Path(item["public_path"]).read_text()
        assert made["results"][0]["public_sha256"] == spki_sha256(Path(item["key_path"]))
        assert stat.S_IMODE(os.stat(item["key_path"]).st_mode) == 0o600
        before = snapshot(bench.authority)
        again = bench.run("create", item)
        assert again["changed"] is False
        assert again["results"] == [{**made["results"][0], "changed": False, "reasons": []}]
        assert snapshot(bench.authority) == before
        bench.no_key_was_said(item["key_path"])

    def test_the_default_is_what_kubeadm_makes(self, bench, item):
        assert bench.run("create", item)["results"][0]["key_type"] == "rsa-2048"

    def test_a_key_of_another_kind_is_kept(self, bench, item):
        bench.run("create", {**item, "key_type": "ecdsa-p256"})
        again = bench.run("create", item)
        assert again["changed"] is False
        assert again["results"][0]["key_type"] == "ecdsa-p256"

    def test_a_missing_public_half_is_written_again(self, bench, item):
        bench.run("create", item)
        content = Path(item["public_path"]).read_text()
        os.unlink(item["public_path"])
        assert bench.run("create", item)["results"][0]["reasons"] == [f"{item['public_path']} is missing"]
        assert Path(item["public_path"]).read_text() == content

    def test_a_key_that_others_can_read_is_closed(self, bench, item):
        bench.run("create", item)
        os.chmod(item["key_path"], 0o644)
        assert bench.run("create", item)["results"][0]["reasons"] == [f"mode of {item['key_path']} is 0644, not 0600"]
        assert stat.S_IMODE(os.stat(item["key_path"]).st_mode) == 0o600

    def test_a_key_is_never_replaced(self, bench, item):
        bench.run("create", item)
        Path(item["public_path"]).write_text(openssl("pkey", "-in", bench.pair()["key_path"], "-pubout"))
        before = snapshot(bench.root)
        assert "do not match" in bench.run("create", item)["msg"]
        os.rename(item["key_path"], item["key_path"] + ".away")
        before = snapshot(bench.root)
        assert f"its private key {item['key_path']} is missing" in bench.run("create", item)["msg"]
        Path(item["key_path"]).write_text("damaged")
        before = snapshot(bench.root)
        assert "is not a readable private key" in bench.run("create", item)["msg"]
        assert snapshot(bench.root) == before


def test_the_library_is_asked_for(bench, monkeypatch):
    from ansible_collections.rekey.kubernetes.plugins.module_utils import _cryptography_dep

    monkeypatch.setattr(_cryptography_dep, "IMPORT_TRACEBACK", "Traceback: no such module")
    assert "cryptography >= 38" in bench.run("request", bench.there)["msg"]


def test_a_key_comes_over_alone_where_its_public_half_stands_in_a_bundle(bench):
    pair = bench.pair(kind="rsa")
    del pair["public_path"]
    there = {"name": "signer", "host": "cp1", "key_path": str(bench.destination / "sa.key"),
             "wanted_public_sha256": spki_sha256(Path(pair["key_path"]))}
    asked = bench.run("request", there)["results"][0]
    assert asked["reasons"] == [f"{there['key_path']} is missing"]
    sealed = bench.run("seal", {**pair, "transport_public_key": asked["transport_public_key"]})["results"][0]
    assert sealed["public_content"] == openssl("pkey", "-in", pair["key_path"], "-pubout")
    item = {**there, "sealed": sealed["sealed"], "public_content": sealed["public_content"]}
    assert bench.run("install", item, diff=True)["changed"]
    assert openssl("pkey", "-in", there["key_path"]) == openssl("pkey", "-in", pair["key_path"])
    assert os.listdir(bench.destination) == ["sa.key"]
    assert not bench.run("request", there)["changed"] and not bench.run("install", item)["changed"]
    bench.no_key_was_said(pair["key_path"])
