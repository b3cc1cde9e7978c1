# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a load on a bed, whichever it is: what it needs is made, its clients run until they are stopped, what they saw is written."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import ipaddress
import json
import os
import signal
import sys
import threading
import typing as t
from pathlib import Path

import load_clients as clients

NEW_WORKERS = 10
NEW_SECONDS = 0.44  # between two requests of a worker: 22.7 a second in all
KEPT_SECONDS = 0.2
DIRECT_SECONDS = 0.5
LONGEST_SECONDS = 3600
LOOPBACK = "127.0.0.0/8"
_SET_UP_SECONDS = 60
_END_SECONDS = 3

Body = t.Callable[[], None]
Summary = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A bed's load.

    :param bodies: its clients, each of which runs until the load is stopped.
    :param begin: called when the objects of the load are there, before the first client runs.
    :param finish: completes the summary when all clients have ended.
    """

    load: clients.Load
    bodies: t.Sequence[Body]
    begin: t.Callable[[], None] = lambda: None
    finish: t.Callable[[Summary], Summary] = lambda summary: summary


def check_addresses(addresses: t.Iterable[clients.Address], networks: t.Collection[str]) -> None:
    """Make sure that nothing but the bed is ever put under load.

    :param networks: this machine's own and the bed's.
    :raises ValueError: for any other address.
    """
    for address, _port in addresses:
        if not any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in networks):
            raise ValueError(f"{address} is not an address of the bed ({', '.join(networks)})")


def balanced_and_direct(load: clients.Load, direct: t.Iterable[clients.Address]) -> list[Body]:
    """Return the clients that every load has."""
    bodies: list[Body] = [
        functools.partial(clients.new_connections, load, NEW_SECONDS, number * NEW_SECONDS / NEW_WORKERS) for number in range(NEW_WORKERS)]
    bodies.append(functools.partial(clients.Kept(load).run, KEPT_SECONDS))
    bodies.append(clients.Watch(load).run)
    return [*bodies, *(functools.partial(clients.direct, load, DIRECT_SECONDS, address) for address in direct)]


def until_it_works(load: clients.Load, try_it: t.Callable[[], object]) -> None:
    """Try once a second until it works; :raises OSError, http.client.HTTPException, clients.Refused: when it does not within a minute."""
    deadline = load.tally.now() + _SET_UP_SECONDS
    for _number in load.ticks(1.0):
        try:
            try_it()
            return
        except clients.TROUBLE:
            if load.tally.now() > deadline:
                raise


def set_up(load: clients.Load) -> None:
    """Make the namespace and the object that the load reads and writes.

    :raises OSError, http.client.HTTPException, clients.Refused: when that is not possible in time.
    """
    wanted = ((clients.READ, "/api/v1/namespaces", {"metadata": {"name": clients.NAMESPACE}}),
              (clients.COUNTER, clients.CONFIGMAPS, {"metadata": {"name": "counter"}, "data": {"number": "0"}}))
    for path, parent, manifest in wanted:
        until_it_works(load, functools.partial(_make, load, path, clients.Request("POST", parent, json.dumps(manifest))))


def _make(load: clients.Load, path: str, request: clients.Request) -> None:
    try:
        clients.ask_once(load.balancer, load.credentials, request)
    except clients.TROUBLE:
        if not _is_there(load, path):
            raise


def _is_there(load: clients.Load, path: str) -> bool:
    try:
        clients.ask_once(load.balancer, load.credentials, clients.Request("GET", path))
    except clients.TROUBLE:
        return False
    return True


class Client(threading.Thread):
    """A client; one that dies of an error of its own proves nothing, and this tells."""

    def __init__(self, body: Body) -> None:
        super().__init__(target=body, daemon=True)
        self._ended = False

    def run(self) -> None:
        """Run until the load is stopped."""
        super().run()
        self._ended = True

    @property
    def died(self) -> bool:
        """Whether it ended by an error that it did not expect."""
        return not self.is_alive() and not self._ended


def write(path: Path, summary: Summary) -> None:
    """Write the summary, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def run(stage: Stage, seconds: float) -> bool:
    """Put the load on until it is stopped or the time is over; whether all clients were there to the end.

    :raises OSError, http.client.HTTPException, clients.Refused: when the load cannot begin.
    """
    load = stage.load
    load.credentials.current()
    set_up(load)
    stage.begin()
    load.tally.begin()
    workers = [Client(body) for body in stage.bodies]
    for worker in workers:
        worker.start()
    print("the load runs", flush=True)
    load.stop.wait(seconds)
    load.stop.set()
    deadline = load.tally.now() + _END_SECONDS
    for worker in workers:
        worker.join(max(0.0, deadline - load.tally.now()))
    return not any(worker.died for worker in workers)


def command(description: str, stage_of: t.Callable[[t.TextIO, threading.Event], Stage]) -> int:
    """Put the load on a bed; return 0 whatever was refused, for the summary tells that, and 1 where the load itself failed.

    :param stage_of: makes the load, given its log and the event that stops it.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", type=Path, required=True, help="where to write the summary, as JSON")
    parser.add_argument("--log", type=Path, required=True, help="where to write a line of JSON for each failure and retry")
    parser.add_argument("--seconds", type=float, default=LONGEST_SECONDS, help="end by itself after this time (default %(default)s)")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with arguments.log.open("w", encoding="utf-8") as log:
        try:
            stage = stage_of(log, stop)
            complete = run(stage, min(arguments.seconds, LONGEST_SECONDS))
        except clients.TROUBLE as exc:
            print(f"load: the bed cannot be used: {clients.describe(exc)}", file=sys.stderr)
            return 1
        write(arguments.summary, stage.finish(stage.load.tally.summary()))
    if not complete:
        print("load: a client has died, see above: what the others saw is not the whole truth", file=sys.stderr)
    return 0 if complete else 1
