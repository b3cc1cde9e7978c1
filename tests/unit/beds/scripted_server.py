# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TLS server that answers as its script says, with certificates made by openssl."""

from __future__ import annotations

import http.server
import json
import socketserver
import ssl
import subprocess
import threading
import typing as t
from pathlib import Path

NEW_KEY = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
LEAF = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\nsubjectAltName="


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True).stdout


def make_ca(folder: Path, name: str) -> None:
    openssl("req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign", "-days", "2",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")


def make_leaf(folder: Path, ca: str, name: str, san: str = "IP:127.0.0.1") -> None:
    request = openssl("req", "-new", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key")
    extensions = folder / f"{name}.extensions"
    extensions.write_text(LEAF + san)
    openssl("x509", "-req", "-CA", folder / f"{ca}.crt", "-CAkey", folder / f"{ca}.key", "-days", "1", "-extfile", extensions,
            "-out", folder / f"{name}.crt", given=request)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Answers 200 unless its script says otherwise; each entry of the script is used once."""

    daemon_threads = True

    def __init__(self, folder: Path, ca: str = "old", leaf: str = "server") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[t.Callable[[Handler], None]] = []
        self.seen: list[tuple[str, int, str]] = []  # request line, client's port, issuer of its certificate
        self.ended = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{leaf}.crt", folder / f"{leaf}.key")
        context.load_verify_locations(folder / f"{ca}.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.context = context
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.server_address[1])

    def end(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def get_request(self) -> t.Any:
        connection, address = super().get_request()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that goes away is none of the server's troubles."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        issuer = dict(entry[0] for entry in self.connection.getpeercert()["issuer"])["commonName"]
        self.server.seen.append((f"{self.command} {self.path}", self.client_address[1], issuer))
        assert body or self.command == "GET"
        usual = endless if "watch=1" in self.path else LIST
        (self.server.script.pop(0) if self.server.script else usual)(self)

    do_PATCH = do_POST = do_GET

    def log_message(self, *_arguments: t.Any) -> None:
        """Nothing: the test says what it needs."""


Script = t.Callable[[Handler], None]


def answer(status: int = 200, body: str = "{}", **headers: str) -> Script:
    def give(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return give


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def answer_then_hang_up(handler: Handler) -> None:
    # Without the header that announces it.
    answer()(handler)
    handler.close_connection = True


def events(*lines: dict[str, t.Any]) -> Script:
    def give(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for line in lines:
            handler.wfile.write(json.dumps(line).encode() + b"\n")
            handler.wfile.flush()

    return give


def event(version: str) -> dict[str, t.Any]:
    return {"type": "MODIFIED", "object": {"metadata": {"resourceVersion": version}}}


LIST = answer(body=json.dumps({"metadata": {"resourceVersion": "7"}}))


def endless(handler: Handler) -> None:
    events(event("8"))(handler)
    while not handler.server.ended.wait(0.02):
        handler.wfile.write(json.dumps(event("8")).encode() + b"\n")
