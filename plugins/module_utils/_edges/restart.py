# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Stopping and starting processes of a host: the API server goes first and comes back last, all others side by side in between.

An etcd member is never restarted under a running API server that may depend on it alone: that costs over a minute.
"""

from __future__ import annotations

import concurrent.futures
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import stopping
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import processes
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.services import Manager, Service
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

START_SECONDS = 120

Before = t.Mapping[str, Service]


def stop(manager: Manager, services: t.Mapping[str, str]) -> Before:
    """Stop the processes and return what ran, once they are gone. Where one cannot be stopped all are started again.

    :param services: process → service.
    :raises PkiError: when the service manager fails.
    """
    before = {process: manager.look(service) for process, service in services.items()}
    try:
        for group in stopping(services):
            _together(manager.stop, [services[process] for process in group if before[process].running])
    except PkiError:
        for process in services:
            manager.start(services[process])
        raise
    return before


def start(manager: Manager, services: t.Mapping[str, str], before: Before) -> list[dict[str, t.Any]]:
    """Start the processes; return what was done to each. Whether they are ready is for the proof to tell.

    :raises PkiError: when the service manager fails, or when no younger process is seen within START_SECONDS.
    """
    after = {}
    processes.pass_tick()
    for group in reversed(stopping(services)):
        _together(manager.start, [services[process] for process in group])
        after.update({process: _young(manager, services[process], before[process]) for process in group})
    return [
        {"name": process, "changed": True, "pid": after[process].pid,
         "reasons": [f"process {before[process].pid} replaced" if before[process].running else "started"]}
        for process in services
    ]


def _together(do: t.Callable[[str], None], names: t.Sequence[str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(max(1, len(names))) as pool:
        for done in [pool.submit(do, name) for name in names]:
            done.result()


def _young(manager: Manager, name: str, before: Service) -> Service:
    def look() -> tuple[list[str], Service]:
        now = manager.look(name)
        young = now.running and (not before.running or (now.started or 0) > (before.started or 0))
        return ([] if young else ["no new process"]), now

    unmet, now, _waited = until(look, START_SECONDS, time.monotonic, time.sleep)
    if unmet:
        raise PkiError(name, f"no new process within {START_SECONDS} s", "see its log")
    return now
