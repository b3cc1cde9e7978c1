# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run make targets and end with a table of what each took: ``steps.py [--together TARGET ...] [--alone TARGET ...]``.

Those to run together use up to JOBS processes (one for each core, two at most, unless that variable says otherwise); what one says is shown
when it ends. Those to run alone come after them, one by one, and are shown as they go. The first failure stops everything. A
target can leave a line for the end by appending it to the file that ``STEP_NOTES`` names: so something left out stays visible.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RULE = "=" * 100
HEARTBEAT_SECONDS = 30
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 20


class Step:
    """One make target that runs: in a session of its own, so that all of it can be ended."""

    def __init__(self, name: str, log: Path | None) -> None:
        self.name = name
        self.log = log
        self._started = time.monotonic()
        self._ended: float | None = None
        self._output = log.open("wb") if log else None
        self._process = subprocess.Popen(
            ["make", "--no-print-directory", name],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,
        )

    @property
    def seconds(self) -> float:
        """How long it has run, or did."""
        return (self._ended or time.monotonic()) - self._started

    @property
    def passed(self) -> bool:
        """Whether it ended well."""
        return self._process.returncode == 0

    def ended(self) -> bool:
        """Whether it is over; from then on its seconds stand."""
        if self._ended is None and self._process.poll() is not None:
            self._ended = time.monotonic()
            if self._output:
                self._output.close()
        return self._ended is not None

    def end(self) -> None:
        """End it and what it has started; what does not go in time is killed."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_SECONDS)
        self.ended()

    def show(self) -> None:
        """Show what it said, if it was not shown already, and how it ended."""
        if self.log:
            print(f"\n{RULE}\n== {self.name}\n{RULE}", flush=True)
            sys.stdout.buffer.write(self.log.read_bytes())
        print(f"== {self.name}: {'passed' if self.passed else 'FAILED'} in {self.seconds:.1f} s", flush=True)


class Runner:
    """Runs steps until one fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.done: list[Step] = []
        self.running: list[Step] = []

    @property
    def failed(self) -> bool:
        """Whether a step has failed."""
        return any(not step.passed for step in self.done)

    def _start(self, name: str, jobs: int) -> None:
        print(f"== {name}: started" if jobs > 1 else f"\n{RULE}\n== {name}\n{RULE}", flush=True)
        self.running.append(Step(name, self._folder / f"{name}.log" if jobs > 1 else None))

    def _collect(self) -> None:
        for step in [step for step in self.running if step.ended()]:
            self.running.remove(step)
            self.done.append(step)
            step.show()

    def run(self, names: list[str], jobs: int) -> None:
        """Run the steps, so many at a time."""
        waiting = list(names)
        told = time.monotonic()
        while (waiting or self.running) and not self.failed:
            while waiting and len(self.running) < jobs:
                self._start(waiting.pop(0), jobs)
            time.sleep(POLL_SECONDS)
            self._collect()
            if jobs > 1 and self.running and time.monotonic() - told > HEARTBEAT_SECONDS:
                told = time.monotonic()
                print("== running: " + ", ".join(f"{step.name} ({step.seconds:.0f} s)" for step in self.running), flush=True)

    def end(self) -> None:
        """End what still runs."""
        for step in self.running:
            step.end()
            print(f"== {step.name}: ended after {step.seconds:.1f} s", flush=True)


def print_table(runner: Runner, names: list[str], seconds: float, notes: str) -> None:
    """Print what ran, what did not, and what the steps left to say."""
    done = {step.name: step for step in runner.done}
    print(f"\n{RULE}\n{'step':<24}{'seconds':>10}  result")
    for name in names:
        if name in done:
            print(f"{name:<24}{done[name].seconds:>10.1f}  {'passed' if done[name].passed else 'FAILED'}")
        else:
            print(f"{name:<24}{'-':>10}  not finished")
    print(f"{'all, by the clock':<24}{seconds:>10.1f}")
    if notes:
        print(f"\n{notes.rstrip()}")
    print(RULE, flush=True)


def main() -> int:
    """Run the steps until one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--together", nargs="*", default=[], metavar="TARGET")
    parser.add_argument("--alone", nargs="*", default=[], metavar="TARGET")
    arguments = parser.parse_args()
    jobs = int(os.environ.get("JOBS") or min(2, os.cpu_count() or 1))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "notes")
        notes.touch()
        os.environ["STEP_NOTES"] = str(notes)
        runner = Runner(Path(folder))
        try:
            runner.run(arguments.together, jobs)
            runner.run(arguments.alone, 1)
        finally:
            runner.end()
        print_table(runner, arguments.together + arguments.alone, time.monotonic() - started, notes.read_text())
    return 1 if runner.failed else 0


def _terminated(_number: int, _frame: object) -> None:
    # As an exception, so that the steps are ended; the status is the shell's for SIGTERM.
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
