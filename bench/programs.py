# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs as they are measured: whole processes, what they cost, and whether they did what is claimed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_LAST = 2000  # characters of output that an error shows
_RECAP = re.compile(r"^localhost\s.*\bchanged=(\d+)", re.MULTILINE)


class Cost(t.NamedTuple):
    """What a program took: seconds on the wall, and of all cores with those of its children."""

    seconds: float
    cpu_seconds: float
    output: str


def run(command: t.Sequence[str | Path]) -> Cost:
    """Run a program to its end; :raises SystemExit: when it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            _pid, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if process.returncode:
        raise SystemExit(f"bench: this failed: {shlex.join(map(str, command))}\n{text[-_LAST:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, text)


def play(playbook: Path, changed: int, python: str = sys.executable, **variables: t.Any) -> Cost:
    """Run a playbook on this host.

    :param changed: how many tasks must have changed something: a run that does not do its work is no measurement.
    :param python: interpreter of the modules.
    :raises SystemExit: when it fails, or when it changed more or less.
    """
    variables["ansible_python_interpreter"] = python
    cost = run([Path(sys.executable).with_name("ansible-playbook"), "-e", json.dumps(variables), playbook])
    found = _RECAP.search(cost.output)
    if found is None or int(found[1]) != changed:
        raise SystemExit(f"bench: {playbook.name} should have reported {changed} changed tasks:\n{cost.output[-_LAST:]}")
    return cost


def module_megabytes(folder: Path, playbook: Path, changed: int, **variables: t.Any) -> float:
    """Return the peak memory, in MB, of the module's own process while a playbook runs."""
    report = folder / "peak-memory"
    report.unlink(missing_ok=True)
    interpreter = folder / "python"
    watch = shlex.join([sys.executable, str(FOLDER / "peak_memory.py"), str(report), sys.executable])
    interpreter.write_text(f'#!/bin/sh\nexec {watch} "$@"\n')
    interpreter.chmod(0o755)
    play(playbook, changed, python=str(interpreter), **variables)
    return max(int(line) for line in report.read_text().split()) / 1024


def make_authority(folder: Path) -> None:
    """Make a CA in *folder* with openssl."""
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "3650",
         "-subj", "/CN=bench-ca", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
         "-keyout", folder / "ca.key", "-out", folder / "ca.crt"])


def check_leaves(folder: Path, count: int) -> None:
    """Let openssl verify every leaf of *folder*; :raises SystemExit: unless there are *count* of them with their keys."""
    leaves = sorted(folder.glob("leaf-*.crt"))
    judged = run(["openssl", "verify", "-x509_strict", "-CAfile", folder / "ca.crt", *leaves]).output.count(": OK\n")
    if not judged == len(leaves) == len(list(folder.glob("leaf-*.key"))) == count:
        raise SystemExit(f"bench: {folder} should hold {count} leaves and keys; openssl accepts {judged}")
