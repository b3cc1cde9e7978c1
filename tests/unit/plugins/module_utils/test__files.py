# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import subprocess
import typing as t

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

CALLS = ("open", "fchmod", "fchown", "chmod", "chown", "fsync", "rename", "unlink")
OLD, NEW = b"old content\n", b"new content, which is longer\n"


@pytest.fixture(autouse=True)
def open_umask() -> t.Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "file")


def put(path: str, content: bytes, mode: int) -> None:
    with open(path, "wb") as handle:
        handle.write(content)
    os.chmod(path, mode)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def own_names() -> dict[str, str]:
    return {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}


def record(monkeypatch, after_each: t.Callable[[str], None]) -> list[str]:
    calls = []

    def wrap(name: str) -> t.Callable[..., t.Any]:
        original = getattr(os, name)

        def call(*arguments, **named):
            result = original(*arguments, **named)
            calls.append(name)
            after_each(name)
            return result

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrap(name))
    return calls


@pytest.mark.parametrize("before", [None, 0o600, 0o644])
@pytest.mark.parametrize("names", [{}, own_names()])
def test_new_key_content_is_never_readable_by_others_between_two_calls(monkeypatch, tmp_path, path, before, names):
    if before is not None:
        put(path, OLD, before)
    seen = set()

    def look(_name: str) -> None:
        for name in os.listdir(tmp_path):
            with open(tmp_path / name, "rb") as handle:
                if handle.read() != OLD or name != "file":
                    seen.add(stat.S_IMODE(os.stat(tmp_path / name).st_mode))

    with monkeypatch.context() as patch:
        calls = record(patch, look)
        files.write(files.Target(path, files.KEY_MODE, **names), NEW)
    assert seen == {0o600}
    assert calls.index("fsync") < calls.index("rename") < len(calls) - 1 - calls[::-1].index("fsync")
    assert "chmod" not in calls


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_has_its_mode_when_it_gets_its_name(monkeypatch, path, mode):
    put(path, OLD, 0o666)
    seen = []
    original = os.rename

    def rename(source: str, destination: str) -> None:
        seen.append(mode_of(source))
        original(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        files.write(files.Target(path, mode), NEW)
    assert seen == [mode]
    assert mode_of(path) == mode


def die_after(number: int, target: files.Target) -> bool:
    """Write in a child process that dies before its call *number*; say whether it died."""
    child = os.fork()
    if child == 0:
        left = [number]

        def wrap(original: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
            def call(*arguments, **named):
                if left[0] == 0:
                    os._exit(9)
                left[0] -= 1
                return original(*arguments, **named)
            return call

        for name in CALLS:
            setattr(os, name, wrap(getattr(os, name)))
        files.write(target, NEW)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("before", [None, OLD])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_death_between_any_two_calls_leaves_the_old_or_the_new_file_whole(tmp_path, before, mode):
    outcomes = []
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = str(folder / "file")
        if before is not None:
            put(path, before, mode)
        died = die_after(number, files.Target(path, mode, **own_names()))
        found = files.read(path)
        assert found in (before, NEW)
        assert found is None or mode_of(path) == mode
        left = [name for name in os.listdir(folder) if name != "file"]
        assert all(name.startswith(".rekey-") for name in left)
        outcomes.append((died, found))
        if not died:
            break
    assert outcomes[0] == (True, before)
    assert outcomes[-1] == (False, NEW)
    assert (True, NEW) in outcomes


@pytest.mark.parametrize("name", ["fchmod", "fsync", "rename"])
def test_a_call_that_fails_leaves_the_old_file_and_no_other(monkeypatch, tmp_path, path, name):
    put(path, OLD, 0o644)

    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(PkiError, match=f"^item: {path}: cannot be written: No space left"):
            files.write(files.Target(path, 0o644), NEW, "item")
    assert files.read(path) == OLD
    assert os.listdir(tmp_path) == ["file"]


def test_reading_tells_a_missing_file_from_an_unreadable_one(path, tmp_path):
    assert files.read(path) is None
    with pytest.raises(PkiError, match=f"^item: {path}: no such file"):
        files.require(path, "item")
    with pytest.raises(PkiError, match=f"^item: {tmp_path}: cannot be read: Is a directory"):
        files.read(str(tmp_path), "item")
    put(path, OLD, 0o600)
    assert files.require(path) == OLD


def make_symlink(path: str) -> None:
    os.symlink("elsewhere", path)


def make_pipe(path: str) -> None:
    subprocess.run(["mkfifo", path], check=True)


@pytest.mark.parametrize(("make", "problem"), [
    (make_symlink, "is a symlink"), (make_pipe, "is not a regular file"), (os.mkdir, "is not a regular file")])
def test_a_target_that_is_no_file_is_refused(path, make, problem):
    make(path)
    with pytest.raises(PkiError, match=f"^item: {path}: {problem}"):
        files.check_target(files.Target(path, 0o600), "item")


def test_a_target_in_a_directory_that_is_missing_or_closed_is_refused(monkeypatch, path):
    with pytest.raises(PkiError, match="directory .*/absent does not exist"):
        files.check_target(files.Target(f"{path}/absent/file", 0o600), "item")
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    with pytest.raises(PkiError, match="is not writable"):
        files.check_target(files.Target(path, 0o600), "item")


@pytest.mark.parametrize("names", [{"owner": "nobody-of-that-name"}, {"group": "nobody-of-that-name"}])
def test_an_unknown_owner_is_refused(path, names):
    with pytest.raises(PkiError, match=f"^item: {path}: no such user or group"):
        files.check_target(files.Target(path, 0o600, **names), "item")


def test_a_target_that_can_be_written_is_accepted(path):
    assert files.check_target(files.Target(path, 0o600, **own_names())) is None
    put(path, OLD, 0o600)
    assert files.check_target(files.Target(path, 0o600)) is None


def test_attributes_that_differ_are_told_and_set(monkeypatch, path):
    target = files.Target(path, 0o600, **own_names())
    assert files.attribute_reasons(target) == []
    put(path, OLD, 0o644)
    assert files.attribute_reasons(target) == [f"mode of {path} is 0644, not 0600"]
    files.set_attributes(target)
    assert files.attribute_reasons(target) == []
    assert mode_of(path) == 0o600
    monkeypatch.setattr(files, "_ids", lambda *_arguments: (os.geteuid() + 1, os.getegid() + 1))
    assert [reason.split()[0] for reason in files.attribute_reasons(target)] == ["owner", "group"]


def test_a_file_keeps_the_owner_that_the_target_does_not_name(monkeypatch, path):
    put(path, OLD, 0o600)
    given = []
    found = os.stat(path)
    monkeypatch.setattr(os, "geteuid", lambda: found.st_uid + 1)
    monkeypatch.setattr(os, "fchown", lambda _descriptor, uid, gid: given.append((uid, gid)))
    files.write(files.Target(path, 0o600), NEW)
    assert given == [(found.st_uid, found.st_gid)]


def test_removing_says_whether_there_was_a_file(path):
    assert files.remove(path) is False
    put(path, OLD, 0o600)
    assert files.remove(path) is True
    assert not os.path.exists(path)


def test_sweeping_removes_what_a_killed_writer_has_left_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "pki").mkdir()
    target = str(tmp_path / "pki" / "a.key")
    files.write(files.Target(target, 0o600), OLD)
    with monkeypatch.context() as killed:
        killed.setattr(os, "rename", lambda *_paths: os._exit(9))
        child = os.fork()
        if child == 0:
            files.write(files.Target(target, 0o600), NEW)
        os.waitpid(child, 0)
    assert len(os.listdir(tmp_path / "pki")) == 2, "the writer has left its temporary file"
    files.sweep(str(tmp_path))
    assert os.listdir(tmp_path / "pki") == ["a.key"]
    assert files.read(target) == OLD
