# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A load on the running bed that tells whether anybody was refused: ``load.py --summary FILE --log FILE``.

It stands for what uses a cluster:

* clients that make a **new connection** for every request, 22 times a second, through the balancer; every fifth one writes;
  nothing is retried and whatever is not answered with 200 is a failure;
* one client that **keeps its connection** through the balancer; it may retry once when the kept connection was closed, or on 429
  with Retry-After, as client-go does; retries are counted beside failures;
* one **watch** through the balancer, which is made again where it was;
* each API server asked **directly**, twice a second; here failures are expected while it restarts, and the seconds are told.

All of them are closed-loop: see load_clients.py. Servers are verified in full: chain, name, strict rules of X.509.

No client certificate of the old generation outlives a rotation, so a client that never looks at its files again must fail. These look
as client-go does: bundle, certificate and key are the files of host n1's administrator, and every new connection uses them as they are
on disk at that time. A kept connection is closed, between two requests, once the files have changed; client-go looks every few
minutes, these look at every request, because a run is over before client-go would have looked. An answer 401 is always a failure.

It runs until SIGTERM or SIGINT, at most --seconds, and writes its summary then. Only loopback addresses are ever asked.
"""

from __future__ import annotations

import argparse
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
from load_tally import Tally
from loopback_bed import topology
from loopback_bed.places import bed_of

NEW_WORKERS = 10
NEW_SECONDS = 0.44  # between two requests of a worker: 22.7 a second in all
KEPT_SECONDS = 0.2
DIRECT_SECONDS = 0.5
LONGEST_SECONDS = 3600
_SET_UP_SECONDS = 60
_END_SECONDS = 3


def check_loopback(addresses: t.Iterable[clients.Address]) -> None:
    """Make sure that no other machine is ever put under load.

    :raises ValueError: for any address that is not this machine's own.
    """
    for address, _port in addresses:
        if not ipaddress.ip_address(address).is_loopback:
            raise ValueError(f"{address} is not a loopback address")


def set_up(load: clients.Load) -> None:
    """Make the namespace and the object that the load reads and writes.

    :raises OSError, http.client.HTTPException, clients.Refused: when that is not possible in time.
    """
    wanted = ((clients.READ, "/api/v1/namespaces", {"metadata": {"name": clients.NAMESPACE}}),
              (clients.COUNTER, clients.CONFIGMAPS, {"metadata": {"name": "counter"}, "data": {"number": "0"}}))
    deadline = load.tally.now() + _SET_UP_SECONDS
    for path, parent, manifest in wanted:
        for _number in load.ticks(1.0):
            try:
                clients.ask_once(load.balancer, load.credentials, clients.Request("POST", parent, json.dumps(manifest)))
                break
            except clients.TROUBLE:
                if _is_there(load, path):
                    break
                if load.tally.now() > deadline:
                    raise


def _is_there(load: clients.Load, path: str) -> bool:
    try:
        clients.ask_once(load.balancer, load.credentials, clients.Request("GET", path))
    except clients.TROUBLE:
        return False
    return True


class Client(threading.Thread):
    """A client; one that dies of an error of its own proves nothing, and this tells."""

    def __init__(self, body: t.Callable[[], None]) -> None:
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


def threads(load: clients.Load, direct: t.Iterable[clients.Address]) -> list[Client]:
    """Return one thread for each client, not started."""
    bodies: list[t.Callable[[], None]] = [
        functools.partial(clients.new_connections, load, NEW_SECONDS, number * NEW_SECONDS / NEW_WORKERS) for number in range(NEW_WORKERS)]
    bodies.append(functools.partial(clients.Kept(load).run, KEPT_SECONDS))
    bodies.append(clients.Watch(load).run)
    bodies += [functools.partial(clients.direct, load, DIRECT_SECONDS, address) for address in direct]
    return [Client(body) for body in bodies]


def write(path: Path, summary: t.Mapping[str, t.Any]) -> None:
    """Write the summary, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def run(load: clients.Load, direct: t.Sequence[clients.Address], seconds: float) -> bool:
    """Put the load on until it is stopped or the time is over; whether all clients were there to the end.

    :raises OSError, http.client.HTTPException, clients.Refused: when the load cannot begin.
    """
    load.credentials.current()
    set_up(load)
    load.tally.begin()
    workers = threads(load, direct)
    for worker in workers:
        worker.start()
    print("the load runs", flush=True)
    load.stop.wait(seconds)
    load.stop.set()
    deadline = load.tally.now() + _END_SECONDS
    for worker in workers:
        worker.join(max(0.0, deadline - load.tally.now()))
    return not any(worker.died for worker in workers)


def main() -> int:
    """Put the load on the bed; return 0 whatever was refused, for the summary tells that, and 1 where the load itself failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", type=Path, required=True, help="where to write the summary, as JSON")
    parser.add_argument("--log", type=Path, required=True, help="where to write a line of JSON for each failure and retry")
    parser.add_argument("--seconds", type=float, default=LONGEST_SECONDS, help="end by itself after this time (default %(default)s)")
    arguments = parser.parse_args()
    directory = bed_of(os.environ).kubernetes_dir(topology.HOSTS[0].name)
    files = clients.Files(directory / "ca.crt", directory / "admin.crt", directory / "admin.key")
    balancer = (topology.BALANCER_ADDRESS, topology.APISERVER_PORT)
    direct = [(host.address, topology.APISERVER_PORT) for host in topology.hosts_of(topology.APISERVER)]
    check_loopback([balancer, *direct])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with arguments.log.open("w", encoding="utf-8") as log:
        load = clients.Load(balancer, clients.Credentials(files), Tally(log), stop)
        try:
            complete = run(load, direct, min(arguments.seconds, LONGEST_SECONDS))
        except clients.TROUBLE as exc:
            print(f"load: the bed cannot be used: {clients.describe(exc)}", file=sys.stderr)
            return 1
        write(arguments.summary, load.tally.summary())
    if not complete:
        print("load: a client has died, see above: what the others saw is not the whole truth", file=sys.stderr)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
