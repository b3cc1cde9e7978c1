# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find a Python of a given version that really runs: ``find_python.py 3.9`` prints its path, or nothing (exit code 1).

A name on the PATH is not enough: version managers put scripts there that stand for interpreters which are not active.
Several versions may be named; the first that is found is printed.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

PROBE = "import ensurepip, sys, venv; print(sys.executable, *sys.version_info[:2])"


def candidates(version: str) -> list[str]:
    """Paths worth trying: every folder of the PATH, then where version managers keep interpreters."""
    name = f"python{version}"
    found = [shutil.which(name, path=folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)]
    manager = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    managed = glob.glob(os.path.join(manager, "versions", f"{version}.*", "bin", name))
    return [path for path in found if path] + sorted(managed, reverse=True)


def find(version: str) -> str | None:
    """The first candidate that runs, is of that version and can make environments; its real path, not the name it was found by."""
    for path in candidates(version):
        try:
            probe = subprocess.run([path, "-c", PROBE], check=False, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        words = probe.stdout.split()
        if probe.returncode == 0 and ".".join(words[1:]) == version:
            return words[0]
    return None


def main(versions: list[str]) -> int:
    """Print the first that is found."""
    for version in versions:
        path = find(version)
        if path:
            print(path)
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
