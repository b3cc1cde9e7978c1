# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotations that are killed on the way, again and again, and started anew each time until they end; under load, then judged.

``boundaries`` kills the first run at its first task, the second at its second, and so on. ``random`` kills inside tasks, at moments that
the seed determines. ``once`` kills once, at such a moment. SIGKILL ends the playbook and everything that it has started.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import judge
import playing
from loopback_bed import lifecycle
from loopback_bed.errors import BedError
from loopback_bed.places import Bed, bed_of
from loopback_bed.progress import Progress
from traces import Traces, keys_open_to_others, left_behind

OUTPUT = Path(__file__).resolve().parents[3] / "build" / "chaos"
MOST_KILLS = 400
LONGEST_PAUSE_SECONDS = 25.0  # a random kill comes at most so long after its run's start
AGAIN = ["--extra-vars", json.dumps({"pki_rotate_again": True})]


class Killed(t.NamedTuple):
    """One run that was killed: after how many seconds, and the last line that it had said."""

    seconds: float
    last_line: str


class Ended(t.NamedTuple):
    """A rotation that has ended, with the runs that were killed on its way."""

    way: str
    kills: list[Killed]
    seconds: float
    problems: list[str]


class Moment(t.NamedTuple):
    """When to kill a run: at the beginning of its task of this number, or after so many seconds; never, where both are 0."""

    task: int = 0
    seconds: float = 0.0


def run_until(bed: Bed, begun: bool, moment: Moment, log: Path) -> Killed | None:
    """Start or go on with a rotation and kill it at the moment; None when it ended before.

    :param begun: whether a rotation is pending, so that none need be asked for.
    :raises BedError: when it fails by itself.
    """
    process = playing.start_playbook(bed, playing.ROTATE, [] if begun else AGAIN, log.with_suffix(".json"))
    assert process.stdout is not None
    started, tasks, last_line = time.monotonic(), 0, ""
    timer = threading.Timer(moment.seconds or threading.TIMEOUT_MAX, playing.kill, [process])
    timer.start()
    try:
        with log.open("a", encoding="utf-8") as output:
            for line in process.stdout:
                output.write(line)
                tasks, last_line = tasks + line.startswith("TASK ["), line.strip() or last_line
                if moment.task and tasks == moment.task:
                    playing.kill(process)
        status = process.wait()
    finally:
        timer.cancel()
        process.stdout.close()
    if status == -signal.SIGKILL:
        return Killed(round(time.monotonic() - started, 1), last_line)
    if status:
        raise BedError(f"a run failed by itself; its output is in {log}")
    return None


def moments(way: str, seed: int) -> t.Iterator[Moment]:
    """Return when to kill one run after the other; the last one never."""
    chance = random.Random(seed)
    for number in range(1, 2 if way == "once" else MOST_KILLS):
        yield Moment(task=number) if way == "boundaries" else Moment(seconds=chance.uniform(1.0, LONGEST_PAUSE_SECONDS + number))
    yield Moment()


def rotate(bed: Bed, way: str, seed: int, folder: Path, progress: Progress) -> Ended:
    """Rotate once, killed on the way."""
    folder.mkdir(parents=True)
    kills: list[Killed] = []
    before, started = judge.generations(bed.directory / "authority"), time.monotonic()
    with playing.load(bed, folder) as finish, Traces(bed.directory) as traces:
        for moment in moments(way, seed):
            killed = run_until(bed, _pending(bed, before), moment, folder / "rotate.log")
            if killed is None:
                break
            kills.append(killed)
            progress.say(f"  killed {len(kills)}: after {killed.seconds} s, at {killed.last_line[:90]}")
        load = finish()
    problems = [f"{load['requests_failed']} requests through the balancer failed"] if load["requests_failed"] else []
    problems += [f"{path} was open to others" for path in sorted(traces.seen_open | keys_open_to_others(bed.directory))]
    problems += [f"{path} was left behind" for path in left_behind(bed.directory)]
    problems += [f"{name}: {len(found) - len(before[name])} generations were made, not 1"
                 for name, found in judge.generations(bed.directory / "authority").items() if len(found) - len(before[name]) != 1]
    return Ended(way, kills, round(time.monotonic() - started, 1), [*problems, *judge.judge(judge.scene_of(bed)).problems])


def _pending(bed: Bed, before: t.Mapping[str, t.Sequence[t.Any]]) -> bool:
    """Whether all generations are made: until then a new rotation has to be asked for."""
    return all(len(found) > len(before[name]) for name, found in judge.generations(bed.directory / "authority").items())


def show(ended: t.Sequence[Ended], progress: Progress) -> bool:
    """Print the table, write the summary, and say whether all is well."""
    OUTPUT.joinpath("summary.json").write_text(json.dumps([one._asdict() for one in ended], indent=2) + "\n", encoding="utf-8")
    print(f"\n{'killed':12} {'kills':>6} {'seconds':>8}  problems")
    for one in ended:
        print(f"{one.way:12} {len(one.kills):6} {one.seconds:8.0f}  {len(one.problems)}")
        print("".join(f"  PROBLEM: {text}\n" for text in one.problems), end="")
    progress.say(f"{sum(len(one.kills) for one in ended)} kills in {len(ended)} rotations; summary: {OUTPUT / 'summary.json'}")
    return not any(one.problems for one in ended)


def main() -> int:
    """Return 0 when every rotation ended as if it had not been killed."""
    parser = argparse.ArgumentParser(prog="chaos.py", description=__doc__)
    parser.add_argument("ways", nargs="*", default=["once", "random", "boundaries"], metavar="WAY", help="boundaries, random or once")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments; each rotation adds one (default 1)")
    arguments, progress, bed = parser.parse_args(), Progress(), bed_of(os.environ)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    ended: list[Ended] = []
    try:
        lifecycle.start(bed, os.environ, progress, provision=True)
        for number, way in enumerate(arguments.ways):
            progress.say(f"Rotation {number + 1} of {len(arguments.ways)}: {way}")
            ended.append(rotate(bed, way, arguments.seed + number, OUTPUT / f"rotation-{number + 1}", progress))
            show(ended, progress)
    except (BedError, subprocess.SubprocessError) as exc:
        print(f"chaos: {exc}", file=sys.stderr)
        return 1
    finally:
        lifecycle.end(bed, progress)
    return 0 if show(ended, progress) else 1


if __name__ == "__main__":
    sys.exit(main())
