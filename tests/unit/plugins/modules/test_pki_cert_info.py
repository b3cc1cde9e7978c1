# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.modules import pki_cert_info


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True, text=True).stdout


def fingerprint(path: Path) -> str:
    return openssl("x509", "-in", str(path), "-noout", "-fingerprint", "-sha256").partition("=")[2].strip().replace(":", "").lower()


class Place(t.NamedTuple):
    """A directory in which openssl has made authorities old and new, and a leaf of each."""

    root: Path
    capsys: pytest.CaptureFixture

    def run(self, **options: t.Any) -> dict[str, t.Any]:
        with patch_module_args(options), pytest.raises(SystemExit):
            pki_cert_info.main()
        output = self.capsys.readouterr()
        assert not re.search("BEGIN [A-Z ]*PRIVATE KEY", output.out)
        for key in self.root.glob("*.key"):
            for line in re.findall(r"^[A-Za-z0-9+/=]{40,}$", key.read_text(), re.MULTILINE):
                assert line not in output.out
        result = json.loads(output.out)
        assert not result.get("changed")
        return result

    def path(self, name: str) -> str:
        return str(self.root / name)

    def certificate(self, given: t.Any, **options: t.Any) -> dict[str, t.Any]:
        return self.run(certificates=[given], **options)["certificates"][0]

    def kubeconfig(self, document: t.Any, **options: t.Any) -> dict[str, t.Any]:
        path = self.root / "kubeconfig"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return self.run(kubeconfigs=[str(path)], **options)["kubeconfigs"][0]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for generation in ("old", "new"):
        base = str(root / generation)
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
        openssl("req", "-x509", *curve, "-subj", f"/CN=kubernetes-ca@{generation}", "-days", "90",
                "-keyout", f"{base}.key", "-out", f"{base}.crt")
        openssl("req", "-new", *curve, "-subj", "/O=system:masters/CN=admin", "-keyout", f"{base}-leaf.key", "-out", f"{base}-leaf.csr")
        (root / "extensions").write_text("subjectAltName=DNS:api,IP:10.96.0.1\nextendedKeyUsage=clientAuth\n")
        openssl("x509", "-req", "-in", f"{base}-leaf.csr", "-CA", f"{base}.crt", "-CAkey", f"{base}.key", "-days", "9",
                "-set_serial", "4711", "-extfile", str(root / "extensions"), "-out", f"{base}-leaf.crt")
    return root


@pytest.fixture
def place(made, tmp_path, capsys) -> Place:
    for one in made.iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    return Place(tmp_path, capsys)


def test_a_certificate_says_what_openssl_reads(place):
    path = place.root / "old-leaf.crt"
    os.chmod(path, 0o640)
    found = place.certificate({"path": str(path), "key_path": place.path("old-leaf.key")})
    assert {name: found[name] for name in ("path", "exists", "error", "mode", "mtime")} == {
        "path": str(path), "exists": True, "error": None, "mode": "0640", "mtime": path.stat().st_mtime
    }
    assert found["key_matches"] is found["key_exists"] is True
    assert found["key_error"] is None
    assert found["chain"] == []
    facts = found["certificate"]
    assert facts["fingerprint_sha256"] == fingerprint(path)
    assert (facts["common_name"], facts["organizations"], facts["serial_number"]) == ("admin", ["system:masters"], "4711")
    assert facts["sans"] == {"dns": ["api"], "ip": ["10.96.0.1"], "uri": []}
    assert (facts["usages"], facts["is_ca"], facts["remaining_days"]) == (["client_auth"], False, 8)
    assert facts["issued_by"] is None


def test_results_come_in_input_order(place):
    paths = [place.path(name) for name in ("new.crt", "missing", "old.crt", "new.crt")]
    result = place.run(certificates=paths, bundles=paths)
    assert [one["path"] for one in result["certificates"]] == paths
    assert [one["path"] for one in result["bundles"]] == paths


