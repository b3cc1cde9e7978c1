# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.module_utils import _kubeconfig
from ansible_collections.rekey.kubernetes.plugins.modules import kubeconfig
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

TOKEN = "a-token-nobody-shall-see"


def run(capsys, kubeconfigs: list[dict], check: bool = False) -> dict:
    with patch_module_args({"kubeconfigs": kubeconfigs, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
        kubeconfig.main()
    text = capsys.readouterr().out
    assert TOKEN not in text
    assert "PRIVATE KEY" not in text
    return json.loads(text)


def both(capsys, kubeconfigs: list[dict]) -> dict:
    """Run in check mode, for real, and again; check that the first tells the truth and the last changes nothing."""
    paths = [Path(one["path"]) for one in kubeconfigs]
    before = [path.read_bytes() if path.exists() else None for path in paths]
    would = run(capsys, kubeconfigs, check=True)
    assert [path.read_bytes() if path.exists() else None for path in paths] == before
    did = run(capsys, kubeconfigs)
    assert would == did
    again = run(capsys, kubeconfigs)
    assert not again["changed"], again
    assert [one["reasons"] for one in again["results"]] == [[] for _one in paths]
    return did


def files_below(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {str(one): (one.read_bytes(), one.stat().st_mode, one.stat().st_mtime_ns) for one in folder.rglob("*") if one.is_file()}


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def pki(tmp_path) -> Path:
    folder = tmp_path / "pki"
    folder.mkdir()
    certificate, key = made.make_pair("/CN=client", made.LEAF)
    (folder / "ca.crt").write_text(made.make_ca("ca@old"))
    (folder / "client.crt").write_text(certificate)
    (folder / "client.key").write_text(key)
    (folder / "both.pem").write_text(certificate + key)
    return folder


def item(path: Path, pki: Path, embed: bool = False, **options: object) -> dict:
    return {
        "name": "admin", "path": str(path), "current_context": "default",
        "clusters": [{"name": "k", "server": "https://192.0.2.10:6443", "certificate_authority_path": str(pki / "ca.crt"), "embed": embed}],
        "users": [{"name": "u", "client_certificate_path": str(pki / "client.crt"), "client_key_path": str(pki / "client.key"),
                   "embed": embed}],
        "contexts": [{"name": "default", "cluster": "k", "user": "u", "namespace": "kube-system"}],
        **options,
    }


def test_a_kubeconfig_with_paths_is_made(capsys, tmp_path, pki):
    path = tmp_path / "config"
    did = both(capsys, [item(path, pki)])
    assert did["results"] == [{
        "name": "admin", "path": str(path), "changed": True, "reasons": ["missing"], "clusters": ["k"], "users": ["u"],
        "contexts": ["default"], "current_context": "default"}]
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(path) == {
        "apiVersion": "v1", "kind": "Config", "current-context": "default",
        "clusters": [{"name": "k", "cluster": {"server": "https://192.0.2.10:6443", "certificate-authority": str(pki / "ca.crt")}}],
        "users": [{"name": "u", "user": {"client-certificate": str(pki / "client.crt"), "client-key": str(pki / "client.key")}}],
        "contexts": [{"name": "default", "context": {"cluster": "k", "user": "u", "namespace": "kube-system"}}]}


@pytest.mark.parametrize("combined", [False, True])
def test_paths_become_inline_data_and_paths_again(capsys, tmp_path, pki, combined):
    path = tmp_path / "config"
    both(capsys, [item(path, pki)])
    wanted = item(path, pki, embed=True)
    if combined:
        wanted["users"][0].update(client_certificate_path=str(pki / "both.pem"), client_key_path=str(pki / "both.pem"))
    did = both(capsys, [wanted])
    document = read(path)
    user = document["users"][0]["user"]
    assert sorted(user) == ["client-certificate-data", "client-key-data"]
    assert base64.b64decode(user["client-certificate-data"]).decode() == (pki / "client.crt").read_text()
    assert base64.b64decode(user["client-key-data"]).decode() == (pki / "client.key").read_text()
    assert base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"]).decode() == (pki / "ca.crt").read_text()
    assert "user u: adds client-key-data (not shown)" in did["results"][0]["reasons"]
    shown = json.dumps(did)
    assert made.fingerprint((pki / "client.crt").read_text()) in shown
    assert user["client-key-data"] not in shown and (pki / "client.key").read_text().splitlines()[1] not in shown
    both(capsys, [item(path, pki)])
    assert sorted(read(path)["users"][0]["user"]) == ["client-certificate", "client-key"]


def test_authority_content_is_embedded_in_normal_form(capsys, tmp_path, pki):
    old, new = made.make_ca("ca@old"), made.make_ca("ca@new")
    path = tmp_path / "config"
    clusters = [{"name": "k", "server": "https://a", "certificate_authority_content": "# text\n" + new.rstrip() + "\n\n" + old}]
    both(capsys, [{"name": "c", "path": str(path), "clusters": clusters}])
    assert base64.b64decode(read(path)["clusters"][0]["cluster"]["certificate-authority-data"]).decode() == new + old


FOREIGN = {
    "apiVersion": "v1", "kind": "Config", "preferences": {"colors": True}, "x-unknown": {"a": [1, 2.5, None, "2026-11-22"]},
    "clusters": [
        {"name": "other", "cluster": {"server": "https://other", "proxy-url": "http://p", "extensions": [{"name": "e", "extension": {}}]}},
        {"name": "k", "cluster": {"server": "https://old", "insecure-skip-tls-verify": True, "disable-compression": True}}],
    "users": [{"name": "plugin", "user": {"exec": {"command": "get-token", "env": None}}}],
    "contexts": [{"name": "other", "context": {"cluster": "other", "user": "plugin"}}],
    "current-context": "other",
}


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_what_is_not_known_stays(capsys, tmp_path, pki, write):
    path = tmp_path / "config"
    path.write_text(write(FOREIGN))
    path.chmod(0o600)
    did = both(capsys, [{key: value for key, value in item(path, pki).items() if key != "current_context"}])
    after = read(path)
    assert {key: after[key] for key in ("preferences", "x-unknown", "current-context")} == {
        key: FOREIGN[key] for key in ("preferences", "x-unknown", "current-context")}
    assert after["clusters"][0] == FOREIGN["clusters"][0] and after["users"][0] == FOREIGN["users"][0]
    assert after["clusters"][1]["cluster"] == {
        "server": "https://192.0.2.10:6443", "disable-compression": True, "certificate-authority": str(pki / "ca.crt")}
    assert did["results"][0]["reasons"] == [
        f"cluster k: adds certificate-authority {pki}/ca.crt", "cluster k: removes insecure-skip-tls-verify",
        "cluster k: server becomes https://192.0.2.10:6443", "adds user u", "adds context default"]


def test_exact_removes_what_is_not_asked_for(capsys, tmp_path, pki):
    path, fresh = tmp_path / "config", tmp_path / "fresh"
    path.write_text(json.dumps(FOREIGN))
    both(capsys, [item(path, pki, exact=True), item(fresh, pki, name="fresh")])
    assert read(path) == read(fresh)


def test_entries_and_files_are_removed(capsys, tmp_path):
    path, gone = tmp_path / "config", tmp_path / "gone"
    for one in (path, gone):
        one.write_text(json.dumps(FOREIGN))
        one.chmod(0o600)
    absent = {"state": "absent"}
    did = both(capsys, [
        {"name": "entries", "path": str(path), "users": [{"name": "plugin", **absent}, {"name": "never there", **absent}],
         "clusters": [{"name": "other", **absent}], "contexts": [{"name": "other", **absent}]},
        {"name": "file", "path": str(gone), "state": "absent"}])
    assert did["results"][0]["reasons"] == [
        "removes cluster other", "removes user plugin", "removes context other", "current-context: 'other' becomes ''"]
    assert did["results"][1]["reasons"] == ["shall not be there"]
    assert [one["name"] for one in read(path)["clusters"]] == ["k"]
    assert read(path)["users"] == [] and not gone.exists()


def test_formatting_never_causes_a_change(capsys, tmp_path, pki):
    path = tmp_path / "config"
    both(capsys, [item(path, pki, embed=True)])
    document = read(path)
    document["clusters"][0]["cluster"]["certificate-authority-data"] = base64.encodebytes(
        (pki / "ca.crt").read_bytes().replace(b"\n", b"\r\n")).decode()
    path.write_text("# my own\n" + yaml.safe_dump({**document, "preferences": {}}, default_flow_style=True))
    before = files_below(tmp_path)
    assert not run(capsys, [item(path, pki, embed=True, exact=True)])["changed"]
    assert files_below(tmp_path) == before


def test_a_token_is_written_and_never_shown(capsys, tmp_path):
    path = tmp_path / "config"
    users = [{"name": "u", "token": TOKEN}]
    both(capsys, [{"name": "c", "path": str(path), "users": users}])
    assert read(path)["users"] == [{"name": "u", "user": {"token": TOKEN}}]


def test_a_mode_that_differs_is_a_change_of_its_own(capsys, tmp_path, pki):
    path = tmp_path / "config"
    both(capsys, [item(path, pki)])
    path.chmod(0o644)
    content = path.read_bytes()
    did = both(capsys, [item(path, pki)])
    assert did["results"][0]["reasons"] == [f"mode of {path} is 0644, not 0600"]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, 0o600)


def test_without_pyyaml_json_is_written_and_yaml_is_refused_by_name(capsys, monkeypatch, tmp_path, pki):
    path, old = tmp_path / "config", tmp_path / "old"
    old.write_text("clusters: []\n")
    monkeypatch.setattr(_kubeconfig, "HAS_YAML", False)
    both(capsys, [item(path, pki)])
    assert json.loads(path.read_text())["current-context"] == "default"
    did = run(capsys, [item(old, pki)])
    assert did["failed"] and did["msg"].startswith(f"admin: {old}: is not JSON, and this Python has no PyYAML")
    assert old.read_text() == "clusters: []\n"


def test_a_key_is_never_readable_by_others(capsys, monkeypatch, tmp_path, pki):
    path = tmp_path / "config"
    path.write_text("{}")
    path.chmod(0o644)
    seen = []
    original = os.rename

    def rename(source: str, destination: str) -> None:
        seen.append(os.stat(source).st_mode & 0o777)
        original(source, destination)

    monkeypatch.setattr(os, "rename", rename)
    run(capsys, [item(path, pki, embed=True)])
    assert seen == [0o600] and path.stat().st_mode & 0o777 == 0o600


def cluster(**options: object) -> dict:
    return {"clusters": [{"name": "k", "server": "https://a", **options}]}


def user(**options: object) -> dict:
    return {"users": [{"name": "u", **options}]}


BAD = {
    "relative path": ({"path": "config"}, "config: is not an absolute path"),
    "unquoted mode": ({"mode": "384"}, "is not four octal digits"),
    "unknown group": ({"group": "nobody-of-that-name"}, "no such user or group"),
    "no url": (cluster(server="192.0.2.10:6443"), "server '192.0.2.10:6443' is not a URL"),
    "no port": (cluster(server="https://a:port"), "is not a URL"),
    "two authorities": (
        cluster(certificate_authority_path="/x", certificate_authority_content="x"), "cluster k has certificate_authority_path and"),
    "relative authority": (cluster(certificate_authority_path="ca.crt"), "ca.crt: is not an absolute path"),
    "missing authority": (cluster(certificate_authority_path="/absent/ca.crt", embed=True), "/absent/ca.crt: no such file"),
    "authority is text": (
        cluster(certificate_authority_content="text"), "cluster k: certificate_authority_content: holds no PEM certificate"),
    "authority is a leaf": (cluster(certificate_authority_content=made.make_ca("leaf", made.LEAF)), "is not a CA certificate"),
    "truncated authority": (cluster(certificate_authority_content=made.make_ca("ca@old")[:-40]), "truncated or damaged"),
    "no key": (user(client_certificate_path="/x"), "user u has only one of client_certificate_path and client_key_path"),
    "missing key": (
        user(client_certificate_path="{pki}/client.crt", client_key_path="/absent/key", embed=True), "/absent/key: no such file"),
    "key is a certificate": (
        user(client_certificate_path="{pki}/client.crt", client_key_path="{pki}/client.crt", embed=True),
        "client.crt: holds no private key"),
    "certificate is a key": (
        user(client_certificate_path="{pki}/client.key", client_key_path="{pki}/client.key", embed=True),
        "client.key: holds no certificate"),
    "relative key": (user(client_certificate_path="/x", client_key_path="key"), "key: is not an absolute path"),
    "dangling context": ({"contexts": [{"name": "c", "cluster": "k", "user": "u"}]}, "context c names the cluster 'k', which is not there"),
    "dangling current context": ({"current_context": "c"}, "current_context 'c' is not there"),
    "cluster twice": ({"clusters": 2 * cluster()["clusters"]}, "asks for k more than once"),
    "unknown option": (cluster(certificate_authority="x"), "certificate_authority"),
    "same name": ({"name": "good"}, "two kubeconfigs have this name"),
    "same path": ({"path": "{pki}/../good"}, "is asked for twice"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("check", [True, False])
def test_bad_input_names_the_item_and_changes_nothing(capsys, tmp_path, pki, case, check):
    change, problem = BAD[case]
    (tmp_path / "good").write_text("{}")
    before = files_below(tmp_path)
    bad = json.loads(json.dumps({"name": "bad", "path": "{pki}/../bad", **change}).replace("{pki}", str(pki)))
    did = run(capsys, [item(tmp_path / "good", pki, name="good"), bad], check=check)
    assert did["failed"] and re.search(problem, did["msg"])
    assert case == "unknown option" or did["msg"].startswith(f"{bad['name']}: ")
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(("content", "problem"), [
    (b"users: [{name: a, user: {token: " + TOKEN.encode(), "is not YAML"),
    (b"- a list\n", "is not a mapping"),
    (b"users: [{name: a}, {name: a}]\n", "users has the name a more than once"),
    (b"\xff\xfe\x00", "is not UTF-8 text"),
])
def test_a_file_that_is_no_kubeconfig_is_left_as_it_is(capsys, tmp_path, pki, content, problem):
    path = tmp_path / "bad"
    path.write_bytes(content)
    before = files_below(tmp_path)
    did = run(capsys, [item(tmp_path / "good", pki, name="good"), item(path, pki)])
    assert did["failed"] and did["msg"].startswith(f"admin: {path}: {problem}")
    assert files_below(tmp_path) == before


def test_a_missing_directory_is_refused_but_in_check_mode_an_earlier_task_may_make_it(capsys, tmp_path, pki):
    asked = [item(tmp_path / "absent" / "config", pki)]
    assert "absent does not exist (create it first)" in run(capsys, asked)["msg"]
    assert run(capsys, asked, check=True)["changed"]
    assert not (tmp_path / "absent").exists()


def test_a_symlink_is_refused(capsys, tmp_path, pki):
    (tmp_path / "real").write_text("{}")
    (tmp_path / "link").symlink_to("real")
    did = run(capsys, [item(tmp_path / "link", pki)])
    assert did["failed"] and "is a symlink" in did["msg"]
    assert (tmp_path / "real").read_text() == "{}"
