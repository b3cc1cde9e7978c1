# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run that was killed leaves behind: keys that others could read at any moment, temporary files, files that are not whole."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import typing as t
from pathlib import Path

_NOT_PKI = frozenset({"etcd-data", "log", "bin"})
_KEY = b"PRIVATE KEY"
_OURS = ".rekey-"
_PAUSE_SECONDS = 0.05
_LARGEST_FILE = 1 << 16


def files(directory: Path) -> t.Iterator[Path]:
    """Return the files of a bed that are not a process's own."""
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in _NOT_PKI]
        yield from (Path(folder, name) for name in names)


def keys_open_to_others(directory: Path) -> set[str]:
    """Return the files that hold a private key, whatever their names, and that somebody else may read."""
    found = set()
    for path in files(directory):
        with contextlib.suppress(OSError):  # it may be gone by now
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and status.st_size <= _LARGEST_FILE and _KEY in path.read_bytes():
                found.add(str(path))
    return found


def left_behind(directory: Path) -> list[str]:
    """Return temporary files, and PEM files that end in the middle."""
    found = []
    for path in files(directory):
        content = path.read_bytes() if path.suffix in (".crt", ".key", ".pub") else b""
        torn = bool(content) and content.count(b"-----BEGIN ") != content.count(b"-----END ")
        found += [str(path)] * (torn or path.name.startswith(_OURS))
    return sorted(found)


class Traces:
    """Looks at all files again and again meanwhile."""

    def __init__(self, directory: Path) -> None:
        self.seen_open: set[str] = set()
        self._directory, self._over = directory, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.is_set():
            self.seen_open |= keys_open_to_others(self._directory)
            time.sleep(_PAUSE_SECONDS)

    def __enter__(self) -> t.Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()
