# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import key_copy as edge
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.tests.unit.plugins.key_copy_bench import Bench, openssl, paths, snapshot


@pytest.fixture
def bench(tmp_path, capsys) -> Bench:
    return Bench(tmp_path, capsys)


class TestBadInput:
    """Every error names the copy; nothing on disk has changed, not even for the good copy before the bad one."""

    def refused(self, bench, action: str, *copies: dict[str, t.Any], check: bool = False) -> str:
        before = snapshot(bench.root)
        result = bench.run(action, *copies, check=check)
        assert result["failed"] is True
        assert snapshot(bench.root) == before
        return result["msg"]

    def good(self, bench) -> dict[str, t.Any]:
        return {**bench.there, "name": "good", **paths(bench.destination, "good")}

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        "options, message",
        [
            ({"key_path": "{root}/link"}, "is a symlink"),
            ({"public_path": "{root}/link"}, "is a symlink"),
            ({"public_path": "{root}/destination"}, "is not a regular file"),
            ({"owner": "nobody-of-that-name"}, "no such user"),
            ({"key_mode": "0644"}, "key_mode 0644 opens the private key to others (use 0600 or 0640)"),
            ({"key_mode": "384"}, "key_mode '384' is not a mode"),
            ({"public_mode": "rw"}, "public_mode 'rw' is not a mode"),
            ({"wanted_public_sha256": "12:34"}, "wanted_public_sha256 '12:34' is not a SHA-256"),
            ({"public_content": "nonsense"}, "signer for cp1: public_content: holds no PEM block"),
            ({"name": "good"}, "good for cp1: is in the list twice"),
            ({"name": " "}, "a copy has an empty name"),
            ({"public_path": "{root}/destination/good.crt"}, "is used twice in the list"),
            ({"key_path": "{root}/destination/./good.key"}, "is used twice in the list"),
            ({"public_path": "{root}/destination/signing-ca.key.transport"}, "is used twice in the list"),
        ],
    )
    def test_request(self, bench, options, message, check):
        (bench.root / "link").symlink_to(bench.root / "nowhere")
        options = {name: value.format(root=bench.root) for name, value in options.items()}
        assert message in self.refused(bench, "request", self.good(bench), {**bench.there, **options}, check=check)

    def test_a_missing_directory_is_refused_but_in_check_mode_an_earlier_task_may_make_it(self, bench):
        copy = {**bench.there, "key_path": "/none/x.key"}
        assert "signer for cp1: /none/x.key: directory /none does not exist (create it first)" in self.refused(bench, "request", copy)
        assert bench.run("request", copy, check=True)["changed"]

    def test_a_transport_path_that_is_a_symlink_is_refused(self, bench):
        (bench.destination / "signing-ca.key.transport").symlink_to(bench.root / "nowhere")
        assert "transport: is a symlink" in self.refused(bench, "request", bench.there)

    def test_an_unknown_option_is_refused(self, bench):
        assert "keypath" in self.refused(bench, "request", {**bench.there, "keypath": "x"})

    def test_seal(self, bench):
        pair, other = bench.pair(), bench.pair("other")
        public = bench.run("request", bench.there)["results"][0]["transport_public_key"]
        good = {**pair, "transport_public_key": public}
        for options, message in (
            ({"transport_public_key": None}, "has no transport_public_key (run action=request on the destination first)"),
            ({"transport_public_key": ""}, "has no transport_public_key"),
            ({"transport_public_key": "nonsense"}, "transport_public_key is not a public key"),
            ({"host": None}, "has no host"),
            ({"host": "cp1"}, "is in the list twice"),
            ({"key_path": str(bench.authority / "none.key")}, "none.key: no such file"),
            ({"key_path": other["key_path"]}, "do not match"),
            ({"public_path": other["key_path"]}, "holds PRIVATE KEY where exactly one CERTIFICATE or PUBLIC KEY belongs"),
        ):
            assert message in self.refused(bench, "seal", good, {**good, "host": "cp2", **options})

    def test_seal_of_damaged_pairs(self, bench):
        pair = bench.pair()
        good = {**pair, "transport_public_key": bench.run("request", bench.there)["results"][0]["transport_public_key"]}
        key, public = Path(pair["key_path"]), Path(pair["public_path"])
        whole = public.read_text()
        public.write_text(whole * 2)
        assert "holds CERTIFICATE, CERTIFICATE where exactly one" in self.refused(bench, "seal", good)
        public.write_text(whole[: len(whole) // 2])
        assert "truncated" in self.refused(bench, "seal", good)
        public.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
        assert "is not a valid public key" in self.refused(bench, "seal", good)
        public.write_text(whole)
        openssl("pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(key) + ".encrypted")
        os.rename(str(key) + ".encrypted", key)
        assert "private key is encrypted" in self.refused(bench, "seal", good)

    def test_install(self, bench):
        pair, other = bench.pair(), bench.pair("other")
        good = bench.sealed(pair)
        foreign = Path(other["public_path"]).read_text()
        damaged = base64.b64encode(base64.b64decode(good["sealed"])[:-1] + b"\x00\x01").decode()
        for options, message in (
            ({"sealed": damaged}, "cannot be opened"),
            ({"sealed": "not base64!"}, "is not base64"),
            ({"sealed": None}, "the wanted key is not in place, and none is given in sealed"),
            ({"name": "another"}, "another for cp1: the sealed key cannot be opened"),
            ({"host": "cp2"}, "signer for cp2: the sealed key cannot be opened"),
            ({"host": None}, "signer: has no host"),
            ({"public_content": None}, "has no public_content"),
            ({"public_content": foreign}, "the sealed key and public_content do not match"),
            ({"public_content": good["public_content"] * 2}, "exactly one"),
            ({"public_content": good["public_content"][:200]}, "truncated"),
            ({"wanted_public_sha256": "0" * 64}, "wanted sha256:0000"),
        ):
            message_found = self.refused(bench, "install", {**good, **options})
            assert message in message_found
            assert "PRIVATE KEY" not in message_found
        os.rename(bench.destination / "signing-ca.key.transport", bench.root / "away")
        assert "signing-ca.key.transport: no such file, so sealed cannot be opened" in self.refused(bench, "install", good)
        bench.no_key_was_said(pair["key_path"])

    def test_one_bad_copy_stops_the_whole_batch(self, bench):
        good = bench.sealed(bench.pair())
        bad = {**good, "name": "bad", **paths(bench.destination, "bad")}
        assert "bad for cp1" in self.refused(bench, "install", good, bad)

    @pytest.mark.parametrize("spoilt", ["key_path", "public_path"])
    def test_a_file_that_cannot_be_read_is_named(self, bench, spoilt, monkeypatch):
        bench.copied(bench.pair())
        real = open

        def closed(path: t.Any, *arguments: t.Any, **options: t.Any) -> t.Any:
            if path == bench.there[spoilt]:
                raise PermissionError(13, "Permission denied")
            return real(path, *arguments, **options)

        monkeypatch.setattr("builtins.open", closed)
        with pytest.raises(PkiError, match=f"{bench.there[spoilt]}: cannot be read: Permission denied"):
            edge.plan_request(edge.from_options({**bench.there, "key_mode": "0600", "public_mode": "0644"}, "request"), False)
