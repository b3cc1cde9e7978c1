# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import grp
import itertools
import os
import pwd
import stat
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import batch_files, files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

CALLS = ("open", "unlink", "rename", "fsync", "fchmod", "close")


class PowerLoss(BaseException):
    """Ends the process between two system calls; nothing after it runs, not even a clean-up."""


def steps(folder: Path, pairs: int = 2) -> list[batch_files.Step]:
    """A key and a certificate for each pair; the last key is one that waits and is moved."""
    found: list[batch_files.Step] = []
    for number in range(pairs):
        key = files.Target(str(folder / f"{number}.key"), 0o600)
        if number == pairs - 1:
            pending = folder / f"{number}.key.pending"
            pending.write_text(f"new key {number}")
            pending.chmod(0o600)
            found.append(batch_files.Move(f"{key.path}.pending", key))
        else:
            found.append(batch_files.Write(key, f"new key {number}".encode()))
        found.append(batch_files.Write(files.Target(str(folder / f"{number}.crt"), 0o644), f"new certificate {number}".encode()))
    return found


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def around_each_call(monkeypatch, names, before=lambda _name: None, after=lambda _name: None) -> None:
    """Let something happen before and after each of these calls of the operating system."""
    def wrapped(name: str, real):
        def call(*arguments, **options):
            before(name)
            result = real(*arguments, **options)
            after(name)
            return result
        return call

    for name in names:
        monkeypatch.setattr(os, name, wrapped(name, getattr(os, name)))


def test_all_files_are_written_with_their_modes(tmp_path):
    batch_files.apply(steps(tmp_path, 10))
    assert contents(tmp_path) == {f"{number}.{kind}": f"new {word} {number}" for number in range(10)
                                  for kind, word in (("crt", "certificate"), ("key", "key"))}
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {".key": 0o600, ".crt": 0o644}


def test_nothing_to_do_is_done(tmp_path):
    batch_files.apply([])
    assert contents(tmp_path) == {}


def test_a_key_is_never_open_to_others_not_even_for_a_moment(tmp_path, monkeypatch):
    seen = []
    key = tmp_path / "0.key"
    key.write_text("old key")
    key.chmod(0o600)
    todo = steps(tmp_path)
    around_each_call(monkeypatch, CALLS, after=lambda _name: seen.extend(
        stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir() if ".key" in path.name))
    batch_files.apply(todo)
    assert set(seen) == {0o600}


def test_no_file_takes_its_place_before_all_are_on_the_disk(tmp_path, monkeypatch):
    order = []
    around_each_call(monkeypatch, ("fsync", "rename"), after=order.append)
    batch_files.apply(steps(tmp_path, 2))
    assert order == ["fsync"] * 3 + ["rename"] * 4 + ["fsync"]


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """End the process instead of its system call of this number."""
    counter = itertools.count()

    def strike(_name: str) -> None:
        if next(counter) >= number:
            raise PowerLoss

    around_each_call(monkeypatch, CALLS, before=strike)


def test_a_crash_leaves_each_file_old_or_new_and_no_certificate_before_its_key(tmp_path):
    for number in itertools.count():
        folder = tmp_path / str(number)
        folder.mkdir()
        todo = steps(folder)
        for name in ("0.key", "0.crt", "1.key", "1.crt"):
            (folder / name).write_text(f"old {name}")
        with pytest.MonkeyPatch.context() as monkeypatch:
            crash_at(monkeypatch, number)
            try:
                batch_files.apply(todo)
                finished = True
            except PowerLoss:
                finished = False
        found = contents(folder)
        new = [name for name in ("0.key", "0.crt", "1.key", "1.crt") if found[name].startswith("new ")]
        assert new == ["0.key", "0.crt", "1.key", "1.crt"][:len(new)]
        assert all(found[name] == f"old {name}" for name in ("0.key", "0.crt", "1.key", "1.crt") if name not in new)
        if finished:
            break
        leftover = [step for step in todo if not isinstance(step, batch_files.Move) or os.path.exists(step.source)]
        batch_files.apply(leftover)
        assert contents(folder) == {"0.key": "new key 0", "0.crt": "new certificate 0", "1.key": "new key 1", "1.crt": "new certificate 1"}
    assert number > 20


@pytest.mark.parametrize("failing", ["fsync", "rename", "open"])
def test_an_error_names_the_file_and_leaves_nothing_behind(tmp_path, monkeypatch, failing):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    (tmp_path / "0.key").write_text("old key")
    todo = steps(tmp_path)
    monkeypatch.setattr(os, failing, full)
    with pytest.raises(PkiError, match=r"\.(key|crt): cannot be written: No space left on device"):
        batch_files.apply(todo)
    assert contents(tmp_path) == {"0.key": "old key", "1.key.pending": "new key 1"}


def test_what_a_killed_run_left_behind_is_replaced_and_never_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / ".0.key.rekey-new").symlink_to(victim)
    (tmp_path / ".0.crt.rekey-new").write_text("left behind")
    batch_files.apply(steps(tmp_path))
    assert victim.read_text() == "untouched"
    assert not [name for name in contents(tmp_path) if "rekey" in name]


def test_a_replaced_file_stays_its_owners(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "fchown", lambda _descriptor, *ids: asked.append(ids))
    (tmp_path / "0.key").write_text("old key")
    (tmp_path / "1.key").write_text("old key")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    batch_files.apply(steps(tmp_path))
    assert asked == [(os.getuid(), os.getgid())] * 2


def test_owner_and_group_are_set_before_the_file_takes_its_place(tmp_path):
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    target = files.Target(str(tmp_path / "a.key"), 0o640, owner, group)
    batch_files.apply([batch_files.Write(target, b"key")])
    found = os.stat(target.path)
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (os.getuid(), os.getgid(), 0o640)
