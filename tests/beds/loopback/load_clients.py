# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients of the load, closed-loop: each has one request under way at most, and a tick that comes too late is dropped.

An open-loop client starves a small machine and then reports time-outs of its own making.
"""

from __future__ import annotations

import http
import http.client
import json
import ssl
import threading
import typing as t
from pathlib import Path

from load_tally import KEPT, NEW, WATCH, Tally

NAMESPACE = "rekey-load"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
COUNTER = f"{CONFIGMAPS}/counter"
READ = f"/api/v1/namespaces/{NAMESPACE}"
ANSWER_SECONDS = 10.0
# Longer, and the server means more than the moment between its last request and its end.
LONGEST_RETRY_SECONDS = 5.0
WRITE_EVERY = 5
_ERROR_LENGTH = 200
_AFTER_FAILURE_SECONDS = 0.5

Address = tuple[str, int]
Stamp = tuple[tuple[int, int, int], ...]


def stamp_of(paths: t.Iterable[Path]) -> Stamp:
    """Return what changes when one of these files is replaced; :raises OSError: where one is not there."""
    return tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in (path.stat() for path in paths))


class Source(t.Protocol):
    """Where credentials come from."""

    def stamp(self) -> Stamp:
        """Return what changes when they are replaced; :raises OSError: where they are not there."""

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies servers in full and presents the client certificate; :raises OSError: where they are no pair."""


class Files(t.NamedTuple):
    """The files by which a client knows the servers and is known to them."""

    bundle: Path
    certificate: Path
    key: Path

    def stamp(self) -> Stamp:
        """Return what changes when a file is replaced."""
        return stamp_of(self)

    def context(self) -> ssl.SSLContext:
        """Return a context of these files."""
        context = strict_context()
        context.load_verify_locations(cafile=self.bundle)
        context.load_cert_chain(self.certificate, self.key)
        return context


def strict_context() -> ssl.SSLContext:
    """Return a context that verifies servers in full, and trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


class Credentials:
    """The files as they are now. Where they do not go together for a moment, halfway through a change, what went before is used."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._stamp: Stamp = ()
        self._context: ssl.SSLContext | None = None

    def current(self) -> tuple[ssl.SSLContext, Stamp]:
        """Return a context that verifies servers in full and presents the client certificate, and the stamp of its files.

        :raises OSError: when there has never been a pair that goes together.
        """
        with self._lock:
            try:
                stamp = self._source.stamp()
                if stamp != self._stamp:
                    self._context, self._stamp = self._source.context(), stamp
            except OSError:  # of which ssl.SSLError is one
                if self._context is None:
                    raise
            assert self._context is not None
            return self._context, self._stamp


class Refused(Exception):
    """An answer that is none of the good ones; ``retry_after`` in seconds where the server asks for patience with 429, else None."""

    def __init__(self, status: int, body: bytes, retry_after: str | None) -> None:
        super().__init__(f"HTTP {status}: {body[:_ERROR_LENGTH].decode('utf-8', 'replace')}")
        self.status = status
        asked = status == http.HTTPStatus.TOO_MANY_REQUESTS and retry_after is not None
        self.retry_after = min(float(retry_after or 0), LONGEST_RETRY_SECONDS) if asked else None


TROUBLE = (OSError, http.client.HTTPException, Refused)


def describe(trouble: BaseException) -> str:
    """Return a line that tells what went wrong."""
    return f"{type(trouble).__name__}: {trouble}"


class Request(t.NamedTuple):
    """A request of the load."""

    method: str
    path: str
    body: str = ""
    kind: str = "application/json"


