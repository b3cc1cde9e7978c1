# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Service managers: stop, start and look at a service. One class each; all have the same three methods."""

from __future__ import annotations

import configparser
import functools
import http.client
import socket
import typing as t
import xmlrpc.client

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import processes
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

STOP_SECONDS = 120


class Service(t.NamedTuple):
    """A service as its manager sees it: ``pid`` 0 and ``started`` None when it is not running."""

    pid: int
    started: float | None

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.started is not None


class Manager(t.Protocol):
    """What a service manager can do for us."""

    def look(self, name: str) -> Service:
        """Return the service's main process."""

    def stop(self, name: str) -> None:
        """Stop it and return when its process is gone."""

    def start(self, name: str) -> None:
        """Start it; it need not be ready on return."""

    def flags(self, name: str) -> dict[str, str]:
        """Return the flags with a value that it is started with, as far as the manager knows them."""

    def check_flags(self, name: str, wanted: t.Mapping[str, str]) -> None:
        """Look whether ``set_flags`` could; :raises PkiError: where not."""

    def set_flags(self, name: str, wanted: t.Mapping[str, str]) -> bool:
        """Have it started with these flags from now on; say whether that is new. :raises PkiError: where they are not ours to set."""


class FlagsElsewhere:
    """For managers whose services get their flags from files that are not ours."""

    def flags(self, name: str) -> dict[str, str]:
        """Return nothing: they are not known."""
        return {}

    def check_flags(self, name: str, wanted: t.Mapping[str, str]) -> None:
        """Refuse; :raises PkiError: always."""
        raise PkiError(name, f"must be started with {', '.join(f'{flag}={value}' for flag, value in wanted.items())}", "set it in its unit")

    def set_flags(self, name: str, wanted: t.Mapping[str, str]) -> bool:
        """Refuse; :raises PkiError: always."""
        self.check_flags(name, wanted)
        return False


class Systemd(FlagsElsewhere):
    """systemd, by systemctl: there is no library that every distribution's Python has.

    A stop takes as long as the unit's TimeoutStopSec lets it.
    """

    def __init__(self, run: Run) -> None:
        self._run_command = run

    def look(self, name: str) -> Service:
        """Return the unit's main process."""
        pid = int(self._run("show", "--property=MainPID", "--value", name).strip() or 0)
        return Service(pid, processes.started(pid) if pid else None)

    def stop(self, name: str) -> None:
        """Stop the unit; systemctl returns when its processes are gone."""
        self._run("stop", name)

    def start(self, name: str) -> None:
        """Start the unit without waiting for a Type=notify readiness, which is asked for over TLS instead."""
        self._run("start", "--no-block", name)

    def _run(self, *arguments: str) -> str:
        code, output, message = self._run_command(["systemctl", *arguments], "")
        if code:
            raise PkiError(arguments[-1], f"systemctl {arguments[0]}: {message.strip()}", "see its journal")
        return output


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over the supervisor's unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: t.Any) -> http.client.HTTPConnection:
        """Connect to the socket, whatever the host says."""
        connection = http.client.HTTPConnection("localhost", timeout=STOP_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(STOP_SECONDS)
        connection.sock.connect(self._path)
        return connection


class Supervisor(FlagsElsewhere):
    """supervisord, by its XML-RPC interface (http://supervisord.org/api.html) on the socket that its configuration names."""

    def __init__(self, config_path: str) -> None:
        self._config_path = config_path

    @functools.cached_property
    def _rpc(self) -> t.Any:
        config = configparser.RawConfigParser()
        if not config.read(self._config_path):
            raise PkiError("supervisor", f"{self._config_path}: cannot be read", "set pki_supervisor_config")
        path = config.get("unix_http_server", "file")
        return xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(path)).supervisor

    def look(self, name: str) -> Service:
        """Return the program's process."""
        pid = int(self._call(name, lambda: self._rpc.getProcessInfo(name))["pid"])
        return Service(pid, processes.started(pid) if pid else None)

    def stop(self, name: str) -> None:
        """Stop the program and wait until its process is reaped; a stopped one stays stopped."""
        if self.look(name).pid:
            self._call(name, lambda: self._rpc.stopProcess(name, True))

    def start(self, name: str) -> None:
        """Start the program unless it runs."""
        if not self.look(name).pid:
            self._call(name, lambda: self._rpc.startProcess(name, False))

    def _call(self, name: str, call: t.Callable[[], t.Any]) -> t.Any:
        try:
            return call()
        except xmlrpc.client.Fault as exc:
            raise PkiError(name, f"supervisor: {exc.faultString}", f"look at supervisorctl -c {self._config_path} status") from exc
        except OSError as exc:
            raise PkiError(name, f"supervisor does not answer: {exc}", f"start it with {self._config_path}") from exc
