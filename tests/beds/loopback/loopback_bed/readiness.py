# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking the running bed: is each process ready, who leads, does the balancer see it. Waiting for it, with a limit."""

from __future__ import annotations

import datetime
import http
import http.client
import json
import ssl
import time
import typing as t

import balancer_up
from loopback_bed import topology
from loopback_bed.errors import BedError
from loopback_bed.places import Bed
from loopback_bed.progress import Progress
from loopback_bed.supervision import Supervisor
from loopback_bed.topology import APISERVER, BALANCER, CONTROLLER_MANAGER, ETCD, SCHEDULER

LIMIT_SECONDS = 180
_POLL_SECONDS = 0.25
_ANSWER_SECONDS = 3
_LEASE_SECONDS = 15  # default of --leader-elect-lease-duration
_HEALTH_PATHS = {
    APISERVER: (topology.APISERVER_PORT, "/readyz"),
    CONTROLLER_MANAGER: (topology.CONTROLLER_MANAGER_PORT, "/healthz"),
    SCHEDULER: (topology.SCHEDULER_PORT, "/readyz"),
}


class Gate(t.NamedTuple):
    """Something to wait for; ``missing`` names what is not there yet."""

    name: str
    missing: t.Callable[[], list[str]]


def _anyone() -> ssl.SSLContext:
    # Health answers everyone; asking must work in the middle of a rotation too, whatever is served then.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _admin(bed: Bed) -> ssl.SSLContext:
    directory = bed.kubernetes_dir(topology.HOSTS[0].name)
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    context.load_cert_chain(directory / "admin.crt", directory / "admin.key")
    return context


def _get(address: str, port: int, path: str, context: ssl.SSLContext | None) -> tuple[int, bytes]:
    """Return status and body; status 0 where nobody answers."""
    connection = (http.client.HTTPSConnection(address, port, timeout=_ANSWER_SECONDS, context=context) if context
                  else http.client.HTTPConnection(address, port, timeout=_ANSWER_SECONDS))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def _etcd_ready(address: str) -> bool:
    status, body = _get(address, topology.ETCD_HEALTH_PORT, "/health", None)
    return status == http.HTTPStatus.OK and b'"health":"true"' in body.replace(b" ", b"")


def etcd_leads(host: topology.Host) -> bool:
    """Whether that host's etcd member is the leader."""
    return b"\netcd_server_is_leader 1" in _get(host.address, topology.ETCD_HEALTH_PORT, "/metrics", None)[1]


def ready(host: topology.Host, process: str) -> bool:
    """Whether that process of that host says that it is ready."""
    if process == ETCD:
        return _etcd_ready(host.address)
    port, path = _HEALTH_PATHS[process]
    return _get(host.address, port, path, _anyone())[0] == http.HTTPStatus.OK


def balanced(bed: Bed) -> list[str]:
    """Return the hosts whose API server the balancer uses; none where it does not run."""
    try:
        statistics = balancer_up.ask(str(bed.balancer_socket))
    except OSError:
        return []
    return [host.name for host in topology.hosts_of(APISERVER) if balancer_up.is_up(statistics, host.name)]


def _object(bed: Bed, path: str) -> t.Any:
    status, body = _get(topology.BALANCER_ADDRESS, topology.APISERVER_PORT, path, _admin(bed))
    return json.loads(body) if status == http.HTTPStatus.OK else {}


def lease_is_held(lease: t.Any, now: datetime.datetime) -> bool:
    """Whether a coordination.k8s.io/v1 Lease has a holder that renewed it within the lease's time."""
    spec = lease.get("spec", {})
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return False
    return now - datetime.datetime.fromisoformat(spec["renewTime"]) < datetime.timedelta(seconds=_LEASE_SECONDS)


def _leaderless(bed: Bed) -> list[str]:
    now = datetime.datetime.now(datetime.timezone.utc)
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"
    return [process for process in (CONTROLLER_MANAGER, SCHEDULER) if not lease_is_held(_object(bed, path + process), now)]


def _unpublished(bed: Bed) -> list[str]:
    published = _object(bed, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt").get("data", {}).get("ca.crt")
    return [] if published else ["kube-root-ca.crt"]


def _not_ready(process: str) -> list[str]:
    return [topology.program_name(host, process) for host in topology.hosts_of(process) if not ready(host, process)]


def _not_balanced(bed: Bed) -> list[str]:
    up = balanced(bed)
    return [host.name for host in topology.hosts_of(APISERVER) if host.name not in up]


def stages(bed: Bed) -> list[tuple[list[str], list[Gate]]]:
    """Return the start of a bed: programs to start, then what to wait for before the next ones."""
    def names(process: str) -> list[str]:
        return [topology.program_name(host, process) for host in topology.hosts_of(process)]

    return [
        (names(ETCD), [Gate("etcd members healthy", lambda: _not_ready(ETCD))]),
        ([*names(APISERVER), BALANCER], [Gate("API servers ready", lambda: _not_ready(APISERVER)),
                                         Gate("API servers UP in the balancer", lambda: _not_balanced(bed))]),
        ([*names(CONTROLLER_MANAGER), *names(SCHEDULER)], [
            Gate("controller-managers and schedulers ready", lambda: _not_ready(CONTROLLER_MANAGER) + _not_ready(SCHEDULER)),
            Gate("leaders elected", lambda: _leaderless(bed)),
            Gate("kube-root-ca.crt published in namespace default", lambda: _unpublished(bed))]),
    ]


def wait(gate: Gate, supervisor: Supervisor, bed: Bed, progress: Progress) -> None:
    """Wait until a gate is passed.

    :raises BedError: when it is not passed in time, or when a program has given up.
    """
    started = time.monotonic()
    while missing := gate.missing():
        waited = time.monotonic() - started
        given_up = [state.name for state in supervisor.states() if state.state == "FATAL"]
        if given_up:
            raise BedError(f"waiting for {gate.name}: {', '.join(given_up)} does not stay up", _where_to_look(bed))
        if waited > LIMIT_SECONDS:
            raise BedError(f"waited {LIMIT_SECONDS} s for {gate.name}; not yet: {', '.join(missing)}", _where_to_look(bed))
        progress.still(f"  {gate.name}: waiting for {', '.join(missing)} ({waited:.0f} of {LIMIT_SECONDS} s)")
        time.sleep(_POLL_SECONDS)
    progress.say(f"  {gate.name}")


def _where_to_look(bed: Bed) -> str:
    return f"Logs are in {bed.directory}/*/log; 'down' stops and removes this bed."
