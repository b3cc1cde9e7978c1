# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load's clients against a TLS server that misbehaves as it is told to."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.tests.unit.beds.scripted_server import (
    LIST,
    Script,
    Server,
    answer,
    answer_then_hang_up,
    event,
    events,
    hang_up,
    make_ca,
    make_leaf,
)

import load_clients as clients
import load_run
from load_tally import KEPT, NEW, WATCH, Away, Tally


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for ca in ("old", "new"):
        make_ca(folder, ca)
        make_leaf(folder, ca, f"{ca}-client")
    make_leaf(folder, "old", "server")
    make_leaf(folder, "old", "misnamed", "IP:127.0.0.9")
    (folder / "both.crt").write_text((folder / "old.crt").read_text() + (folder / "new.crt").read_text())
    return folder


@pytest.fixture(name="files")
def fixture_files(folder: Path, tmp_path: Path) -> clients.Files:
    files = clients.Files(tmp_path / "ca.crt", tmp_path / "admin.crt", tmp_path / "admin.key")
    replace(files.bundle, folder / "old.crt")
    replace(files.certificate, folder / "old-client.crt")
    replace(files.key, folder / "old-client.key")
    return files


def replace(path: Path, source: Path) -> None:
    temporary = path.with_suffix(".temporary")
    temporary.write_text(source.read_text())
    temporary.replace(path)


@pytest.fixture(name="server")
def fixture_server(folder: Path) -> t.Iterator[Server]:
    server = Server(folder, ca="both")
    yield server
    server.end()


@pytest.fixture(name="on")
def fixture_on(server: Server, files: clients.Files) -> clients.Load:
    return clients.Load(server.address, clients.Credentials(files), Tally(io.StringIO()), threading.Event())


def client(on: clients.Load, name: str) -> dict[str, t.Any]:
    return on.tally.summary()["clients"][name]


GET = clients.Request("GET", "/")


def test_a_new_connection_for_every_request(server: Server, on: clients.Load) -> None:
    for _number in range(3):
        on.count(NEW, on.balancer, GET)
    assert len({port for _line, port, _issuer in server.seen}) == 3
    assert client(on, NEW)["requests"] == 3
    assert client(on, NEW)["failed"] == 0


@pytest.mark.parametrize("fault", [hang_up, answer(401), answer(429, Retry_After="0"), answer(500), answer(503)])
def test_a_new_connection_is_never_retried(server: Server, on: clients.Load, fault: Script) -> None:
    server.script = [fault]
    on.count(NEW, on.balancer, GET)
    assert len(server.seen) == 1
    assert (client(on, NEW)["failed"], client(on, NEW)["retries"]) == (1, 0)


def test_a_failure_is_written_down(server: Server, files: clients.Files) -> None:
    log = io.StringIO()
    on = clients.Load(server.address, clients.Credentials(files), Tally(log), threading.Event())
    server.script = [answer(500, "it broke")]
    on.count(NEW, on.balancer, GET)
    written = json.loads(log.getvalue())
    assert (written["client"], written["what"], written["why"]) == (NEW, "failed", "GET /: Refused: HTTP 500: it broke")


def test_every_fifth_request_writes(server: Server, on: clients.Load) -> None:
    worker = threading.Thread(target=clients.new_connections, args=(on, 0.01, 0.0))
    worker.start()
    wait_until(lambda: len(server.seen) >= 11)
    on.stop.set()
    worker.join(10)
    methods = [line.split()[0] for line, _port, _issuer in server.seen[:11]]
    assert methods == ["PATCH", "GET", "GET", "GET", "GET"] * 2 + ["PATCH"]


