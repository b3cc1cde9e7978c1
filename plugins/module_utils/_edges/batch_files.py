# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Many files at once, as safe as one at a time: all are written and on the disk before the first one takes its place."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

_THREADS = 16  # fsync waits for the disk; side by side the file system commits them together


class Write(t.NamedTuple):
    """New content for a file."""

    target: files.Target
    content: bytes


class Move(t.NamedTuple):
    """An existing file of the same directory, already on the disk, that takes the target's place."""

    source: str
    target: files.Target


class Link(t.NamedTuple):
    """A symlink to a name in the same directory, which takes the target's place."""

    name: str
    target: files.Target


Step = t.Union[Write, Move, Link]


def apply(steps: t.Sequence[Step]) -> None:
    """Carry the steps out in their order: a crash leaves each file old or new, whole, and no later step before an earlier one.

    An owner or group that a target does not name stays the replaced file's: whoever reads it now reads it afterwards.

    :raises PkiError: naming the file; when it is raised before the first rename, nothing has changed.
    """
    temporaries = [_temporary(step.target.path) for step in steps if not isinstance(step, Move)]
    current = ""
    try:
        for step in steps:
            current = step.target.path
            if isinstance(step, Write):
                _write_temporary(step)
            elif isinstance(step, Link):
                _link_temporary(step)
        _sync_all([path for path in temporaries if not os.path.islink(path)])
        for step in steps:
            current = step.target.path
            if isinstance(step, Move):
                _prepare(step)
            os.rename(step.source if isinstance(step, Move) else _temporary(current), current)
    except OSError as exc:
        raise PkiError("", f"{current}: cannot be written: {exc.strerror}", "check space, owner and mount; then run again") from exc
    finally:
        for temporary in temporaries:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    for directory in dict.fromkeys(os.path.dirname(step.target.path) or "." for step in steps):
        files.sync_directory(directory)


def _temporary(path: str) -> str:
    # A fixed name: what a killed run leaves behind is overwritten by the next one and does not pile up.
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.rekey-new")


def _write_temporary(step: Write) -> None:
    temporary = _temporary(step.target.path)
    if os.path.lexists(temporary):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, files.KEY_MODE)
    with os.fdopen(descriptor, "wb", buffering=0) as handle:
        handle.write(step.content)
        _own(handle.fileno(), step.target)


def _link_temporary(step: Link) -> None:
    temporary = _temporary(step.target.path)
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(step.name, temporary)


def _prepare(step: Move) -> None:
    descriptor = os.open(step.source, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        _own(descriptor, step.target)
    finally:
        os.close(descriptor)


def _own(descriptor: int, target: files.Target) -> None:
    # The owner before the mode: rights are never opened to the former owner's group.
    replaced = os.stat(target.path) if os.path.exists(target.path) else None
    if replaced is not None and (replaced.st_uid, replaced.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    if target.owner:
        shutil.chown(descriptor, user=target.owner)
    if target.group:
        shutil.chown(descriptor, group=target.group)
    os.fchmod(descriptor, target.mode)


def _sync_all(paths: t.Sequence[str]) -> None:
    if len(paths) < _THREADS:
        _sync(paths)
        return
    from concurrent.futures import ThreadPoolExecutor  # only where needed: its import is not free

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(_sync, [paths[start::_THREADS] for start in range(_THREADS)]))


def _sync(paths: t.Iterable[str]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
