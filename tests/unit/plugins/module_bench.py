# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder with openssl's CAs in it, and modules that run on it."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path
from types import ModuleType

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

DAMAGED = "-----BEGIN CERTIFICATE-----\nMIIB\n"


class Bench:
    """Runs one module; remembers all it says, so that a test can look for keys in it."""

    def __init__(self, module: ModuleType, option: str, root: Path, capsys: pytest.CaptureFixture) -> None:
        self.module, self.option, self.root, self.capsys, self.said = module, option, root, capsys, ""

    def run(self, items: list[dict[str, t.Any]], check: bool = False, diff: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Return what the module says."""
        arguments = {**options, self.option: items, "_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            self.module.main()
        output = self.capsys.readouterr()
        self.said += re.sub(r'"invocation":.*', "", output.out) + output.err
        return json.loads(output.out)

    def four_ways(self, items: list[dict[str, t.Any]], **options: t.Any) -> dict[str, t.Any]:
        """Return what the run says, after check mode foretold it and before two more runs found nothing to do."""
        before = self.snapshot()
        foretold = self.run(items, check=True, **options)
        assert self.snapshot() == before
        done = self.run(items, **options)
        assert reasons(foretold) == reasons(done)
        assert (foretold["changed"], done["changed"]) == (True, True)
        after = self.snapshot()
        for check in (False, True):
            again = self.run(items, check=check, **options)
            assert again["changed"] is False
            assert all(result["reasons"] == [] for result in again["results"])
        assert self.snapshot() == after
        return done

    def refuses(self, items: list[dict[str, t.Any]], *words: str, check: t.Sequence[bool] = (True, False), **options: t.Any) -> None:
        """Check that the module fails with these words in its message and changes nothing on disk."""
        for mode in check:
            before = self.snapshot()
            said = self.run(items, check=mode, **options)
            assert said["failed"] is True
            assert [word for word in words if word not in said["msg"]] == []
            assert said["msg"].endswith(")")
            assert self.snapshot() == before

    def snapshot(self) -> dict[str, t.Any]:
        """Return every file with what a write would change."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        return found

    def ca(self, name: str = "ca", **options: t.Any) -> dict[str, str]:
        """Write a CA that openssl made and return its paths."""
        certificate, key = made.make_pair(f"/CN={name}", **options)
        paths = {"certificate_path": str(self.root / f"{name}.crt"), "key_path": str(self.root / f"{name}.key")}
        Path(paths["certificate_path"]).write_text(certificate)
        Path(paths["key_path"]).write_text(key)
        Path(paths["key_path"]).chmod(0o600)
        return paths

    def no_key_was_said(self) -> None:
        """Check that no line of any key on disk was ever printed."""
        keys = [path.read_text() for path in self.root.rglob("*") if path.is_file() and "PRIVATE KEY" in path.read_text()]
        lines = {line for key in keys for line in key.splitlines() if not line.startswith("-----")}
        assert lines
        assert [line for line in lines if line in self.said] == []
        assert "PRIVATE KEY" not in self.said


def reasons(said: dict[str, t.Any]) -> list[list[str]]:
    """Return the reasons of each result."""
    return [result["reasons"] for result in said["results"]]


def verify(certificate: str, anchors: str, *options: str) -> None:
    """Let openssl verify a certificate file; it fails the test otherwise."""
    assert made.openssl(["verify", "-x509_strict", "-CAfile", anchors, *options, certificate]).strip().endswith(": OK")


def printed(path: str, *options: str) -> str:
    """Return what openssl prints of a certificate file."""
    return made.openssl(["x509", "-in", path, "-noout", *options])


def is_pair(certificate: str, key: str) -> bool:
    """Say whether openssl finds one public key in both files."""
    return printed(certificate, "-pubkey") == made.openssl(["pkey", "-in", key, "-pubout"])
