# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether a process of a host answers as a ready one."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import tls

_ETCD_PORT = 2379
# The member's own state; the key of a canary would not do before the canaries are there.
_ETCD_STATUS = tls.Request("POST", "/v3/maintenance/status", b"{}", {"Content-Type": "application/json"})


def is_ready(on: hosts.Host, process: str) -> bool:
    """Ask the process's health check on its TLS endpoint; for etcd that includes a read through the quorum."""
    if process == "etcd":
        answer = _as_healthcheck(on, tls.Request("GET", "/health"))
        return answer.status == 200 and b'"true"' in answer.body
    row = next(row for row in hosts.processes(on) if row.name == process)
    if process == "kubelet":
        # It lets nobody unknown see its health; that it serves and knows who is unknown is what a stranger can see.
        return tls.ask(on.address, row.port, tls.Request("GET", "/healthz")).status in (200, 401, 403)
    return tls.ask(hosts.address(on, process), row.port, tls.Request("GET", row.ready)).status == 200


def etcd_leads(on: hosts.Host) -> bool:
    """Say whether the host's etcd member is the leader; False when it does not answer."""
    answer = _as_healthcheck(on, _ETCD_STATUS)
    if answer.status != 200:
        return False
    status: dict[str, t.Any] = json.loads(answer.body)
    return bool(status.get("leader") == status["header"]["member_id"])


def api_version(on: hosts.Host) -> str:
    """Return the version of the host's API server (``v1.37.2``), empty when it does not answer."""
    port = next(row.port for row in hosts.processes(on) if row.name == "kube-apiserver")
    answer = tls.ask(on.address, port, tls.Request("GET", "/version"))
    return str(json.loads(answer.body).get("gitVersion", "")) if answer.status == 200 else ""


def _as_healthcheck(on: hosts.Host, request: tls.Request) -> tls.Answer:
    base = hosts.pairs(on)["etcd-healthcheck-client"].base
    if not os.path.exists(f"{base}.crt"):
        return tls.Answer(0, b"", error=f"{base}.crt: no such file")
    return tls.ask(on.address, _ETCD_PORT, request._replace(certificate_path=f"{base}.crt", key_path=f"{base}.key"))
