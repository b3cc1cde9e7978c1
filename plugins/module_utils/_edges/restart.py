# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Restarting processes of a host: the API server goes first and comes back last, all others side by side in between.

An etcd member is never restarted under a running API server that may depend on it alone: that costs over a minute.
"""

from __future__ import annotations

import concurrent.futures
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.services import Manager, Service
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

START_SECONDS = 30
API_SERVER = "kube-apiserver"


def restart(manager: Manager, services: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    """Replace the running processes and start those that do not run; return what was done to each.

    A stop ends when the process is gone, a start when there is a younger one: whether that is ready is for the proof to tell.

    :param services: process → service.
    :raises PkiError: when the service manager fails, or when no younger process is seen within START_SECONDS.
    """
    before = {process: manager.look(service) for process, service in services.items()}
    first = [process for process in services if process == API_SERVER]
    others = [process for process in services if process != API_SERVER]
    try:
        for group in (first, others):
            _stop(manager, [services[process] for process in group if before[process].running])
    except PkiError:
        # One that cannot be stopped is no reason to leave the others down.
        for process in (*others, *first):
            manager.start(services[process])
        raise
    after = {process: _start(manager, services[process], before[process]) for process in (*others, *first)}
    return [
        {"name": process, "changed": True, "pid": after[process].pid,
         "reasons": [f"process {before[process].pid} replaced" if before[process].running else "started"]}
        for process in services
    ]


def _stop(manager: Manager, names: t.Sequence[str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(max(1, len(names))) as pool:
        for done in [pool.submit(manager.stop, name) for name in names]:
            done.result()


def _start(manager: Manager, name: str, before: Service) -> Service:
    manager.start(name)

    def look() -> tuple[list[str], Service]:
        now = manager.look(name)
        young = now.running and (not before.running or (now.started or 0) > (before.started or 0))
        return ([] if young else ["no new process"]), now

    unmet, now, _waited = until(look, START_SECONDS, time.monotonic, time.sleep)
    if unmet:
        raise PkiError(name, f"no new process within {START_SECONDS} s", "see its log")
    return now
