# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two directories that stand for an authority host and a destination, and openssl as the judge."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_key_copy

KEY_KINDS = {
    "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True, text=True).stdout


def spki_sha256(path: Path, *options: str) -> str:
    der = path.with_name("spki.der")
    openssl("pkey", "-in", str(path), *options, "-pubout", "-outform", "DER", "-out", str(der))
    digest = openssl("dgst", "-sha256", str(der)).split()[-1]
    der.unlink()
    return digest


def snapshot(directory: Path) -> dict[str, t.Any]:
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


def paths(directory: Path, base: str) -> dict[str, str]:
    return {"key_path": str(directory / f"{base}.key"), "public_path": str(directory / f"{base}.crt")}


class Bench:
    """An authority host and a destination, as two directories, and the module that runs on either."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture) -> None:
        self.authority, self.destination = root / "authority", root / "destination"
        self.root, self.capsys, self.said = root, capsys, ""
        for directory in (self.authority, self.destination):
            directory.mkdir()

    def run(self, action: str, *copies: dict[str, t.Any], check: bool = False, diff: bool = False) -> dict[str, t.Any]:
        arguments = {"action": action, "copies": list(copies), "_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            pki_key_copy.main()
        output = self.capsys.readouterr()
        self.said += output.out + output.err
        return json.loads(output.out)

    def pair(self, name: str = "ca", kind: str = "ecdsa") -> dict[str, t.Any]:
        key, certificate = self.authority / f"{name}.key", self.authority / f"{name}.crt"
        openssl("genpkey", *KEY_KINDS[kind], "-out", str(key))
        openssl("req", "-x509", "-new", "-key", str(key), "-subj", f"/CN={name}", "-days", "9", "-out", str(certificate))
        return {"name": "signer", "host": "cp1", "key_path": str(key), "public_path": str(certificate)}

    @property
    def there(self) -> dict[str, t.Any]:
        return {"name": "signer", "host": "cp1", **paths(self.destination, "signing-ca")}

    def sealed(self, pair: dict[str, t.Any], **request: t.Any) -> dict[str, t.Any]:
        asked = self.run("request", {**self.there, **request})["results"][0]
        result = self.run("seal", {**pair, "transport_public_key": asked["transport_public_key"]})["results"][0]
        return {**self.there, "sealed": result["sealed"], "public_content": result["public_content"]}

    def copied(self, pair: dict[str, t.Any]) -> dict[str, t.Any]:
        item = self.sealed(pair)
        assert self.run("install", item)["changed"]
        return item

    def no_key_was_said(self, *paths: str) -> None:
        for path in paths:
            body = re.sub(r"-----[A-Z ]+-----|\s", "", Path(path).read_text())
            lines = [line for line in Path(path).read_text().splitlines() if line and not line.startswith("-----")]
            assert body not in re.sub(r"\\n|\s", "", self.said)
            assert not [line for line in lines if line in self.said]
        assert "PRIVATE KEY" not in self.said
