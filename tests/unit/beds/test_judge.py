# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge is not blind: each thing that it must complain of is put before it, and each that it must not."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

import demo
import judge
import judge_openssl as openssl
import playing
from loopback_bed.places import Bed

OLD, NEW = "20260101T000000Z", "20261122T170000Z"
SERVER = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=IP:127.0.0.1
"""


def make_ca(folder: Path, authority: str, stamp: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    openssl.need("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2",
                 "-subj", f"/CN={authority}-ca@{stamp}", "-addext", "keyUsage=critical,keyCertSign",
                 "-keyout", folder / f"{stamp}.key", "-out", folder / f"{stamp}.crt")


@pytest.fixture(name="authority", scope="module")
def fixture_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority host's directory, with an old (retired) and a new generation of each authority."""
    directory = tmp_path_factory.mktemp("authority")
    for name in judge.SUBJECTS:
        make_ca(directory / name / "retired", name, OLD)
        make_ca(directory / name, name, NEW)
    return directory


@pytest.fixture(name="bed")
def fixture_bed(tmp_path: Path, authority: Path) -> Bed:
    bed = Bed(tmp_path / "bed")
    for host in ("n1", "n2", "n3"):
        bed.kubernetes_dir(host).mkdir(parents=True)
    (bed.directory / "authority").symlink_to(authority)
    (bed.kubernetes_dir("n1") / "ca.crt").write_text(ca(authority, NEW))
    return bed


@pytest.fixture(name="asking")
def fixture_asking(bed: Bed, tmp_path: Path) -> judge.Judge:
    folder = tmp_path / "judge"
    folder.mkdir()
    return judge.Judge(judge.scene_of(bed), folder)


def ca(authority: Path, stamp: str) -> str:
    folder = authority / "kubernetes" / ("retired" if stamp == OLD else "")
    return (folder / f"{stamp}.crt").read_text()


class Server(t.NamedTuple):
    process: subprocess.Popen[bytes]
    port: int


