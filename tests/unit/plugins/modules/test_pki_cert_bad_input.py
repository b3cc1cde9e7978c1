# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input to pki_cert: each names item, file and remedy, and nothing on disk has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.modules import pki_cert
from ansible_collections.rekey.kubernetes.tests.unit.plugins import module_bench
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made


@pytest.fixture
def bench(tmp_path, capsys) -> module_bench.Bench:
    return module_bench.Bench(pki_cert, "certificates", tmp_path, capsys)


def item(bench: module_bench.Bench, name="apiserver", **changes):
    base = str(bench.root / name)
    return {"name": name, "authority": "kubernetes", "certificate_path": f"{base}.crt", "key_path": f"{base}.key", "common_name": name,
            "usages": ["client_auth"], "validity": "9d", "renew_before": "1d", **changes}


def authority(bench: module_bench.Bench, name="ca", **options):
    return {"name": "kubernetes", **bench.ca(name, **options)}


# Each batch has a good item as well: nothing of it may be written either.
@pytest.mark.parametrize(("changes", "words"), [
    ({"sans": {"dns": ["10.96.0.1"]}}, ["bad: sans.dns holds the IP address 10.96.0.1", "sans.ip"]),
    ({"sans": {"ip": ["api.example"]}}, ["bad: sans.ip holds 'api.example'", "sans.dns"]),
    ({"usages": ["server_auth"]}, ["bad: a server certificate without SAN"]),
    ({"usages": []}, ["bad: usages is empty"]),
    ({"common_name": "x" * 65}, ["bad: common_name", "longer than 64"]),
    ({"validity": "1y"}, ["bad: validity is '1y'", "365d"]),
    ({"renew_before": "9d"}, ["bad: renew_before is not shorter"]),
    ({"key_mode": "0644"}, ["bad: key_mode 0644 opens a private key"]),
    ({"certificate_mode": "rw"}, ["bad: certificate_mode is 'rw'"]),
    ({"authority": "etcd"}, ["bad: authority etcd is not in authorities"]),
    ({"authority": None}, ["bad: authority is missing"]),
    ({"key_path": None}, ["bad: key_path is missing"]),
    ({"name": "good"}, ["good: duplicate name good"]),
    ({"owner": "nobody-of-that-name"}, ["bad: ", "no such user or group"]),
])
def test_an_impossible_item_is_refused(bench, changes, words):
    bench.refuses([item(bench, "good"), {**item(bench, "bad"), **changes}], *words, authorities=[authority(bench)])


def test_two_items_cannot_share_a_file(bench):
    good = item(bench, "good")
    bad = item(bench, "bad", key_path=good["key_path"])
    bench.refuses([good, bad], "good and bad: duplicate path", good["key_path"], authorities=[authority(bench)])


@pytest.mark.parametrize(("level", "word"), [("certificates", "colour"), ("sans", "email")])
def test_an_unknown_option_in_a_list_item_is_refused(bench, level, word):
    bad = item(bench, colour="red") if level == "certificates" else item(bench, sans={"email": ["a@b"]})
    before = bench.snapshot()
    said = bench.run([item(bench, "good"), bad], authorities=[authority(bench)] if before else [])
    assert said["failed"] is True
    assert "Unsupported parameters" in said["msg"]
    assert word in said["msg"]
    assert bench.snapshot().keys() <= {str(bench.root / name) for name in ("ca.crt", "ca.key")}


def test_a_missing_directory_is_named(bench):
    bad = item(bench, "bad", key_path=str(bench.root / "absent" / "bad.key"))
    bench.refuses([item(bench, "good"), bad], "bad: ", "absent does not exist", "create it", check=[False], authorities=[authority(bench)])


@pytest.mark.parametrize("which", ["certificate_path", "key_path", "pending"])
def test_a_symlink_is_not_followed(bench, which):
    bad = item(bench, "bad")
    link = Path(bad["key_path"] + ".pending" if which == "pending" else bad[which])
    (bench.root / "elsewhere").write_text("untouched")
    link.symlink_to(bench.root / "elsewhere")
    bench.refuses([item(bench, "good"), bad], "bad: ", f"{link}: is a symlink", authorities=[authority(bench)])


def test_a_directory_is_no_file(bench):
    bad = item(bench, "bad")
    Path(bad["certificate_path"]).mkdir()
    bench.refuses([bad], f"bad: {bad['certificate_path']}: is not a regular file", authorities=[authority(bench)])


