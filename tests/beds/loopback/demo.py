# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: a control plane comes up, all its CAs are replaced under load, and an independent client judges the result."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import typing as t
from pathlib import Path

import judge
import playing
from loopback_bed import lifecycle
from loopback_bed.errors import BedError
from loopback_bed.places import Bed, bed_of
from loopback_bed.progress import Progress
from loopback_bed.supervision import Supervisor

AUTHORITIES = ("kubernetes", "etcd", "front-proxy")
OUTPUT = Path(__file__).resolve().parents[3] / "build" / "demo"
WANTED_RATIO = 1.5
WANTED_RATE = 20.0


class Outcome(t.NamedTuple):
    """One rotation: what is written down of it, what the load saw, what is wrong."""

    summary: dict[str, t.Any]
    load: dict[str, t.Any]
    problems: list[str]


def rotate(bed: Bed, authorities: t.Sequence[str], folder: Path, progress: Progress) -> Outcome:
    """Rotate once under load and judge.

    :raises BedError: when the rotation or the load fails.
    """
    folder.mkdir(parents=True)
    options = ["--extra-vars", json.dumps({"pki_rotate_again": True, "pki_rotate_authorities": list(authorities)})]
    progress.say("Starting the load")
    with playing.load(bed, folder) as finish:
        progress.say(f"Rotating {', '.join(authorities)}: ansible-playbook {playing.ROTATE} (its output: {folder / 'rotate.log'})")
        played = playing.play(bed, playing.ROTATE, options, folder / "rotate.log", _show_progress)
        load = finish()
    if played.status:
        raise BedError(f"the rotation failed, and its output ends so:\n{played.last_lines}", f"All of it is in {played.log}.")
    progress.say("Judging: every endpoint is asked with clients of every generation, every file and object is read")
    judged = judge.judge(judge.scene_of(bed))
    print("\n".join(judged.lines()), flush=True)
    return Outcome(summary(played.summary, load, judged), load, problems(load, judged))


def _show_progress(line: str) -> None:
    if line.startswith(playing.PROGRESS):
        print(line, flush=True)


def summary(rotation: t.Mapping[str, t.Any], load: t.Mapping[str, t.Any], judged: judge.Judgement) -> dict[str, t.Any]:
    """Return what is written down of one rotation. Old and new at each endpoint are as the independent judge saw them."""
    return {
        "kubernetes_version": rotation["kubernetes_version"],
        "duration_seconds": rotation["duration_seconds"],
        "waiting_seconds": rotation["waiting_seconds"],
        "requests_total": load["requests_total"],
        "requests_failed": load["requests_failed"],
        "retries": load["retries"],
        "direct_requests_failed": {name: {key: seen[key] for key in ("requests", "failed", "seconds_away")}
                                   for name, seen in load["direct"].items()},
        "restarts": rotation["restarts"],
        "phases": [{key: phase[key] for key in ("name", "seconds")} for phase in rotation["phases"]],
        "old_generation_refused": judged.per_endpoint(lambda row: row.others_refused),
        "new_generation_accepted": judged.per_endpoint(lambda row: row.newest_accepted),
    }


def problems(load: t.Mapping[str, t.Any], judged: judge.Judgement) -> list[str]:
    """Return what makes the demonstration a failure."""
    found = [f"the load has no request of the {name}" for name, seen in load["clients"].items() if not seen["requests"]]
    if load["requests_failed"]:
        found.append(f"{load['requests_failed']} of {load['requests_total']} requests through the balancer failed")
    return [*found, *judged.problems]


def warnings(outcome: Outcome) -> list[str]:
    """Return what is not as it should be, and may be so only because the machine is busy."""
    found, rate = outcome.summary, outcome.load["new_connections_per_second"]
    said = []
    # Without the etcd authority little or nothing restarts, and there is nothing to compare with.
    if found["restarts"].get("kube-apiserver") and found["duration_seconds"] > WANTED_RATIO * found["waiting_seconds"]:
        said.append(f"the rotation took more than {WANTED_RATIO} times what it waited for processes")
    if rate < WANTED_RATE:
        said.append(f"the load was {rate} new connections a second, not {WANTED_RATE:.0f}")
    return said


