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

import os
import sys
import threading
import typing as t

import load_clients as clients
import load_run
from load_tally import Tally
from loopback_bed import topology
from loopback_bed.places import bed_of


def stage(log: t.TextIO, stop: threading.Event) -> load_run.Stage:
    """Return the load of this bed."""
    directory = bed_of(os.environ).kubernetes_dir(topology.HOSTS[0].name)
    files = clients.Files(directory / "ca.crt", directory / "admin.crt", directory / "admin.key")
    balancer = (topology.BALANCER_ADDRESS, topology.APISERVER_PORT)
    direct = [(host.address, topology.APISERVER_PORT) for host in topology.hosts_of(topology.APISERVER)]
    load_run.check_addresses([balancer, *direct], [load_run.LOOPBACK])
    load = clients.Load(balancer, clients.Credentials(files), Tally(log), stop)
    return load_run.Stage(load, load_run.balanced_and_direct(load, direct))


if __name__ == "__main__":
    sys.exit(load_run.command(__doc__, stage))
