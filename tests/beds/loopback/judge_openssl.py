# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the openssl command says of certificates and endpoints. Nothing of the collection is used."""

from __future__ import annotations

import functools
import http
import re
import subprocess
import typing as t
from pathlib import Path

ANSWER_SECONDS = 15
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
ACCEPTED = "accepted"
REFUSED = "refused"

_EXTENSIONS = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
# OpenSSL's words for the alerts by which a server turns a client certificate down (RFC 8446, 6.2).
_TURNED_DOWN = re.compile(r"alert (unknown ca|bad certificate|certificate unknown|certificate required|certificate expired|access denied)")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_TRIES = 5
_OWN_TRUST_ONLY = ("-no-CApath", "-no-CAstore")


class Client(t.NamedTuple):
    """A client certificate and its key."""

    certificate: Path
    key: Path


class Question(t.NamedTuple):
    """A request to an endpoint, and what an accepted client's headers add to it; ``within`` enters another network before."""

    address: str
    port: int
    path: str
    headers: tuple[str, ...] = ()
    body: str = ""
    within: tuple[str, ...] = ()


def run(*arguments: str | Path, given: str = "", within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run openssl; a failure is an answer like any other."""
    argv = [*within, "openssl", *arguments]
    return subprocess.run(argv, input=given, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS)


def need(*arguments: str | Path, given: str = "") -> str:
    """Run openssl and return its output.

    :raises subprocess.CalledProcessError: when it fails.
    """
    done = run(*arguments, given=given)
    done.check_returncode()
    return done.stdout


def new_key(path: Path) -> Path:
    """Make a key there."""
    need("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


def request(key: Path, subject: str) -> str:
    """Return a certificate signing request as PEM."""
    return need("req", "-new", "-key", key, "-subj", subject)


def client(folder: Path, ca: Client, key: Path, subject: str) -> Client:
    """Return a client certificate made by this CA for this subject."""
    extensions = folder / "extensions"
    extensions.write_text(_EXTENSIONS, encoding="utf-8")
    certificate = folder / f"client-{len(list(folder.iterdir()))}.crt"
    need("x509", "-req", "-CA", ca.certificate, "-CAkey", ca.key, "-days", "1", "-extfile", extensions, "-out", certificate,
         given=request(key, subject))
    return Client(certificate, key)


@functools.cache
def fingerprint(pem: str) -> str:
    """Return the SHA-256 fingerprint of a certificate."""
    return need("x509", "-noout", "-fingerprint", "-sha256", given=pem).strip().rpartition("=")[2]


def fingerprints(text: str) -> list[str]:
    """Return the fingerprints of all certificates in a text, in order."""
    return [fingerprint(pem) for pem in CERTIFICATE.findall(text)]


def from_ca(ca: Path, certificates: t.Sequence[Path]) -> list[Path]:
    """Return those files whose first certificate is this CA or was signed by it, expired or not."""
    if not certificates:
        return []
    said = run("verify", "-no_check_time", *_OWN_TRUST_ONLY, "-CAfile", ca, *certificates).stdout
    return [Path(line.removesuffix(": OK")) for line in said.splitlines() if line.endswith(": OK")]


def served_chain(address: str, port: int, within: tuple[str, ...] = ()) -> list[str]:
    """Return what the endpoint serves, leaf first; nothing where nobody answers."""
    done = run("s_client", "-connect", f"{address}:{port}", "-showcerts", within=within)
    return CERTIFICATE.findall(done.stdout)


def verifies(folder: Path, chain: t.Sequence[str], ca: Path, address: str) -> str:
    """Return why a server's chain is not good for this address under this CA alone, by the strict rules; "" where it is good."""
    leaf, rest = folder / "served-leaf.pem", folder / "served-rest.pem"
    leaf.write_text(chain[0], encoding="utf-8")
    rest.write_text("".join(chain[1:]), encoding="utf-8")
    more = ("-untrusted", rest) if chain[1:] else ()
    done = run("verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", address, *_OWN_TRUST_ONLY, "-CAfile", ca, *more, leaf)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip().replace("\n", "; ")


def ask(question: Question, using: Client) -> str:
    """Say whether an endpoint accepts a client certificate: ``accepted``, ``refused``, or else what happened instead.

    TLS 1.2, because there a refusal ends the handshake; in TLS 1.3 the client believes for a moment that all is well.
    A connection that breaks without an alert proves nothing and is tried again.
    """
    verdict = ""
    for _number in range(_TRIES):
        verdict = _ask(question, using)
        if verdict in (ACCEPTED, REFUSED):
            break
    return verdict


def _ask(question: Question, using: Client) -> str:
    lines = [f"{'POST' if question.body else 'GET'} {question.path} HTTP/1.1", f"Host: {question.address}", "Connection: close",
             *question.headers, f"Content-Length: {len(question.body)}", "", question.body]
    argv = [*question.within, "openssl", "s_client", "-connect", f"{question.address}:{question.port}", "-tls1_2", "-quiet",
            "-cert", using.certificate, "-key", using.key]
    try:
        done = subprocess.run(argv, input="\r\n".join(lines).encode(), capture_output=True, check=False, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer within {ANSWER_SECONDS} s"
    said = done.stderr.decode("utf-8", "replace")
    status = _STATUS.match(done.stdout)
    if status and int(status[1]) == http.HTTPStatus.OK:
        return ACCEPTED
    if (status and int(status[1]) == http.HTTPStatus.UNAUTHORIZED) or _TURNED_DOWN.search(said):
        return REFUSED
    return f"HTTP {status[1].decode()}" if status else " ".join(said.split())[-200:] or "no answer"
