# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.modules import pki_ca
from ansible_collections.rekey.kubernetes.tests.unit.plugins import module_bench
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_bench import DAMAGED, is_pair, printed, verify


class Authorities(module_bench.Bench):
    def __init__(self, root: Path, capsys: pytest.CaptureFixture) -> None:
        super().__init__(pki_ca, "authorities", root, capsys)

    def item(self, name="kubernetes", **changes):
        base = str(self.root / name)
        return {"name": name, "certificate_path": f"{base}.crt", "key_path": f"{base}.key", "common_name": f"{name}-ca@1", **changes}

    def file(self, name: str) -> str:
        return str(self.root / name)


@pytest.fixture
def bench(tmp_path, capsys) -> Authorities:
    return Authorities(tmp_path, capsys)


def test_authorities_are_made_once_and_openssl_accepts_them(bench):
    items = [bench.item(), bench.item("etcd", key_type="rsa-2048", path_length=1, organizations=["acme"], validity="30d"),
             bench.item("front-proxy", key_type="ecdsa-p384", key_mode="0640")]
    done = bench.four_ways(items)
    assert module_bench.reasons(done) == [["certificate and key missing"]] * 3
    assert [result["outcome"] for result in done["results"]] == ["created"] * 3
    for item, result in zip(items, done["results"]):
        verify(item["certificate_path"], item["certificate_path"])
        assert is_pair(item["certificate_path"], item["key_path"])
        assert stat.S_IMODE(Path(item["key_path"]).stat().st_mode) == int(item.get("key_mode", "0600"), 8)
        assert result["certificate"]["fingerprint_sha256"] == made.fingerprint(Path(item["certificate_path"]).read_text())
    text = printed(items[1]["certificate_path"], "-text")
    assert "Subject: O = acme, CN = etcd-ca@1" in text
    assert "CA:TRUE, pathlen:1" in text
    assert "Digital Signature, Certificate Sign, CRL Sign" in text
    bench.no_key_was_said()


def test_check_mode_tells_no_serial_number_that_will_never_exist(bench):
    foretold = bench.run([bench.item()], check=True)["results"][0]
    assert foretold["outcome"] == "created"
    assert "certificate" not in foretold
    bench.run([bench.item()])
    assert bench.run([bench.item()], check=True)["results"][0]["certificate"]["common_name"] == "kubernetes-ca@1"


def test_check_mode_foresees_a_directory_that_an_earlier_task_would_have_made(bench):
    item = bench.item(certificate_path=bench.file("absent/a.crt"), key_path=bench.file("absent/a.key"))
    assert bench.run([item], check=True)["changed"] is True
    bench.refuses([bench.item(), item], "kubernetes: duplicate name")
    bench.refuses([item], "kubernetes: ", "absent does not exist", check=[False])


def test_an_intermediate_comes_with_its_chain(bench):
    root = bench.item("root", path_length=1)
    parent = {"certificate_path": root["certificate_path"], "key_path": root["key_path"]}
    middle = bench.item(parent=parent, chain_path=bench.file("middle.chain"), validity="9999d")
    done = bench.four_ways([root, middle])
    verify(middle["certificate_path"], root["certificate_path"])
    assert Path(middle["chain_path"]).read_text() == Path(middle["certificate_path"]).read_text()
    assert "pathlen:0" in printed(middle["certificate_path"], "-text")
    assert done["results"][1]["warnings"][0].startswith("ends with its parent on ")
    assert printed(middle["certificate_path"], "-enddate") == printed(root["certificate_path"], "-enddate")
    Path(middle["chain_path"]).write_text(Path(root["certificate_path"]).read_text())
    assert module_bench.reasons(bench.four_ways([root, middle])) == [[], ["chain differs"]]


def test_a_chain_goes_on_to_the_root(bench):
    root = bench.ca("root")
    middle = bench.item("middle", parent=root, chain_path=bench.file("middle.chain"))
    bench.run([middle])
    parent = {"certificate_path": middle["certificate_path"], "key_path": middle["key_path"]}
    low = bench.item("low", parent={**parent, "chain_path": middle["chain_path"]}, chain_path=bench.file("low.chain"))
    bench.four_ways([low])
    verify(low["certificate_path"], root["certificate_path"], "-untrusted", low["chain_path"])
    assert Path(low["chain_path"]).read_text() == Path(low["certificate_path"]).read_text() + Path(middle["certificate_path"]).read_text()
    bench.refuses([bench.item("other", chain_path=bench.file("x"))], "chain_path is set, and the authority is a root")


def test_what_the_user_brings_is_kept(bench):
    brought = {"name": "company", **bench.ca("company")}
    before = bench.snapshot()
    result = bench.run([brought])["results"][0]
    assert (result["changed"], result["outcome"]) == (False, "kept")
    assert bench.snapshot() == before
    Path(brought["key_path"]).unlink()
    assert bench.run([{**brought, "external": True}])["results"][0]["outcome"] == "kept"
    bench.refuses([brought], "company: ", "company.key: no such file", "external")