class Connection:
    """One connection, made at its first request with the files as they are then."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        context, self.stamp = credentials.current()
        self._http = http.client.HTTPSConnection(*address, timeout=ANSWER_SECONDS, context=context)

    @property
    def is_open(self) -> bool:
        """Whether it is made, and the server has not said with its last answer that it closes it."""
        return self._http.sock is not None

    def ask(self, request: Request) -> bytes:
        """Return the body of a good answer.

        :raises OSError, http.client.HTTPException: when the connection fails.
        :raises Refused: for any other answer.
        """
        response = self.open(request)
        return response.read()

    def open(self, request: Request) -> http.client.HTTPResponse:
        """Return a good answer whose body is still to be read; errors as above."""
        self._http.request(request.method, request.path, body=request.body or None, headers={"Content-Type": request.kind})
        response = self._http.getresponse()
        if response.status not in (http.HTTPStatus.OK, http.HTTPStatus.CREATED):
            raise Refused(response.status, response.read(), response.headers.get("Retry-After"))
        return response

    def close(self) -> None:
        """Close it."""
        self._http.close()


def ask_once(address: Address, credentials: Credentials, request: Request) -> bytes:
    """Ask over a connection of its own; errors as :meth:`Connection.ask`."""
    connection = Connection(address, credentials)
    try:
        return connection.ask(request)
    finally:
        connection.close()


class Pace:
    """Ticks. One that is due while a request is under way comes at once afterwards; those that are due beside it are dropped."""

    def __init__(self, seconds: float, clock: t.Callable[[], float], offset: float = 0.0) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = clock() + offset

    def pause(self) -> float:
        """Return the seconds until the next tick."""
        now = self._clock()
        due = max(self._next, now)
        self._next = due + self._seconds
        return due - now


class Load(t.NamedTuple):
    """What all clients share."""

    balancer: Address
    credentials: Credentials
    tally: Tally
    stop: threading.Event

    def ticks(self, seconds: float, offset: float = 0.0) -> t.Iterator[int]:
        """Yield 0, 1, 2, … at this pace until the load is stopped."""
        pace = Pace(seconds, self.tally.now, offset)
        number = 0
        while not self.stop.wait(pace.pause()):
            yield number
            number += 1

    def count(self, client: str, address: Address, request: Request) -> None:
        """Ask over a connection of its own and count how it went."""
        self.counted(client, f"{request.method} {request.path}", lambda: ask_once(address, self.credentials, request))

    def counted(self, client: str, what: str, body: t.Callable[[], object]) -> None:
        """Do something that ends well or in trouble, and count how it went."""
        started, error = self.tally.now(), ""
        try:
            body()
        except TROUBLE as exc:
            error = f"{what}: {describe(exc)}"
        self.tally.request(client, started, error)


def new_connections(load: Load, seconds: float, offset: float) -> None:
    """Ask through the balancer over a new connection each; every fifth request writes. Nothing is retried."""
    for number in load.ticks(seconds, offset):
        write = Request("PATCH", COUNTER, json.dumps({"data": {"number": f"{offset}-{number}"}}), "application/merge-patch+json")
        load.count(NEW, load.balancer, write if number % WRITE_EVERY == 0 else Request("GET", READ))


def direct(load: Load, seconds: float, address: Address) -> None:
    """Ask one API server itself over a new connection each. Nothing is retried."""
    for _number in load.ticks(seconds):
        load.count(f"{address[0]}:{address[1]}", address, Request("GET", READ))


class Kept:
    """A client that keeps its connection through the balancer and, as client-go does, makes a new one when its files change.

    It retries once in two cases: the kept connection turns out to be dead, or the server says 429 and when to come back.
    It only reads: what a dead connection has written may have arrived, and client-go does not write twice either.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._connection: Connection | None = None

    def run(self, seconds: float) -> None:
        """Ask until the load is stopped."""
        for _number in self._load.ticks(seconds):
            self.once(Request("GET", READ))

    def once(self, request: Request) -> None:
        """Ask, with at most one retry, and count how it went."""
        tally, started, error = self._load.tally, self._load.tally.now(), ""
        try:
            self._with_one_retry(request)
        except TROUBLE as exc:
            error = f"{request.method} {request.path}: {describe(exc)}"
            self._forget()
        tally.request(KEPT, started, error)

    def _with_one_retry(self, request: Request) -> None:
        if self._connection and not (self._connection.is_open and self._connection.stamp == self._load.credentials.current()[1]):
            self._forget()
        kept = self._connection is not None
        try:
            self._ask(request)
            return
        except Refused as exc:
            if exc.retry_after is None:
                raise
            self._load.tally.retry(KEPT, describe(exc))
            self._load.stop.wait(exc.retry_after)
        except (ConnectionError, ssl.SSLEOFError, http.client.RemoteDisconnected) as exc:
            if not kept:
                raise
            self._load.tally.retry(KEPT, describe(exc))
        self._forget()
        self._ask(request)

    def _ask(self, request: Request) -> None:
        if self._connection is None:
            self._connection = Connection(self._load.balancer, self._load.credentials)
            self._load.tally.count(KEPT, "connections")
        self._connection.ask(request)

    def _forget(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class Watch:
    """A watch through the balancer on the object that is written. It is made again, from where it was, whenever it ends.

    Its end is no failure: servers end watches when they stop. That it cannot be made again is one.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._version = ""

    def run(self) -> None:
        """Watch until the load is stopped."""
        while not self._load.stop.is_set():
            self.once()

    def once(self) -> None:
        """List where need be, watch to the end, and count how it went."""
        tally, started, error = self._load.tally, self._load.tally.now(), ""
        connection = Connection(self._load.balancer, self._load.credentials)
        try:
            if not self._version:
                self._version = json.loads(connection.ask(Request("GET", CONFIGMAPS)))["metadata"]["resourceVersion"]
                tally.count(WATCH, "lists")
            response = connection.open(Request("GET", f"{CONFIGMAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={self._version}"))
        except Refused as exc:
            if exc.status == http.HTTPStatus.GONE:
                self._version = ""
            elif exc.retry_after is not None:
                tally.retry(WATCH, describe(exc))
                self._load.stop.wait(exc.retry_after)
            else:
                error = f"GET {CONFIGMAPS}?watch=1: {describe(exc)}"
        except TROUBLE as exc:
            error = f"GET {CONFIGMAPS}?watch=1: {describe(exc)}"
        else:
            tally.request(WATCH, started)
            self._follow(response, connection.stamp)
        connection.close()
        if error:
            tally.request(WATCH, started, error)
            self._load.stop.wait(_AFTER_FAILURE_SECONDS)

    def _follow(self, response: http.client.HTTPResponse, stamp: Stamp) -> None:
        """Read events until the watch ends, the load is stopped or the files change."""
        try:
            while not self._load.stop.is_set() and stamp == self._load.credentials.current()[1]:
                line = response.readline()
                if not line:
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    # 410 Gone: the version is too old; whatever else it is, listing anew is the cure.
                    self._version = ""
                    return
                self._version = event["object"]["metadata"]["resourceVersion"]
                self._load.tally.event()
        except (OSError, http.client.HTTPException, ValueError):
            return