@pytest.mark.parametrize(("path", "content", "problem"), [
    ("certificate_path", "-----BEGIN CERTIFICATE-----\nMIIB\n", "truncated or damaged"),
    ("certificate_path", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "is not a valid certificate"),
    ("certificate_path", "", "holds no certificate"),
    ("key_path", "-----BEGIN PRIVATE KEY-----\nMIIB\n", "is not a readable private key"),
    ("key_path", "", "is not a readable private key"),
])
def test_a_damaged_file_in_place_is_not_overwritten(bench, path, content, problem):
    bad = item(bench, "bad")
    bench.run([bad], authorities=[authority(bench)])
    Path(bad[path]).write_text(content)
    bench.refuses([item(bench, "good"), bad], f"bad: {bad[path]}", problem, authorities=[authority(bench)])


@pytest.mark.parametrize(("damage", "problem"), [
    (lambda paths: Path(paths["certificate_path"]).write_text(module_bench.DAMAGED), "ca.crt: a PEM block is truncated"),
    (lambda paths: Path(paths["certificate_path"]).unlink(), "ca.crt: no such file"),
    (lambda paths: Path(paths["key_path"]).write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n"), "ca.key: is not a readable private key"),
    (lambda paths: Path(paths["key_path"]).unlink(), "ca.key: no such file"),
    (lambda paths: Path(paths["key_path"]).write_text(made.make_pair("/CN=other")[1]), "ca.key is not the key of CN=ca"),
    (lambda paths: Path(paths["key_path"]).write_text(made.openssl(
        ["pkcs8", "-topk8", "-passout", "pass:secret"], made.make_pair("/CN=ca")[1])), "ca.key: private key is encrypted"),
])
def test_a_broken_authority_is_named(bench, damage, problem):
    paths = authority(bench)
    damage(paths)
    bench.refuses([item(bench)], "authority kubernetes: ", problem, check=[False], authorities=[paths])
    if "no such file" not in problem:
        bench.refuses([item(bench)], "authority kubernetes: ", problem, authorities=[paths])


@pytest.mark.parametrize(("extensions", "problem"), [
    (made.LEAF, "ca.crt is not a CA certificate"),
    (made.NO_BASIC_CONSTRAINTS, "ca.crt is not a CA certificate"),
    ("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n", "ca.crt may not sign certificates"),
])
def test_what_is_no_ca_signs_nothing(bench, extensions, problem):
    bench.refuses([item(bench)], "authority kubernetes: ", problem, "may sign", authorities=[authority(bench, extensions=extensions)])


def test_an_expired_authority_signs_nothing(bench):
    paths = authority(bench)
    config = bench.root / "config"
    config.write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\npolicy=p\ndefault_md=sha256\n"
                      f"x509_extensions=x\n[p]\ncommonName=supplied\n[x]\n{made.CA}")
    (bench.root / "index").write_text("")
    (bench.root / "serial").write_text("01\n")
    made.openssl(["req", "-new", "-key", paths["key_path"], "-subj", "/CN=ca", "-out", str(bench.root / "ca.csr")])
    made.subprocess.run(["openssl", "ca", "-batch", "-selfsign", "-config", "config", "-keyfile", "ca.key", "-in", "ca.csr",
                         "-out", "ca.crt", "-notext", "-startdate", "20200101000000Z", "-enddate", "20210101000000Z"],
                        cwd=bench.root, check=True, capture_output=True)
    bench.refuses([item(bench)], "authority kubernetes: ", "ca.crt expired on 2021-01-01T00:00:00Z", authorities=[paths])


def test_a_signer_without_key_is_told_where_to_sign(bench):
    paths = {**authority(bench), "key_path": None}
    bench.refuses([item(bench)], "authority kubernetes: key_path is missing", "sign on the host", authorities=[paths])


def test_two_authorities_of_one_name_are_refused(bench):
    bench.refuses([item(bench)], "two have the same name", authorities=[authority(bench), authority(bench)])


def test_a_chain_must_begin_with_its_authority(bench):
    chained = {**authority(bench), "chain_path": bench.ca("other")["certificate_path"]}
    bench.refuses([item(bench)], "authority kubernetes: ", "other.crt does not begin with", authorities=[chained])
    chained["chain_path"] = str(bench.root / "absent")
    bench.refuses([item(bench)], "authority kubernetes: ", "absent: no such file", check=[False], authorities=[chained])


def test_a_damaged_request_or_delivery_is_refused(bench):
    asked = {**item(bench), "csr_content": "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n"}
    bench.refuses([asked], "apiserver: csr_content: ", "truncated", action="sign", authorities=[authority(bench)])
    given = {**item(bench), "certificate_content": module_bench.DAMAGED}
    bench.refuses([given], "apiserver: certificate_content: ", "truncated", action="install")
    empty = {**item(bench), "certificate_content": "nothing"}
    bench.refuses([empty], "apiserver: certificate_content", "holds no certificate", action="install")
