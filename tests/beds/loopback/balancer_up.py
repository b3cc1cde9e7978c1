# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say by exit code whether the balancer sends connections to a server: ``balancer_up.py SOCKET SERVER``.

A program of its own on the standard library alone, because a rotation calls it many times while it waits.
"""

from __future__ import annotations

import csv
import socket
import sys


def is_up(statistics: str, server: str) -> bool:
    """Read the answer to HAProxy's ``show stat`` (management guide, 9.1)."""
    rows = csv.DictReader(statistics.lstrip("# ").splitlines())
    return any(row["svname"] == server and row["status"].startswith("UP") for row in rows)


def ask(socket_path: str) -> str:
    """Return the balancer's statistics as CSV.

    :raises OSError: where no balancer answers.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(socket_path)
        connection.sendall(b"show stat\n")
        with connection.makefile("r") as answer:
            return answer.read()


def main(arguments: list[str]) -> int:
    """Return 0 for UP, 1 for anything else."""
    try:
        if is_up(ask(arguments[0]), arguments[1]):
            return 0
        print(f"the balancer does not use {arguments[1]}", file=sys.stderr)
    except OSError as exc:
        print(f"the balancer does not answer on {arguments[0]}: {exc}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