@pytest.fixture(name="server")
def fixture_server(authority: Path, tmp_path: Path) -> t.Iterator[Server]:
    """A server of openssl's own that serves and demands certificates of the new generation."""
    signing = authority / "kubernetes" / NEW
    (tmp_path / "extensions").write_text(SERVER)
    key = openssl.new_key(tmp_path / "server.key")
    openssl.need("x509", "-req", "-CA", f"{signing}.crt", "-CAkey", f"{signing}.key", "-days", "1", "-extfile", tmp_path / "extensions",
                 "-out", tmp_path / "server.crt", given=openssl.request(key, "/CN=server"))
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    process = subprocess.Popen(["openssl", "s_server", "-www", "-accept", f"127.0.0.1:{port}", "-cert", tmp_path / "server.crt",
                                "-key", key, "-Verify", "1", "-verify_return_error", "-CAfile", f"{signing}.crt"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    wait_until(lambda: answers(port))
    yield Server(process, port)
    process.kill()
    process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_until(true: t.Callable[[], bool]) -> None:
    for _number in range(400):
        if true():
            return
        threading.Event().wait(0.05)
    pytest.fail("not within its time")


def test_clients_are_accepted_and_refused(server: Server, asking: judge.Judge, tmp_path: Path) -> None:
    question = openssl.Question("127.0.0.1", server.port, "/")
    verdicts = {}
    for one in asking.generations["kubernetes"]:
        verdicts[one.stamp] = openssl.ask(question, openssl.client(tmp_path, one.ca, openssl.new_key(tmp_path / one.stamp), "/CN=judge"))
    assert verdicts == {OLD: openssl.REFUSED, NEW: openssl.ACCEPTED}


def test_silence_is_no_refusal(server: Server, asking: judge.Judge, tmp_path: Path) -> None:
    server.process.kill()
    server.process.wait()
    newest = asking.newest("kubernetes")
    using = openssl.client(tmp_path, newest.ca, openssl.new_key(tmp_path / "key"), "/CN=judge")
    verdict = openssl.ask(openssl.Question("127.0.0.1", server.port, "/"), using)
    assert verdict not in (openssl.ACCEPTED, openssl.REFUSED)
    assert "refused" in verdict  # the connection was; no certificate was


def test_what_is_served_is_verified_against_one_generation_alone(server: Server, asking: judge.Judge, tmp_path: Path) -> None:
    chain = openssl.served_chain("127.0.0.1", server.port)
    old, new = asking.generations["kubernetes"]
    assert openssl.verifies(tmp_path, chain, new.ca.certificate, "127.0.0.1") == ""
    assert "verification failed" in openssl.verifies(tmp_path, chain, old.ca.certificate, "127.0.0.1")
    assert "IP address mismatch" in openssl.verifies(tmp_path, chain, new.ca.certificate, "127.0.0.2")


@pytest.mark.parametrize(("verdicts", "accepted", "refused"), [
    ({OLD: "refused", NEW: "accepted"}, True, True),
    ({OLD: "accepted", NEW: "accepted"}, True, False),
    ({OLD: "refused", NEW: "refused"}, False, True),
    ({OLD: "no answer", NEW: "HTTP 403"}, False, False),
    ({NEW: "accepted"}, True, True),
    ({}, False, True),
])
def test_rows(verdicts: dict[str, str], accepted: bool, refused: bool) -> None:
    row = judge.Row("n1/etcd", "etcd", verdicts)
    assert (row.newest_accepted, row.others_refused) == (accepted, refused)


def test_an_endpoint_is_good_only_with_all_its_authorities() -> None:
    judged = judge.Judgement([judge.Row("n1/a", "kubernetes", {OLD: "refused", NEW: "accepted"}),
                              judge.Row("n1/a", "front-proxy", {OLD: "accepted", NEW: "accepted"})], [])
    assert judged.per_endpoint(lambda row: row.newest_accepted) == {"n1/a": True}
    assert judged.per_endpoint(lambda row: row.others_refused) == {"n1/a": False}


def test_files_of_the_new_generation_are_no_problem(bed: Bed, asking: judge.Judge) -> None:
    newest = asking.newest("kubernetes")
    leaf = openssl.client(bed.kubernetes_dir("n1"), newest.ca, openssl.new_key(bed.kubernetes_dir("n1") / "admin.key"), "/CN=admin")
    inline = base64.b64encode(leaf.certificate.read_bytes()).decode()
    (bed.kubernetes_dir("n2") / "admin.kubeconfig").write_text(f"users:\n- user:\n    client-certificate-data: {inline}\n")
    assert asking.file_problems() == []


@pytest.mark.parametrize("way", ["ca", "bundle", "leaf", "inline CA", "inline leaf", "unknown file"])
def test_what_is_left_of_the_old_generation_is_found(bed: Bed, asking: judge.Judge, authority: Path, tmp_path: Path, way: str) -> None:
    old = asking.generations["kubernetes"][0]
    leaf = openssl.client(tmp_path, old.ca, openssl.new_key(tmp_path / "key"), "/CN=admin").certificate.read_text()
    name, content = {
        "ca": ("ca.crt", old.pem),
        "bundle": ("ca.crt", ca(authority, NEW) + old.pem),
        "leaf": ("admin.crt", leaf),
        "inline CA": ("a.kubeconfig", f'{{"certificate-authority-data": "{base64.b64encode(old.pem.encode()).decode()}"}}'),
        "inline leaf": ("a.kubeconfig", f"client-certificate-data: {base64.b64encode(leaf.encode()).decode()}"),
        "unknown file": ("notes.txt", f"do not lose this:\n{leaf}"),
    }[way]
    path = bed.kubernetes_dir("n3") / name
    path.write_text(content)
    assert asking.file_problems() == [f"{path} holds kubernetes {OLD} or a certificate of it"]


def test_what_is_no_file_is_passed_over(bed: Bed, asking: judge.Judge) -> None:
    before = asking.file_problems()
    os.mkfifo(bed.kubernetes_dir("n3") / "pods-api.sock")
    assert asking.file_problems() == before


def test_a_key_left_behind_is_found(bed: Bed, asking: judge.Judge) -> None:
    path = bed.kubernetes_dir("n3") / "admin.key.pending"
    path.touch()
    assert asking.file_problems() == [f"{path} is left over"]


def test_a_host_without_certificates_proves_nothing(bed: Bed, asking: judge.Judge) -> None:
    (bed.kubernetes_dir("n1") / "ca.crt").unlink()
    assert asking.file_problems() == ["no certificate is found on any host"]


LOAD = {
    "requests_total": 100, "requests_failed": 0, "retries": 1, "new_connections_per_second": 25.0,
    "clients": {"new connections": {"requests": 90}, "kept connection": {"requests": 8},
                "watch": {"requests": 2, "longest_gap_seconds": 1.5}},
    "direct": {"127.0.10.1:6443": {"requests": 50, "failed": 3, "retries": 0, "times_away": 2, "seconds_away": 2.5}},
}
ROTATION = {"kubernetes_version": "v1.37.2", "duration_seconds": 150.0, "waiting_seconds": 100.0,
            "restarts": {"etcd": 6, "kube-apiserver": 6}, "phases": [{"name": "trust", "seconds": 70.0}], "changed": {}, "failed": []}
GOOD = judge.Judgement([judge.Row("n1/etcd", "etcd", {OLD: "refused", NEW: "accepted"})], [])


def outcome(load: dict[str, t.Any] | None = None, judged: judge.Judgement = GOOD, **rotation: t.Any) -> demo.Outcome:
    seen = {**LOAD, **(load or {})}
    return demo.Outcome(demo.summary({**ROTATION, **rotation}, seen, judged), seen, demo.problems(seen, judged))


def test_the_summary_has_the_promised_keys() -> None:
    assert set(outcome().summary) == {
        "kubernetes_version", "duration_seconds", "waiting_seconds", "requests_total", "requests_failed", "retries",
        "direct_requests_failed", "restarts", "phases", "old_generation_refused", "new_generation_accepted"}
    assert outcome().summary["direct_requests_failed"] == {"127.0.10.1:6443": {"requests": 50, "failed": 3, "seconds_away": 2.5}}
    assert outcome().summary["old_generation_refused"] == {"n1/etcd": True}


def test_a_failed_request_or_a_judge_s_problem_fails_the_demonstration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.show(outcome(), tmp_path)
    assert not demo.show(outcome({"requests_failed": 1}), tmp_path)
    assert not demo.show(outcome(judged=GOOD._replace(problems=["n1/etcd serves nothing"])), tmp_path)
    assert "PROBLEM: 1 of 100 requests through the balancer failed" in capsys.readouterr().out


def test_a_busy_machine_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.warnings(outcome()) == []
    assert demo.warnings(outcome(duration_seconds=40.0, waiting_seconds=0.0, restarts={})) == []
    assert demo.show(outcome({"new_connections_per_second": 12.5}, duration_seconds=151.0), tmp_path)
    said = capsys.readouterr().out
    assert "WARNING: the rotation took more than 1.5 times what it waited for processes" in said
    assert "WARNING: the load was 12.5 new connections a second, not 20" in said


def test_a_client_that_never_asked_is_a_problem() -> None:
    idle = {**LOAD["clients"], "watch": {"requests": 0, "longest_gap_seconds": 0.0}}
    assert outcome({"clients": idle}).problems == ["the load has no request of the watch"]


def test_a_kill_reaches_what_left_the_session() -> None:
    # As Ansible's workers do. Each line is one write: both processes share the pipe.
    program = "import os, time; pid = os.fork(); pid or os.setsid(); os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    ids = {int(process.stdout.readline()) for _number in range(2)}
    assert ids == {process.pid, *playing.descendants(process.pid)}
    playing.kill(process)
    process.stdout.close()
    wait_until(lambda: not any(lives(pid) for pid in ids))


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_command_needs_a_bed(loopback: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, loopback / "judge.py"], env={**os.environ, "REKEY_BED_DIR": str(tmp_path / "none")},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is no bed in" in done.stderr
