# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates made and read by the openssl command, so that no test judges our reader by itself."""

from __future__ import annotations

import base64
import functools
import hashlib
import subprocess
import tempfile
from pathlib import Path

CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
CA_WITHOUT_KEY_ID = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n"
LEAF = "basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\n"
NO_BASIC_CONSTRAINTS = "subjectKeyIdentifier=hash\n"


def openssl(arguments: list[str], text: str = "") -> str:
    """Run openssl and return what it prints."""
    done = subprocess.run(["openssl", *arguments], input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode()


@functools.cache
def make_pair(subject: str, extensions: str = CA, key: str = "ec", multivalued: bool = False, generation: int = 0) -> tuple[str, str]:
    """Return certificate and key as PEM. *generation* tells two pairs with the same rest apart."""
    assert generation >= 0
    algorithm = ["rsa:2048"] if key == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config")
        config.write_text(f"[req]\ndistinguished_name=dn\nx509_extensions=wanted\nstring_mask=utf8only\nutf8=yes\n[dn]\n[wanted]\n{extensions}")
        openssl(["req", "-x509", "-nodes", "-newkey", *algorithm, "-utf8", "-subj", subject, "-config", str(config), "-days", "10",
                 *(["-multivalue-rdn"] if multivalued else []), "-keyout", f"{folder}/key", "-out", f"{folder}/certificate"])
        return Path(folder, "certificate").read_text(), Path(folder, "key").read_text()


def make_ca(name: str, extensions: str = CA, generation: int = 0) -> str:
    """Return a CA certificate with this common name as PEM."""
    return make_pair(f"/CN={name}", extensions, generation=generation)[0]


def der(pem: str) -> bytes:
    """Return the bytes of the only block of *pem*."""
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))


def fingerprint(pem: str) -> str:
    """Return what openssl holds for the SHA-256 fingerprint, lower-case hex."""
    return openssl(["x509", "-noout", "-fingerprint", "-sha256"], pem).strip().rpartition("=")[2].replace(":", "").lower()


def subject(pem: str) -> str:
    """Return what openssl holds for the subject in the form of RFC 4514."""
    return openssl(["x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8"], pem).rstrip("\n").partition("=")[2]


def key_sha256(pem: str) -> str:
    """Return the SHA-256 of the public key that openssl finds, lower-case hex."""
    public = openssl(["x509", "-noout", "-pubkey"], pem)
    return hashlib.sha256(der(public)).hexdigest()


def bundle_fingerprints(path: str) -> list[str]:
    """Return the fingerprints of what openssl loads from a bundle file, in order."""
    listed = openssl(["storeutl", "-certs", path])
    blocks = [f"-----BEGIN{rest}" for rest in listed.split("-----BEGIN")[1:]]
    return [fingerprint(block) for block in blocks]
