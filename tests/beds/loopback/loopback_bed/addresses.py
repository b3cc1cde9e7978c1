# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the bed's addresses and ports are taken, and by whom."""

from __future__ import annotations

import errno
import os
import re
import socket
import typing as t
from pathlib import Path

from loopback_bed.errors import BedError
from loopback_bed.topology import Listener

_LISTENING = "0A"  # TCP_LISTEN of the kernel's include/net/tcp_states.h
_ANY_ADDRESS = {"00000000", "0" * 32}


def listening_inodes(table: str, address: str, port: int) -> set[str]:
    """Return the socket inodes that listen there, from the text of /proc/net/tcp or tcp6; a wildcard listens everywhere."""
    wanted = {*_ANY_ADDRESS, socket.inet_aton(address)[::-1].hex().upper()}
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        local_address, local_port = fields[1].split(":")
        if fields[3] == _LISTENING and int(local_port, 16) == port and local_address in wanted:
            found.add(fields[9])
    return found


def _holders(address: str, port: int) -> list[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            inodes |= listening_inodes(Path(table).read_text(encoding="ascii"), address, port)
    links = {f"socket:[{inode}]" for inode in inodes}
    return [f"{_command(process)} (process {process.name})" for process in _processes() if links & _open_files(process)]


def _processes() -> t.Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if re.fullmatch(r"\d+", entry.name))


def _open_files(process: Path) -> set[str]:
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            found.add(os.readlink(descriptor))
    except OSError:
        pass  # another user's process, or one that has just ended: its files stay unknown
    return found


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "a process that has just ended"


def _trouble(listener: Listener) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a former bed that the kernel still remembers are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.address, listener.port))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                return exc.strerror or str(exc)
            return "in use by " + (", ".join(_holders(listener.address, listener.port)) or "a process of another user")
    return ""


def check_free(listeners: t.Iterable[Listener]) -> None:
    """Make sure that every address and port of the bed can be listened on.

    :raises BedError: naming each one that cannot, and the process that holds it where that can be seen.
    """
    troubles = [f"{listener.address}:{listener.port} (for {listener.program}): {trouble}"
                for listener in listeners for trouble in [_trouble(listener)] if trouble]
    if troubles:
        raise BedError("the bed needs addresses that it cannot have:\n  " + "\n  ".join(troubles),
                       "Stop what holds them; another loopback bed of yours is stopped by its own 'down'.")