def test_the_issuing_generation_is_named(place):
    authorities = [place.path("new.crt"), (place.root / "old.crt").read_text()]
    result = place.run(certificates=[place.path(name) for name in ("old-leaf.crt", "new-leaf.crt", "old.crt")], authorities=authorities)
    old, new = (fingerprint(place.root / f"{generation}.crt") for generation in ("old", "new"))
    assert [one["certificate"]["issued_by"] for one in result["certificates"]] == [old, new, old]
    assert place.certificate(place.path("old-leaf.crt"), authorities=[place.path("new.crt")])["certificate"]["issued_by"] is None


def test_an_authority_file_may_hold_several(place):
    (place.root / "both.crt").write_text((place.root / "new.crt").read_text() + (place.root / "old.crt").read_text())
    found = place.certificate(place.path("old-leaf.crt"), authorities=[place.path("both.crt")])
    assert found["certificate"]["issued_by"] == fingerprint(place.root / "old.crt")


def test_a_chain_follows_its_leaf(place):
    (place.root / "chain.crt").write_text((place.root / "old-leaf.crt").read_text() + (place.root / "old.crt").read_text())
    found = place.certificate(place.path("chain.crt"))
    assert found["certificate"]["common_name"] == "admin"
    assert [one["common_name"] for one in found["chain"]] == ["kubernetes-ca@old"]


@pytest.mark.parametrize("above", ["", "old.crt/"], ids=["no file", "a file where a directory should be"])
def test_a_missing_file_is_a_fact(place, above):
    path = place.path(f"{above}missing.crt")
    result = place.run(certificates=[{"path": path, "key_path": path}], bundles=[path], kubeconfigs=[path])
    for kind in ("certificates", "bundles", "kubeconfigs"):
        found = result[kind][0]
        assert (found["exists"], found["error"], found["mode"], found["mtime"]) == (False, None, None, None)
    found = result["certificates"][0]
    assert (found["certificate"], found["key_exists"], found["key_matches"], found["key_error"]) == (None, False, None, None)


def test_a_broken_certificate_is_a_fact(place):
    path = place.root / "broken.crt"
    whole = (place.root / "old-leaf.crt").read_text()
    nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for content, message in ((whole[:300], "truncated"), ("", "holds no certificate"), ("nonsense", "holds no certificate"),
                             (nonsense, "is not a valid certificate"), (whole + nonsense, "is not a valid certificate"),
                             ((place.root / "old.key").read_text(), "holds no certificate")):
        path.write_text(content)
        found = place.certificate({"path": str(path), "key_path": place.path("old-leaf.key")})
        assert (found["exists"], found["certificate"], found["key_matches"]) == (True, None, None)
        assert found["error"].startswith(f"{path}: ")
        assert message in found["error"]
    path.write_bytes(b"\xff\xfe\x00")
    assert "holds no certificate" in place.certificate(str(path))["error"]


def test_keys_match_do_not_match_or_cannot_be_read(place):
    path, key = place.path("old-leaf.crt"), place.root / "other.key"
    assert place.certificate({"path": path, "key_path": place.path("new-leaf.key")})["key_matches"] is False
    openssl("pkey", "-in", place.path("old-leaf.key"), "-aes256", "-passout", "pass:secret", "-out", str(key))
    for content, message in ((key.read_text(), "private key is encrypted"), ("nonsense", "is not a readable private key"),
                             (Path(place.path("old-leaf.key")).read_text()[:100], "is not a readable private key")):
        key.write_text(content)
        found = place.certificate({"path": path, "key_path": str(key)})
        assert found["key_matches"] is None
        assert found["key_error"] == f"{key}: {message}"
        assert found["certificate"]["common_name"] == "admin"
    found = place.certificate({"path": path, "key_path": None})
    assert (found["key_path"], found["key_exists"], found["key_matches"]) == (None, None, None)


