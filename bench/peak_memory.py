# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``peak_memory.py REPORT PROGRAM ARGUMENT ...``: run a program, and append its peak memory in kB to a file."""

from __future__ import annotations

import resource
import subprocess
import sys


def main(report: str, command: list[str]) -> int:
    """Run the program with this one's input and output; return its status."""
    status = subprocess.run(command, check=False).returncode
    with open(report, "a", encoding="utf-8") as stream:
        stream.write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
