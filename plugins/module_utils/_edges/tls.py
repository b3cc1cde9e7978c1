# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Asking a TLS endpoint directly, by fresh handshakes: what it serves, which client CAs it offers, whom it accepts."""

from __future__ import annotations

import http.client
import re
import ssl
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import NOT_FOUND, TIMED_OUT, Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

HANDSHAKE_SECONDS = 10
# At the end of its input s_client ends; run_command gives a command the module's own input, or fails when it ends before reading.
_S_CLIENT = 'exec timeout "$0" openssl s_client -connect "$1" ${2:+-servername "$2"} -showcerts -nameopt RFC2253 </dev/null'
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_OFFERS = re.compile(
    r"Acceptable client certificate CA names\n(.*?)\n(?:Requested Signature|Client Certificate Types|Peer signing|---)", re.DOTALL)
# An alert that means "I do not accept your certificate" (RFC 8446 section 6.2).
_REFUSALS = ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_UNKNOWN", "ALERT_CERTIFICATE_REQUIRED",
             "ALERT_ACCESS_DENIED", "ALERT_HANDSHAKE_FAILURE", "ALERT_CERTIFICATE_EXPIRED")


class Shown(t.NamedTuple):
    """What an endpoint shows to anybody: its chain as PEM texts, leaf first, and the client CAs it offers, as names."""

    chain: list[str]
    offers: list[str]


class Answer(t.NamedTuple):
    """What came of one request: an HTTP status, or why there is none (``refused`` by TLS alert, ``error`` for anything else)."""

    status: int
    body: bytes
    refused: str = ""
    error: str = ""


class Request(t.NamedTuple):
    """One HTTP request with a client certificate (paths) or without."""

    method: str
    path: str
    body: bytes = b""
    headers: t.Mapping[str, str] = {}
    certificate_path: str = ""
    key_path: str = ""


def shown(run: Run, address: str, port: int, server_name: str = "") -> Shown:
    """Return what the endpoint shows in a handshake without a client certificate.

    :param server_name: the name asked for (SNI); none where it is empty or an address.

    The openssl command line is used because Python's ssl module shows neither the chain (before 3.13) nor the offered CAs.
    :raises PkiError: when nothing answers or openssl is not installed.
    """
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    code, text, message = run(["sh", "-c", _S_CLIENT, str(HANDSHAKE_SECONDS), where, "" if server_name == address else server_name], "")
    if code == NOT_FOUND:
        raise PkiError(where, "openssl is not installed on this host", "install the openssl package")
    if code == TIMED_OUT:
        raise PkiError(where, f"no TLS handshake within {HANDSHAKE_SECONDS} s", "check the process")
    chain = _CERTIFICATE.findall(text)
    if not chain:
        reason = message.strip().splitlines()
        raise PkiError(where, f"no TLS handshake: {reason[-1] if reason else 'no answer'}", "check the process")
    offers = _OFFERS.search(text)
    return Shown(chain, offers.group(1).splitlines() if offers else [])


def ask(address: str, port: int, request: Request) -> Answer:
    """Send one request over a connection of its own.

    The server is not verified here: which certificate it serves is a question of its own (:func:`shown`), and nothing secret
    is sent but tokens that live for a minute, of an account without rights. TLS 1.2 is preferred because there a refused client
    certificate ends the handshake itself; in TLS 1.3 the refusal comes after the client's handshake has succeeded and may be lost
    in a reset connection.
    """
    try:
        return _ask(address, port, request, ssl.TLSVersion.TLSv1_2)
    except ssl.SSLError as exc:
        if exc.reason not in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"):
            return _failed(exc)
    except (OSError, http.client.HTTPException) as exc:
        return Answer(0, b"", error=str(exc) or type(exc).__name__)
    try:
        return _ask(address, port, request, ssl.TLSVersion.TLSv1_3)
    except ssl.SSLError as exc:
        return _failed(exc)
    except (OSError, http.client.HTTPException) as exc:
        return Answer(0, b"", error=str(exc) or type(exc).__name__)


def _failed(exc: ssl.SSLError) -> Answer:
    reason = exc.reason or str(exc)
    refused = any(reason.endswith(alert) for alert in _REFUSALS)
    return Answer(0, b"", refused=reason if refused else "", error="" if refused else reason)


def _ask(address: str, port: int, request: Request, newest: ssl.TLSVersion) -> Answer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    if request.certificate_path:
        context.load_cert_chain(request.certificate_path, request.key_path)
    connection = http.client.HTTPSConnection(address, port, timeout=HANDSHAKE_SECONDS, context=context)
    try:
        connection.request(request.method, request.path, body=request.body or None, headers=dict(request.headers))
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()
