# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Stopping and starting processes of a host: the API server goes first and comes back last, all others side by side in between.

An etcd member is never restarted under a running API server that may depend on it alone: that costs over a minute.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import stopping
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import processes
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.services import Manager, Service
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

START_SECONDS = 120

Before = t.Mapping[str, Service]


@contextlib.contextmanager
def carried_through() -> t.Iterator[None]:
    """Let no hang-up and no termination end this process meanwhile.

    When a person interrupts a play, ssh hangs up on the module that runs on the host; a host left with its processes stopped is no
    state to end in.
    """
    before = {number: signal.signal(number, lambda *_received: None) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(manager: Manager, services: t.Mapping[str, str]) -> Before:
    """Stop the processes and return what ran, once they are gone. Where one cannot be stopped all are started again.

    One that does not run is stopped as well: what starts it again and again shall not do so while files are written.

    :param services: process → service.
    :raises PkiError: when the service manager fails.
    """
    before = {process: manager.look(service) for process, service in services.items()}
    try:
        for group in stopping(services):
            for done in _together(manager.stop, [services[process] for process in group]):
                done.result()
    except Exception:
        for group in reversed(stopping(services)):
            _together(manager.start, [services[process] for process in group])
        raise
    return before


def start(manager: Manager, services: t.Mapping[str, str], before: Before) -> list[dict[str, t.Any]]:
    """Start the processes; return what was done to each. Whether they are ready is for the proof to tell.

    One that does not start keeps no other from being started.

    :raises PkiError: when the service manager fails, or when no younger process is seen within START_SECONDS.
    """
    def begin(process: str) -> Service:
        manager.start(services[process])
        return _young(manager, services[process], before[process])

    processes.pass_tick()
    begun: dict[str, concurrent.futures.Future[Service]] = {}
    for group in reversed(stopping(services)):
        begun.update(zip(group, _together(begin, group)))
    after = {process: done.result() for process, done in begun.items()}
    return [
        {"name": process, "changed": True, "pid": after[process].pid,
         "reasons": [f"process {before[process].pid} replaced" if before[process].running else "started"]}
        for process in services
    ]


def _together(do: t.Callable[[str], t.Any], names: t.Sequence[str]) -> list[concurrent.futures.Future[t.Any]]:
    """Do it for all names side by side; return what came of each once all have ended."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(names))) as pool:
        return [pool.submit(do, name) for name in names]


def _young(manager: Manager, name: str, before: Service) -> Service:
    def look() -> tuple[list[str], Service]:
        now = manager.look(name)
        young = now.running and (not before.running or (now.started or 0) > (before.started or 0))
        return ([] if young else ["no new process"]), now

    unmet, now, _waited = until(look, START_SECONDS, time.monotonic, time.sleep)
    if unmet:
        raise PkiError(name, f"no new process within {START_SECONDS} s", "see its log")
    return now