def test_the_key_that_is_there_is_used(bench):
    item = bench.item()
    key = made.openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"])
    Path(item["key_path"]).write_text(key)
    Path(item["key_path"]).chmod(0o600)
    done = bench.four_ways([item])
    assert done["results"][0]["reasons"] == ["certificate missing, made for the key that is there"]
    assert Path(item["key_path"]).read_text() == key
    assert is_pair(item["certificate_path"], item["key_path"])


def test_an_authority_is_issued_again_under_its_key(bench):
    bench.run([bench.item(validity="20d")])
    item = bench.item(renew_before="30d", validity="90d")
    key, old = Path(item["key_path"]).read_bytes(), Path(item["certificate_path"]).read_text()
    leaf = made.openssl(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=leaf", "-CA",
                         item["certificate_path"], "-CAkey", item["key_path"]])
    done = bench.four_ways([item])["results"][0]
    assert done["reasons"] == ["expires in 19 d", "issued again under the same key"]
    assert (done["outcome"], Path(item["key_path"]).read_bytes()) == ("reissued", key)
    assert printed(item["certificate_path"], "-serial") != made.openssl(["x509", "-noout", "-serial"], old)
    assert printed(item["certificate_path"], "-subject", "-pubkey") == made.openssl(["x509", "-noout", "-subject", "-pubkey"], old)
    Path(bench.file("leaf.crt")).write_text(leaf)
    assert made.openssl(["verify", "-CAfile", item["certificate_path"], bench.file("leaf.crt")]).endswith("OK\n")


def test_a_cross_certificate_carries_trust_from_the_old_generation(bench):
    old = bench.item("old")
    new = bench.item("new", cross_sign={"certificate_path": old["certificate_path"], "key_path": old["key_path"],
                                        "path": bench.file("cross.crt")})
    bench.run([old])
    done = bench.four_ways([new])["results"][0]
    assert done["reasons"] == ["certificate and key missing", "cross-certificate missing"]
    verify(bench.file("cross.crt"), old["certificate_path"])
    assert printed(bench.file("cross.crt"), "-subject", "-pubkey") == printed(new["certificate_path"], "-subject", "-pubkey")
    assert done["cross_certificate"]["issuer"] == "CN=old-ca@1"
    Path(old["key_path"]).unlink()
    assert bench.run([new])["changed"] is False


def test_an_old_generation_with_path_length_zero_gives_no_cross_certificate(bench):
    old = bench.item("old", path_length=0)
    bench.run([old])
    cross = {"certificate_path": old["certificate_path"], "key_path": old["key_path"], "path": bench.file("cross.crt")}
    bench.refuses([bench.item("new", cross_sign=cross)], "new: old generation ", "old.crt may not sign CAs (path length 0)", "cross_sign")


def test_modes_are_mended_and_content_stays(bench):
    item = bench.item()
    bench.run([item])
    content = Path(item["key_path"]).read_bytes()
    Path(item["key_path"]).chmod(0o644)
    assert bench.four_ways([item])["results"][0]["reasons"] == [f"mode of {item['key_path']} is 0644, not 0600"]
    assert Path(item["key_path"]).read_bytes() == content


def test_a_diff_shows_public_facts_alone(bench):
    for check in (True, False):
        said = bench.run([bench.item()], check=check, diff=True)
        assert [difference["after_header"] for difference in said["diff"]] == [bench.file("kubernetes.key"), bench.file("kubernetes.crt")]
        assert said["diff"][0]["after"] == {"key_type": "ecdsa-p256"}
        assert said["diff"][1]["after"]["subject"] == "CN=kubernetes-ca@1"
    bench.no_key_was_said()


# -- bad input: item, file and remedy are named, nothing on disk has changed ------------------------------------------


@pytest.mark.parametrize(("changes", "words"), [
    ({"key_path": None}, ["bad: key_path is missing", "external"]),
    ({"common_name": None}, ["bad: common_name is missing", "bad.crt does not exist"]),
    ({"common_name": "x" * 65}, ["bad: common_name", "longer than 64"]),
    ({"validity": "ten years"}, ["bad: validity is 'ten years'"]),
    ({"renew_before": "3650d"}, ["bad: renew_before is not shorter"]),
    ({"path_length": -1}, ["bad: path_length is -1"]),
    ({"key_mode": "0666"}, ["bad: key_mode 0666 opens a private key"]),
    ({"external": True}, ["bad: ", "bad.crt: no such file"]),
    ({"name": "good"}, ["good: duplicate name"]),
    ({"common_name": "good-ca@1"}, ["bad: common name good-ca@1 is that of another authority", "good.crt"]),
    ({"group": "nobody-of-that-name"}, ["bad: ", "no such user or group"]),
    ({"parent": {"certificate_path": "/absent/ca.crt"}}, ["bad: /absent/ca.crt: no such file", "before its children"]),
    ({"other_certificate_paths": ["/absent/ca.crt"]}, ["bad: /absent/ca.crt: no such file"]),
])
def test_an_impossible_authority_is_refused(bench, changes, words):
    bench.refuses([bench.item("good"), {**bench.item("bad"), **changes}], *words)


