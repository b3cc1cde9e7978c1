# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a restart. Real service managers are restarted by the rotation test; here only the order is asked about."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import processes
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import restart as edge
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.services import Service
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError


class Book:
    """Writes down what a service manager is told; a stopped service is gone at once, a started one is younger at once."""

    def __init__(self, running: dict[str, int]) -> None:
        self.pids, self.said, self.starts = dict(running), [], 1.0

    def look(self, name: str) -> Service:
        """Return the service."""
        return Service(self.pids[name], self.starts * self.pids[name]) if self.pids.get(name) else Service(0, None)

    def stop(self, name: str) -> None:
        """Stop it."""
        self.said.append(("stop", name))
        self.pids[name] = 0

    def start(self, name: str) -> None:
        """Start it, unless it runs."""
        if not self.pids.get(name):
            self.said.append(("start", name))
            self.pids[name] = 100 + len(self.said)


def restart(book: Book, services: dict[str, str]) -> list[dict]:
    """Stop and start, with nothing in between."""
    return edge.start(book, services, edge.stop(book, services))


ALL = {"etcd": "etcd.service", "kube-apiserver": "api.service", "kube-scheduler": "scheduler.service"}


def test_the_api_server_goes_first_and_comes_back_last():
    book = Book(dict.fromkeys(ALL.values(), 7))
    done = restart(book, ALL)
    assert book.said[0] == ("stop", "api.service")
    assert sorted(book.said[1:3]) == [("stop", "etcd.service"), ("stop", "scheduler.service")]
    assert sorted(book.said[3:5]) == [("start", "etcd.service"), ("start", "scheduler.service")]
    assert book.said[5:] == [("start", "api.service")]
    assert [one["name"] for one in done] == list(ALL)
    assert {one["reasons"][0] for one in done} == {"process 7 replaced"}


def test_what_does_not_run_is_kept_from_starting_meanwhile():
    book = Book({"api.service": 7})
    done = {one["name"]: one["reasons"] for one in restart(book, ALL)}
    assert ("stop", "etcd.service") in book.said
    assert done == {"etcd": ["started"], "kube-scheduler": ["started"], "kube-apiserver": ["process 7 replaced"]}


def test_one_that_does_not_start_keeps_no_other_down(monkeypatch):
    class Failing(Book):
        """Its scheduler cannot be started."""

        def start(self, name: str) -> None:
            """Start it, unless it is the scheduler."""
            if name != "scheduler.service":
                super().start(name)

    monkeypatch.setattr(edge, "START_SECONDS", 0.3)
    book = Failing(dict.fromkeys(ALL.values(), 7))
    with pytest.raises(PkiError, match=r"scheduler.service: no new process"):
        restart(book, ALL)
    assert [name for name, pid in book.pids.items() if not pid] == ["scheduler.service"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_play_ends_no_window(number):
    done = []
    before = signal.getsignal(number)
    with edge.carried_through():
        os.kill(os.getpid(), number)
        done.append("all of it")
    assert done == ["all of it"]
    assert signal.getsignal(number) is before


def test_what_starts_right_after_a_write_is_seen_to_be_younger(tmp_path):
    """The kernel stamps starts in hundredths of a second, rounded down; a file's time is finer."""
    written = tmp_path / "ca.crt"
    for _number in range(20):
        written.write_text("new")
        processes.pass_tick()
        with subprocess.Popen(["sleep", "60"]) as process:
            born = processes.started(process.pid)
            process.kill()
        assert born >= written.stat().st_mtime


def test_where_one_cannot_be_stopped_nothing_stays_down():
    class Failing(Book):
        """Cannot stop etcd."""

        def stop(self, name: str) -> None:
            """Stop it, unless it is etcd."""
            if name == "etcd.service":
                raise PkiError(name, "job failed", "see its journal")
            super().stop(name)

    book = Failing(dict.fromkeys(ALL.values(), 7))
    with pytest.raises(PkiError, match="job failed"):
        restart(book, ALL)
    assert all(book.pids.values())


def test_whatever_goes_wrong_in_a_stop_nothing_stays_down():
    class Failing(Book):
        """Has its manifests on another file system."""

        def stop(self, name: str) -> None:
            """Stop it, unless it is etcd."""
            if name == "etcd.service":
                raise OSError("Invalid cross-device link")
            super().stop(name)

    book = Failing(dict.fromkeys(ALL.values(), 7))
    with pytest.raises(OSError, match="cross-device"):
        restart(book, ALL)
    assert all(book.pids.values())