def wait_until(true: t.Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not within its time"
        threading.Event().wait(0.01)


def test_a_server_of_another_ca_is_a_failure(on: clients.Load, files: clients.Files, folder: Path) -> None:
    replace(files.bundle, folder / "new.crt")
    on.count(NEW, on.balancer, GET)
    assert client(on, NEW)["failed"] == 1


def test_a_server_of_another_name_is_a_failure(files: clients.Files, folder: Path) -> None:
    server = Server(folder, leaf="misnamed")
    on = clients.Load(server.address, clients.Credentials(files), Tally(io.StringIO()), threading.Event())
    on.count(NEW, on.balancer, GET)
    assert client(on, NEW)["failed"] == 1
    assert server.seen == []
    server.end()


def test_a_new_connection_uses_the_files_as_they_are(server: Server, on: clients.Load, files: clients.Files, folder: Path) -> None:
    on.count(NEW, on.balancer, GET)
    replace(files.key, folder / "new-client.key")
    on.count(NEW, on.balancer, GET)  # halfway: the pair does not match, the one before is used
    replace(files.certificate, folder / "new-client.crt")
    on.count(NEW, on.balancer, GET)
    assert [issuer for _line, _port, issuer in server.seen] == ["old", "old", "new"]
    assert client(on, NEW)["failed"] == 0


def test_kept_means_kept(server: Server, on: clients.Load) -> None:
    kept = clients.Kept(on)
    for _number in range(3):
        kept.once(GET)
    assert len({port for _line, port, _issuer in server.seen}) == 1


def test_a_kept_connection_is_left_when_the_files_change(server: Server, on: clients.Load, files: clients.Files, folder: Path) -> None:
    kept = clients.Kept(on)
    kept.once(GET)
    replace(files.key, folder / "new-client.key")
    replace(files.certificate, folder / "new-client.crt")
    kept.once(GET)
    assert [issuer for _line, _port, issuer in server.seen] == ["old", "new"]
    assert (client(on, KEPT)["failed"], client(on, KEPT)["retries"], client(on, KEPT)["connections"]) == (0, 0, 2)


@pytest.mark.parametrize("fault", [hang_up, answer(429, Retry_After="0")])
def test_a_kept_connection_retries_once(server: Server, on: clients.Load, fault: Script) -> None:
    kept = clients.Kept(on)
    kept.once(GET)
    server.script = [fault]
    kept.once(GET)
    assert (client(on, KEPT)["failed"], client(on, KEPT)["retries"], client(on, KEPT)["connections"]) == (0, 1, 2)
    server.script = [fault, fault]
    kept.once(GET)
    assert (client(on, KEPT)["failed"], client(on, KEPT)["retries"]) == (1, 2)


def test_a_connection_that_died_between_two_requests_is_retried(server: Server, on: clients.Load) -> None:
    kept = clients.Kept(on)
    server.script = [answer_then_hang_up]
    kept.once(GET)
    kept.once(GET)
    assert (client(on, KEPT)["requests"], client(on, KEPT)["failed"], client(on, KEPT)["retries"]) == (2, 0, 1)


def test_a_connection_that_was_announced_to_close_needs_no_retry(server: Server, on: clients.Load) -> None:
    kept = clients.Kept(on)
    server.script = [answer(Connection="close")]
    kept.once(GET)
    kept.once(GET)
    assert (client(on, KEPT)["failed"], client(on, KEPT)["retries"], client(on, KEPT)["connections"]) == (0, 0, 2)


@pytest.mark.parametrize("fault", [hang_up, answer(401), answer(429), answer(500)])
def test_a_fresh_connection_of_the_kept_client_is_not_retried(server: Server, on: clients.Load, fault: Script) -> None:
    server.script = [fault]
    clients.Kept(on).once(GET)
    assert (client(on, KEPT)["failed"], client(on, KEPT)["retries"]) == (1, 0)


def watched(server: Server) -> list[str]:
    return [line.rpartition("resourceVersion=")[2] for line, _port, _issuer in server.seen if "watch=1" in line]


def test_a_watch_goes_on_where_it_was(server: Server, on: clients.Load) -> None:
    watch = clients.Watch(on)
    server.script = [LIST, events(event("8"), event("9")), events(event("10")), hang_up]
    watch.once()
    watch.once()
    assert watched(server) == ["7", "9"]
    assert (client(on, WATCH)["events"], client(on, WATCH)["lists"], client(on, WATCH)["failed"]) == (3, 1, 0)


@pytest.mark.parametrize("gone", [answer(410), events({"type": "ERROR", "object": {"code": 410}})])
def test_a_watch_lists_anew_when_its_version_is_gone(server: Server, on: clients.Load, gone: Script) -> None:
    watch = clients.Watch(on)
    server.script = [LIST, gone, LIST, events(event("8"))]
    watch.once()
    watch.once()
    assert watched(server) == ["7", "7"]
    assert (client(on, WATCH)["lists"], client(on, WATCH)["failed"]) == (2, 0)


def test_a_watch_that_cannot_be_made_is_a_failure(server: Server, on: clients.Load) -> None:
    watch = clients.Watch(on)
    server.script = [hang_up, LIST, answer(500)]
    watch.once()
    watch.once()
    assert client(on, WATCH)["failed"] == 2


def test_a_watch_comes_back_after_429(server: Server, on: clients.Load) -> None:
    watch = clients.Watch(on)
    server.script = [LIST, answer(429, Retry_After="0"), events(event("8"))]
    watch.once()
    watch.once()
    assert watched(server) == ["7", "7"]
    assert (client(on, WATCH)["failed"], client(on, WATCH)["retries"]) == (0, 1)


def test_the_longest_gap_of_a_watch() -> None:
    times = iter([0.0, 1.0, 2.5, 3.0, 3.5])
    tally = Tally(io.StringIO(), lambda: next(times))
    for _number in range(3):
        tally.event()
    assert tally.summary()["clients"][WATCH]["longest_gap_seconds"] == 1.5


def test_seconds_away_run_from_the_first_failure_to_the_next_success() -> None:
    away = Away()
    for started, failed in ((0.0, False), (0.5, True), (1.0, True), (3.0, False), (3.5, True)):
        away.note(started, failed)
    assert away.seconds == 2.5
    assert away.seconds_until(5.0) == 4.0
    assert away.times == 2


def test_direct_requests_count_apart(server: Server, on: clients.Load) -> None:
    server.script = [answer(503)]
    on.count("127.0.0.1:1", on.balancer, GET)
    on.count("127.0.0.1:1", on.balancer, GET)
    summary = on.tally.summary()
    assert (summary["requests_total"], summary["requests_failed"]) == (0, 0)
    assert (summary["direct"]["127.0.0.1:1"]["requests"], summary["direct"]["127.0.0.1:1"]["failed"]) == (2, 1)


def test_ticks_that_come_too_late_are_dropped() -> None:
    now = [0.0]
    pace = clients.Pace(1.0, lambda: now[0])
    assert pace.pause() == 0.0
    assert pace.pause() == 1.0
    now[0] = 5.5  # a request that took long: the next one at once, then at the usual distance
    assert pace.pause() == 0.0
    assert pace.pause() == 1.0


def test_only_the_bed_is_ever_asked() -> None:
    load_run.check_addresses([("127.0.10.1", 6443), ("10.123.4.11", 6443)], [load_run.LOOPBACK, "10.123.4.0/24"])
    with pytest.raises(ValueError, match="10.123.5.11 is not an address of the bed"):
        load_run.check_addresses([("127.0.10.1", 6443), ("10.123.5.11", 6443)], [load_run.LOOPBACK, "10.123.4.0/24"])


def test_set_up_takes_what_is_there(server: Server, on: clients.Load) -> None:
    server.script = [answer(409), answer(200), answer(201)]
    load_run.set_up(on)
    assert [line for line, _port, _issuer in server.seen] == [
        "POST /api/v1/namespaces", f"GET {clients.READ}", f"POST {clients.CONFIGMAPS}"]


def stage(on: clients.Load, *direct: clients.Address) -> load_run.Stage:
    return load_run.Stage(on, load_run.balanced_and_direct(on, direct))


def stop_when(on: clients.Load, enough: t.Callable[[], bool]) -> threading.Thread:
    """Stop the load when there is enough, however long that takes on a busy machine."""
    watcher = threading.Thread(target=lambda: (wait_until(enough), on.stop.set()))
    watcher.start()
    return watcher


def test_all_clients_run_and_end(server: Server, on: clients.Load) -> None:
    def enough() -> bool:
        found = on.tally.summary()
        counted = [found["clients"][NEW]["requests"] >= 20, found["clients"][KEPT]["requests"] >= 3,
                   found["clients"][WATCH].get("events", 0) >= 3]
        return all(counted) and found["direct"].get(f"127.0.0.1:{server.address[1]}", {"requests": 0})["requests"] >= 2

    watcher = stop_when(on, enough)
    assert load_run.run(stage(on, server.address), 30)
    watcher.join()
    assert enough()
    assert on.tally.summary()["requests_failed"] == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_that_dies_is_told(server: Server, on: clients.Load) -> None:
    server.script = [answer(), answer(), *[events({"type": "MODIFIED"})] * 100]
    watcher = stop_when(on, lambda: on.tally.summary()["clients"][WATCH]["requests"] >= 1)
    assert not load_run.run(stage(on), 30)
    watcher.join()


def test_it_ends_by_itself(server: Server, on: clients.Load) -> None:
    began = time.monotonic()
    assert load_run.run(stage(on), 0.3)
    assert 0.3 <= time.monotonic() - began < 0.3 + 3 + 5


def test_the_command_says_what_keeps_it_from_running(loopback: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, loopback / "load.py", "--summary", tmp_path / "summary", "--log", tmp_path / "log"],
                          env={**os.environ, "REKEY_BED_DIR": str(tmp_path / "none")}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the bed cannot be used: FileNotFoundError" in done.stderr