def test_an_unknown_option_is_refused(bench):
    said = bench.run([bench.item("good"), bench.item("bad", colour="red")])
    assert "Unsupported parameters" in said["msg"]
    assert "colour" in said["msg"]
    assert bench.snapshot() == {}


@pytest.mark.parametrize(("damage", "words"), [
    (lambda bench: Path(bench.file("ca.key")).write_text(made.make_pair("/CN=other")[1]), ["ca.key does not belong to", "ca.crt"]),
    (lambda bench: Path(bench.file("ca.key")).write_text("-----BEGIN PRIVATE KEY-----\nMIG\n"), ["ca.key: is not a readable private key"]),
    (lambda bench: Path(bench.file("ca.crt")).write_text(DAMAGED), ["ca.crt: a PEM block is truncated"]),
    (lambda bench: bench.ca("ca", extensions=made.LEAF), ["ca.crt is not a CA certificate"]),
    (lambda bench: bench.ca("ca", extensions="basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n"), ["may not sign"]),
    (lambda bench: Path(bench.file("ca.key")).rename(bench.file("ca.kez")), ["ca.key: no such file", "restore the key"]),
])
def test_what_the_user_brings_is_refused_when_it_cannot_sign(bench, damage, words):
    brought = {"name": "company", **bench.ca("ca")}
    damage(bench)
    bench.refuses([brought, bench.item()], "company: ", *words)


@pytest.mark.parametrize(("change", "words"), [
    ({"common_name": "ca@2"}, ["is CN=ca, wanted CN=ca@2", "another generation"]),
    ({"path_length": 1}, ["may not sign CAs (path length 0)"]),
    ({"parent": True}, ["is not issued by CN=other"]),
])
def test_what_the_user_brings_must_be_what_is_asked_for(bench, change, words):
    brought = {"name": "company", **bench.ca("ca", extensions=made.CA.replace("CA:TRUE", "CA:TRUE,pathlen:0"))}
    if "parent" in change:
        change = {"parent": bench.ca("other")}
    bench.refuses([{**brought, **change}], "company: ", *words)


def test_an_expired_authority_is_refused_unless_it_shall_be_issued_again(bench):
    brought = {"name": "company", **bench.ca("ca")}
    made.openssl(["x509", "-in", brought["certificate_path"], "-signkey", brought["key_path"], "-days", "-1", "-out", bench.file("ca.crt")])
    bench.refuses([brought], "company: ", "ca.crt expired on ", "renew_before")
    done = bench.four_ways([{**brought, "renew_before": "30d"}])["results"][0]
    assert done["reasons"][0].startswith("expired on ")
    verify(brought["certificate_path"], brought["certificate_path"])


@pytest.mark.parametrize("which", ["certificate_path", "key_path"])
def test_a_symlink_is_not_followed(bench, which):
    brought = {"name": "company", **bench.ca("ca")}
    Path(brought[which]).rename(bench.file("elsewhere"))
    Path(brought[which]).symlink_to(bench.file("elsewhere"))
    bench.refuses([bench.item(), brought], f"company: {brought[which]}: is a symlink")


def test_a_name_that_is_taken_next_door_is_refused(bench):
    bench.run([bench.item("first")])
    bench.refuses([bench.item("second", common_name="first-ca@1")], "second: common name first-ca@1 is that of another", "first.crt")
    (bench.root / "retired").mkdir()
    Path(bench.file("first.crt")).rename(bench.file("retired/first.crt"))
    second = bench.item("second", common_name="first-ca@1", other_certificate_paths=[bench.file("retired/first.crt")])
    bench.refuses([second], "retired/first.crt")


def test_a_damaged_neighbour_hides_no_name(bench):
    Path(bench.file("neighbour.crt")).write_text(DAMAGED)
    bench.refuses([bench.item()], "kubernetes: ", "neighbour.crt: a PEM block is truncated")


@pytest.mark.parametrize(("options", "words"), [
    ({"extensions": made.LEAF}, ["is not a CA certificate"]),
    ({"extensions": made.CA.replace("CA:TRUE", "CA:TRUE,pathlen:0")}, ["may not sign CAs (path length 0)"]),
])
def test_a_parent_must_be_allowed_to_sign_authorities(bench, options, words):
    bench.refuses([bench.item(parent=bench.ca("parent", **options))], "kubernetes: parent ", "parent.crt", *words)


def test_a_parent_must_be_a_pair(bench):
    parent = {**bench.ca("parent"), "key_path": bench.ca("other")["key_path"]}
    bench.refuses([bench.item(parent=parent)], "kubernetes: ", "other.key is not the key of CN=parent")
    bench.refuses([bench.item(parent={"certificate_path": parent["certificate_path"]})], "kubernetes: parent.key_path is missing")