def table(outcome: Outcome) -> list[str]:
    """Return the short table at the end."""
    found, load = outcome.summary, outcome.load
    waiting, refused, accepted = found["waiting_seconds"], found["old_generation_refused"], found["new_generation_accepted"]
    ratio = f"ratio {found['duration_seconds'] / waiting:.2f}" if waiting else "no ratio"
    rows = [
        ("Kubernetes", found["kubernetes_version"]),
        ("rotation", f"{found['duration_seconds']} s; {waiting} s of it waiting for processes; {ratio}, wanted {WANTED_RATIO} at most"),
        ("phases", ", ".join(f"{phase['name']} {phase['seconds']:.0f} s" for phase in found["phases"])),
        ("restarts", ", ".join(f"{name} {count}" for name, count in found["restarts"].items()) or "none"),
        ("requests through the balancer", f"{found['requests_total']}; {load['new_connections_per_second']} new connections a second"),
        ("  failed", str(found["requests_failed"])),
        ("  retried on a kept connection", str(found["retries"])),
        ("  longest gap of the watch", f"{load['clients']['watch']['longest_gap_seconds']} s"),
        ("API servers away, asked directly", ", ".join(f"{name} {seen['seconds_away']} s" for name, seen in load["direct"].items())),
        ("old generations refused", f"at {sum(refused.values())} of {len(refused)} endpoints"),
        ("new generation accepted", f"at {sum(accepted.values())} of {len(accepted)} endpoints"),
    ]
    return [f"{name:<34} {value}" for name, value in rows]


def show(outcome: Outcome, folder: Path) -> bool:
    """Write the summary, print the table and the verdict; whether all is well."""
    folder.joinpath("summary.json").write_text(json.dumps(outcome.summary, indent=2) + "\n", encoding="utf-8")
    print("\n".join(["", *table(outcome), "", f"summary: {folder / 'summary.json'}"]))
    print("\n".join([*(f"WARNING: {text}" for text in warnings(outcome)), *(f"PROBLEM: {text}" for text in outcome.problems)]
                    or ["No request failed, and the judge has found nothing wrong."]), flush=True)
    return not outcome.problems


def demonstrate(bed: Bed, arguments: argparse.Namespace, progress: Progress) -> bool:
    """Bring the bed up and rotate as often as asked; whether all went well.

    :raises BedError: when something did not go at all.
    """
    # Provisioning a new bed changes everything; what it need not change is no news.
    os.environ.setdefault("ANSIBLE_DISPLAY_OK_HOSTS", "false")
    os.environ.setdefault("ANSIBLE_DISPLAY_SKIPPED_HOSTS", "false")
    lifecycle.start(bed, os.environ, progress, provision=True)
    for number in range(1, arguments.rotations + 1):
        progress.say(f"Rotation {number} of {arguments.rotations}")
        outcome = rotate(bed, arguments.authorities, OUTPUT / f"rotation-{number}", progress)
        if not show(outcome, OUTPUT):
            return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__, epilog="The environment is that of bed.py.")
    parser.add_argument("--rotations", type=int, default=1, metavar="N", help="rotate so often, one after the other (default 1)")
    parser.add_argument("--authorities", nargs="+", choices=AUTHORITIES, default=AUTHORITIES, help="rotate these only (default: all)")
    parser.add_argument("--keep", action="store_true", help="leave the bed running at the end")
    return parser


def _terminated(_number: int, _frame: object) -> t.NoReturn:
    # As an exception, so that the bed comes down; the status is the shell's for SIGTERM.
    raise SystemExit(128 + signal.SIGTERM)


def run(arguments: argparse.Namespace, progress: Progress) -> bool:
    """Demonstrate and bring down what this has brought up; whether all went well.

    :raises BedError: when something did not go at all.
    """
    bed = bed_of(os.environ)
    keep = arguments.keep
    if Supervisor(bed).answers():
        progress.say(f"A bed runs already in {bed.directory}: it is used, and left running")
        keep = True
    try:
        return demonstrate(bed, arguments, progress)
    finally:
        if not keep:
            # A second Ctrl-C must not leave half a bed behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            lifecycle.end(bed, progress)


def main() -> int:
    """Return 0 when no request failed and the judge has found nothing wrong."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    try:
        return 0 if run(arguments, Progress()) else 1
    except BedError as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
