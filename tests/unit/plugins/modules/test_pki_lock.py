# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pki_lock: one run at a time, on the authority host and in the cluster."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_lock
from ansible_collections.rekey.kubernetes.tests.unit.plugins.fake_cluster import KUBECTL, FakeCluster

ALICE = {"run": "bastion.1.4711.9", "operator": "alice", "controller": "bastion"}
BOB = {"run": "laptop.1.815.9", "operator": "bob", "controller": "laptop"}
LEASE = ("lease", "rekey-kubernetes-rotation", "kube-system")


class Place:
    """Either kind of lock, asked as the module is."""

    def __init__(self, capsys, **options):
        self._capsys, self._options = capsys, options

    def ask(self, holder, state="present", **options):
        with patch_module_args({**self._options, "holder": holder, "state": state, **options}), pytest.raises(SystemExit):
            pki_lock.main()
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture(params=["file", "lease"])
def lock(request, capsys, tmp_path, monkeypatch):
    cluster = FakeCluster()
    monkeypatch.setattr(pki_lock, "runner", lambda _module: cluster.run)
    put = cluster.run

    def with_version(argv, stdin=""):
        answer = put(argv, stdin)
        if cluster.get(*LEASE):
            cluster.get(*LEASE)["metadata"].setdefault("resourceVersion", "1")
        return answer

    monkeypatch.setattr(cluster, "run", with_version)
    options = {"path": str(tmp_path / "rotation.lock")} if request.param == "file" else {"kubeconfig": "/k", "kubectl": KUBECTL}
    return Place(capsys, **options)


def test_a_second_run_is_refused_with_who_holds_it_and_since_when(lock):
    assert lock.ask(ALICE)["changed"]
    refused = lock.ask(BOB)
    assert refused["failed"]
    assert "alice on bastion since 20" in refused["msg"]
    assert "-e pki_rotate_break_lock=bastion.1.4711.9" in refused["msg"]
    assert refused["held_by"]["operator"] == "alice"
    assert lock.ask(BOB)["failed"], "a refusal takes nothing from who holds it"


def test_a_run_that_holds_it_may_ask_again_and_only_it_lets_go(lock):
    lock.ask(ALICE)
    assert not lock.ask(ALICE)["changed"]
    assert not lock.ask(BOB, state="absent")["changed"]
    assert lock.ask(BOB)["failed"]
    assert lock.ask(ALICE, state="absent")["changed"]
    assert not lock.ask(ALICE, state="absent")["changed"]
    assert lock.ask(BOB)["changed"]


def test_a_lock_is_broken_only_by_naming_the_run_that_holds_it(lock):
    lock.ask(ALICE)
    assert lock.ask(BOB, break_run="another.1.2.3")["failed"]
    assert lock.ask(BOB, break_run=ALICE["run"])["held_by"]["operator"] == "alice"
    assert lock.ask(ALICE)["failed"]


def test_check_mode_tells_and_takes_nothing(lock):
    assert lock.ask(ALICE, _ansible_check_mode=True)["changed"]
    assert lock.ask(BOB)["changed"]
    assert lock.ask(ALICE, _ansible_check_mode=True)["failed"]


def test_a_lock_that_nobody_can_read_is_somebodys(capsys, tmp_path):
    path = tmp_path / "rotation.lock"
    path.write_text("half a", encoding="utf-8")
    place = Place(capsys, path=str(path))
    assert "unknown on unknown" in place.ask(ALICE)["msg"]
    assert place.ask(ALICE, break_run="unknown")["changed"]


def test_the_file_is_nobody_elses_to_read_and_nothing_is_left_beside_it(capsys, tmp_path):
    place = Place(capsys, path=str(tmp_path / "rotation.lock"))
    place.ask(ALICE)
    assert [path.name for path in tmp_path.iterdir()] == ["rotation.lock"]
    assert (tmp_path / "rotation.lock").stat().st_mode & 0o777 == 0o600


def test_whoever_takes_it_removes_what_a_killed_run_has_left(capsys, tmp_path):
    (tmp_path / "etcd").mkdir()
    for left in (tmp_path / ".rekey-abc", tmp_path / "etcd" / ".rekey-def", tmp_path / "etcd" / "kept.key"):
        left.write_text("half a key", encoding="utf-8")
    Place(capsys, path=str(tmp_path / "rotation.lock")).ask(ALICE)
    assert sorted(path.name for path in tmp_path.glob("**/*") if path.is_file()) == ["kept.key", "rotation.lock"]


def test_the_journal_says_who_when_and_what(capsys, tmp_path):
    place = Place(capsys, path=str(tmp_path / "rotation.lock"), journal=str(tmp_path / "journal"))
    place.ask(ALICE)
    place.ask(BOB)
    place.ask(BOB, break_run=ALICE["run"])
    place.ask(BOB, state="absent", note={"stands_at": "trust"})
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["operator"], line["held_by"]) for line in lines] == [
        ("begins in place of another run", "bob", "alice"), ("ends", "bob", "bob")]
    assert lines[1]["stands_at"] == "trust"
    assert lines[1]["held_since"] <= lines[1]["time"]


def test_without_a_holder_it_says_how_to_be_called(capsys, tmp_path):
    with patch_module_args({"path": str(tmp_path / "rotation.lock")}), pytest.raises(SystemExit):
        pki_lock.main()
    assert "holder is missing" in json.loads(capsys.readouterr().out)["msg"]