def test_what_is_no_file_or_may_not_be_read_is_a_fact(place, monkeypatch):
    assert place.certificate(str(place.root))["error"] == f"{place.root}: is not a regular file"
    path = place.path("old-leaf.crt")

    def closed(asked: str, _item: str = "") -> bytes:
        raise PkiError("", f"{asked}: cannot be read: Permission denied", "check the mode")

    monkeypatch.setattr(files, "read", closed)
    found = place.certificate({"path": path, "key_path": place.path("old-leaf.key")})
    assert (found["exists"], found["error"]) == (True, f"{path}: cannot be read: Permission denied")
    assert found["key_error"] == f"{place.path('old-leaf.key')}: cannot be read: Permission denied"


def test_where_nothing_can_be_told_nothing_is(place, monkeypatch):
    real = os.stat

    def closed(path: t.Any, *arguments: t.Any, **options: t.Any) -> os.stat_result:
        if str(path).endswith("old-leaf.crt"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", closed)
    found = place.certificate(place.path("old-leaf.crt"))
    assert (found["exists"], found["error"]) == (None, f"{place.path('old-leaf.crt')}: cannot be looked at: Permission denied")


def test_a_bundle_lists_its_certificates_in_order(place):
    path = place.root / "ca.crt"
    path.write_text((place.root / "new.crt").read_text() + (place.root / "old.crt").read_text())
    found = place.run(bundles=[str(path)], authorities=[place.path("old.crt")])["bundles"][0]
    new, old = (fingerprint(place.root / f"{one}.crt") for one in ("new", "old"))
    assert [(one["fingerprint_sha256"], one["issued_by"]) for one in found["certificates"]] == [(new, None), (old, old)]
    assert found["error"] is None


def test_a_broken_bundle_is_a_fact(place):
    path = place.root / "ca.crt"
    whole = (place.root / "new.crt").read_text()
    for content, message in ((whole + whole[:200], "truncated"), ("", "holds no certificate"),
                             (whole + (place.root / "old.key").read_text(), "where only certificates belong")):
        path.write_text(content)
        found = place.run(bundles=[str(path)])["bundles"][0]
        assert (found["exists"], found["certificates"]) == (True, [])
        assert message in found["error"]


def inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_kubeconfig_by_files_and_one_inline_say_the_same(place):
    contexts = [{"name": "default", "context": {"cluster": "kubernetes", "user": "admin", "namespace": "kube-system"}}]
    by_file = place.kubeconfig({
        "clusters": [{"name": "kubernetes", "cluster": {"server": "https://lb:6443", "certificate-authority": "old.crt"}}],
        "users": [{"name": "admin", "user": {"client-certificate": "old-leaf.crt", "client-key": place.path("old-leaf.key")}}],
        "contexts": contexts, "current-context": "default",
    }, authorities=[place.path("old.crt")])
    by_data = place.kubeconfig(json.dumps({
        "clusters": [{"name": "kubernetes", "cluster": {"server": "https://lb:6443", "certificate-authority": "unused",
                                                        "certificate-authority-data": inline(place.root / "old.crt")}}],
        "users": [{"name": "admin", "user": {"client-certificate-data": inline(place.root / "old-leaf.crt"),
                                             "client-key-data": inline(place.root / "old-leaf.key")}}],
        "contexts": contexts, "current-context": "default",
    }), authorities=[place.path("old.crt")])
    assert by_file["contexts"] == [{"name": "default", "cluster": "kubernetes", "user": "admin", "namespace": "kube-system"}]
    assert by_file["clusters"][0].pop("certificate_authority_path") == place.path("old.crt")
    assert by_file["users"][0].pop("client_certificate_path") == place.path("old-leaf.crt")
    assert by_file["users"][0].pop("client_key_path") == place.path("old-leaf.key")
    assert by_data["clusters"][0].pop("certificate_authority_path") is None
    for path in ("client_certificate_path", "client_key_path"):
        assert by_data["users"][0].pop(path) is None
    for name in ("error", "current_context", "contexts", "clusters", "users"):
        assert by_file[name] == by_data[name]
    cluster, user = by_file["clusters"][0], by_file["users"][0]
    assert cluster["server"] == "https://lb:6443"
    assert [one["fingerprint_sha256"] for one in cluster["certificates"]] == [fingerprint(place.root / "old.crt")]
    assert user["certificate"]["issued_by"] == fingerprint(place.root / "old.crt")
    assert (user["key_matches"], user["error"], user["key_error"], cluster["error"]) == (True, None, None, None)


def test_users_without_certificates_and_skipped_verification(place):
    found = place.kubeconfig({
        "clusters": [{"name": "c", "cluster": {"server": "https://x", "insecure-skip-tls-verify": True, "tls-server-name": "api"}}],
        "users": [{"name": "token", "user": {"token": "very-secret"}}, {"name": "empty", "user": None}],
    })
    assert (found["clusters"][0]["insecure_skip_tls_verify"], found["clusters"][0]["tls_server_name"]) == (True, "api")
    for user in found["users"]:
        assert (user["certificate"], user["key_matches"], user["error"], user["key_error"]) == (None, None, None, None)
    assert found["current_context"] is None
    assert "very-secret" not in json.dumps(found)


def test_what_is_broken_in_a_kubeconfig_is_a_fact(place):
    found = place.kubeconfig({
        "clusters": [{"name": "missing", "cluster": {"certificate-authority": "none.crt"}},
                     {"name": "data", "cluster": {"certificate-authority-data": "%%%"}},
                     {"name": "empty", "cluster": {"certificate-authority-data": base64.b64encode(b"x").decode()}}],
        "users": [{"name": "pair", "user": {"client-certificate": "old-leaf.crt", "client-key": "new-leaf.key"}},
                  {"name": "missing", "user": {"client-certificate": "none.crt", "client-key": "none.key"}},
                  {"name": "data", "user": {"client-certificate-data": 7, "client-key-data": base64.b64encode(b"x").decode()}}],
    })
    assert [one["error"] for one in found["clusters"]] == [
        f"{place.path('none.crt')}: no such file", "certificate-authority-data: is not base64", "cluster empty: holds no certificate"
    ]
    pair, missing, data = found["users"]
    assert pair["key_matches"] is False
    assert missing["error"] == f"{place.path('none.crt')}: no such file"
    assert missing["key_error"] == f"{place.path('none.key')}: no such file"
    assert (data["error"], data["key_error"]) == ("client-certificate-data: is not base64", "user data: is not a readable private key")


@pytest.mark.parametrize("text", ["a: [", "just text", "- list", "clusters: {a: b}", "clusters: [{cluster: {}}]", "\x00"])
def test_what_is_no_kubeconfig_is_a_fact(place, text):
    found = place.kubeconfig(text)
    assert found["exists"] is True
    assert found["error"].startswith(place.path("kubeconfig"))
    assert (found["clusters"], found["users"], found["contexts"]) == ([], [], [])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"certificates": [{"path": "/x", "keypath": "/y"}]}, "/x: unknown option keypath (there are path, key_path)"),
        ({"certificates": [{"key_path": "/y"}]}, "path None is not a path"),
        ({"certificates": [{"path": "/x", "key_path": 7}]}, "/x: key_path 7 is not a path"),
        ({"certificates": [""]}, "'' is neither a path nor a dictionary"),
        ({"certificates": [7]}, "7 is neither a path nor a dictionary"),
        ({"authorities": ["/nonexistent.crt"]}, "authorities: /nonexistent.crt: no such file"),
        ({"authorities": ["-----BEGIN CERTIFICATE-----\nAAAA"]}, "authorities: entry 1: a PEM block is truncated"),
        ({"authorities": [os.devnull]}, "is not a regular file"),
    ],
)
def test_wrong_options_are_refused(place, options, message):
    assert message in place.run(**options)["msg"]


def test_an_authority_that_holds_none_is_refused(place):
    assert "holds no certificate" in place.run(authorities=[place.path("old.key")])["msg"]


def test_paths_may_start_at_home(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place.root))
    assert place.certificate({"path": "~/old-leaf.crt", "key_path": "$HOME/old-leaf.key"})["key_matches"] is True


def test_nothing_asked_nothing_told(place):
    assert {name: value for name, value in place.run().items() if name in ("certificates", "bundles", "kubeconfigs")} == {
        "certificates": [], "bundles": [], "kubeconfigs": []
    }
