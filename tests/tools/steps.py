# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the named make targets one after the other, and end with a table of what each took.

``steps.py lint unit ...`` stops at the first one that fails. A target can leave a line for the end by appending it to the
file that ``STEP_NOTES`` names; that is how something left out stays visible.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RULE = "=" * 100


def run_step(step: str, number: int, of: int) -> tuple[float, bool]:
    """Run one target; return its seconds and whether it passed."""
    print(f"\n{RULE}\n== step {number} of {of}: {step}\n{RULE}", flush=True)
    started = time.monotonic()
    passed = subprocess.run([os.environ.get("MAKE", "make"), "--no-print-directory", step], check=False).returncode == 0
    seconds = time.monotonic() - started
    print(f"== {step}: {'passed' if passed else 'FAILED'} in {seconds:.1f} s", flush=True)
    return seconds, passed


def print_table(rows: list[tuple[str, float, bool]], left: list[str], notes: str) -> None:
    """Print what ran, what did not run any more, and what the steps left to say."""
    print(f"\n{RULE}\n{'step':<24}{'seconds':>10}  result")
    for step, seconds, passed in rows:
        print(f"{step:<24}{seconds:>10.1f}  {'passed' if passed else 'FAILED'}")
    for step in left:
        print(f"{step:<24}{'-':>10}  not run")
    print(f"{'all':<24}{sum(seconds for _step, seconds, _passed in rows):>10.1f}")
    if notes:
        print(f"\n{notes.rstrip()}")
    print(RULE, flush=True)


def main(steps: list[str]) -> int:
    """Run the steps until one fails."""
    rows: list[tuple[str, float, bool]] = []
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "notes")
        notes.touch()
        os.environ["STEP_NOTES"] = str(notes)
        for number, step in enumerate(steps, start=1):
            seconds, passed = run_step(step, number, len(steps))
            rows.append((step, seconds, passed))
            if not passed:
                break
        print_table(rows, steps[len(rows) :], notes.read_text())
    return 0 if all(passed for _step, _seconds, passed in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
