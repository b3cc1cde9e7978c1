# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One table of ratios, both sides measured in the same run: ``make bench``; README.md says how."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import ansible_collections
import cryptography
import peer
import rotation_runs
from ansible.release import __version__ as ansible_version
from programs import FOLDER, Cost, check_leaves, make_authority, module_megabytes, play, run

REPORT = FOLDER.parent / "build" / "bench" / "bench.json"
PING, PKI_CERT = FOLDER / "ping.yml", FOLDER / "pki_cert.yml"
LEAVES, PEER_LEAVES = 1000, 100
STARTED = time.monotonic()


class Row(t.NamedTuple):
    """One line of the table. ``ratio`` is what the goal speaks of; ``met`` is None where nothing is claimed."""

    what: str
    unit: str
    ours: float
    other: float
    other_name: str
    ratio: float
    goal: str
    met: bool | None
    cpu_ratio: float | None
    load: float


class Setting(t.NamedTuple):
    """How much is measured, and where."""

    folder: Path
    leaves: int
    peer_leaves: int
    repeats: int

    def judge(self, met: bool) -> bool | None:
        """Return *met* where as many leaves are issued as the goals speak of; None in a quick look at fewer."""
        return met if self.leaves == LEAVES else None

    def fresh(self, name: str) -> Path:
        """Return a new folder with the authority in it. None is removed before the end: ext4 is slow to use inodes again."""
        folder = self.folder / name
        folder.mkdir()
        for pair in ("ca.crt", "ca.key"):
            (folder / pair).symlink_to(self.folder / pair)
        return folder


class Samples:
    """The runs of one kind."""

    def __init__(self) -> None:
        self.costs: list[Cost] = []

    @property
    def seconds(self) -> float:
        """The median on the wall."""
        return statistics.median(cost.seconds for cost in self.costs)

    @property
    def cpu_seconds(self) -> float:
        """The median of all cores."""
        return statistics.median(cost.cpu_seconds for cost in self.costs)

    def add(self, what: str, cost: Cost) -> None:
        """Take a run, and say what it took."""
        self.costs.append(cost)
        say(f"{what}: {cost.seconds:.2f} s ({cost.cpu_seconds:.2f} s of CPU)")


def say(text: str) -> None:
    """Tell what is going on, beside the table."""
    print(f"[{time.monotonic() - STARTED:6.0f} s, load {os.getloadavg()[0]:4.1f}] {text}", file=sys.stderr, flush=True)


def issue(setting: Setting, name: str, count: int, key_type: str, samples: t.Sequence[Samples]) -> None:
    """Issue leaves with pki_cert in a new folder, then once more with nothing to do, if two samples are asked for."""
    folder = setting.fresh(name)
    for changed, sample, kind in zip((1, 0), samples, ("first run", "unchanged")):
        cost = play(PKI_CERT, changed, bench_folder=str(folder), bench_count=count, bench_key_type=key_type)
        sample.add(f"pki_cert, {count} {key_type} leaves, {kind}", cost)
    check_leaves(folder, count)


def against_peer(setting: Setting) -> list[Row]:
    """100 leaves: the peer once, pki_cert before, between and after, so that both meet the same machine."""
    load = os.getloadavg()[0]
    playbook = setting.folder / "community_crypto.json"
    playbook.write_text(json.dumps(peer.playbook()))
    folder, ours, theirs, ping = setting.fresh("peer"), (Samples(), Samples()), (Samples(), Samples()), Samples()
    for number, (changed, sample) in enumerate([(peer.TASKS, theirs[0]), (0, theirs[1])]):
        ping.add("ping", play(PING, 0))
        issue(setting, f"ours-{number}", PEER_LEAVES, "ecdsa-p256", ours)
        cost = play(playbook, changed, bench_folder=str(folder), bench_count=setting.peer_leaves)
        sample.add(f"community.crypto, {setting.peer_leaves} leaves, {'first run' if changed else 'unchanged'}", cost)
    issue(setting, "ours-2", PEER_LEAVES, "ecdsa-p256", ours)
    check_leaves(folder, setting.peer_leaves)
    scale = PEER_LEAVES / setting.peer_leaves
    label = "community.crypto" if scale == 1 else f"community.crypto, extrapolated linearly from {setting.peer_leaves} leaves"
    rows = []
    for kind, mine, other in zip(("first run", "unchanged"), ours, theirs):
        # A playbook's own start is not multiplied.
        seconds = ping.seconds + (other.seconds - ping.seconds) * scale
        cpu_seconds = ping.cpu_seconds + (other.cpu_seconds - ping.cpu_seconds) * scale
        ratio = seconds / mine.seconds
        rows.append(Row(f"{PEER_LEAVES} P-256 leaves, {kind}", "s", mine.seconds, seconds, label, ratio, ">= 60x, aim 100x",
                        ratio >= 60, cpu_seconds / mine.cpu_seconds, load))
    return rows


def against_ping(setting: Setting) -> list[Row]:
    """1000 leaves, in turn with a playbook that does nothing."""
    load = os.getloadavg()[0]
    ping, ours = Samples(), (Samples(), Samples())
    for number in range(setting.repeats):
        ping.add("ping", play(PING, 0))
        issue(setting, f"many-{number}", setting.leaves, "ecdsa-p256", ours)
    rows = []
    for kind, mine in zip(("first run", "unchanged"), ours):
        ratio = mine.seconds / ping.seconds
        rows.append(Row(f"{setting.leaves} P-256 leaves, {kind}", "s", mine.seconds, ping.seconds, "a playbook with one ping", ratio,
                        "<= 2.5x", setting.judge(ratio <= 2.5), mine.cpu_seconds / ping.cpu_seconds, load))
    return rows


def against_bare_keys(setting: Setting) -> list[Row]:
    """1000 RSA leaves between two halves of the same number of bare keys."""
    load = os.getloadavg()[0]
    halves, ours = (Samples(), Samples()), Samples()
    command = [sys.executable, FOLDER / "bare_keys.py"]
    half = setting.leaves // 2
    halves[0].add(f"bare keys, {half}", run([*command, str(half)]))
    issue(setting, "rsa", setting.leaves, "rsa-2048", [ours])
    halves[1].add(f"bare keys, {setting.leaves - half}", run([*command, str(setting.leaves - half)]))
    bare = sum(sample.seconds for sample in halves)
    ratio = ours.seconds / bare
    return [Row(f"{setting.leaves} RSA-2048 leaves, first run", "s", ours.seconds, bare, f"{setting.leaves} bare keys, all cores", ratio,
                "<= 1.3x", setting.judge(ratio <= 1.3), ours.cpu_seconds / sum(sample.cpu_seconds for sample in halves), load)]


def memory(setting: Setting) -> list[Row]:
    """Peak memory of the module's process."""
    load = os.getloadavg()[0]
    folder = setting.fresh("memory")
    ping = module_megabytes(setting.folder, PING, 0)
    rows = []
    for changed, kind in ((1, "first run"), (0, "unchanged")):
        ours = module_megabytes(setting.folder, PKI_CERT, changed, bench_folder=str(folder), bench_count=setting.leaves,
                                bench_key_type="ecdsa-p256")
        say(f"peak memory, {kind}: {ours:.0f} MB, ping {ping:.0f} MB")
        rows.append(Row(f"peak memory, {setting.leaves} P-256 leaves, {kind}", "MB", ours, ping, "the ping module", ours / ping,
                        "-", None, None, load))
    return rows


def module_runs(_setting: Setting) -> list[Row]:
    """Runs that do work, on the host and in the phase with the most of them."""
    counts = rotation_runs.counts()
    (phase, _host), most = max(counts.items(), key=lambda count: len(count[1]))
    say(f"most module runs in phase {phase}: {', '.join(most)}")
    return [Row("module runs that work, per host and phase", "", len(most), 3, "at most", len(most) / 3, "<= 3 runs", len(most) <= 3, None,
                os.getloadavg()[0])]


def table(rows: t.Sequence[Row]) -> str:
    """Return the rows for people."""
    head = ("what", "rekey", "other side", "", "ratio", "goal", "met", "of CPU", "load")
    word = {True: "yes", False: "NO", None: "-"}
    lines = [head] + [
        (row.what, f"{row.ours:.4g} {row.unit}", f"{row.other:.4g} {row.unit}", row.other_name, f"{row.ratio:.2f}x" if row.ratio < 10 else
         f"{row.ratio:.0f}x", row.goal, word[row.met], "-" if row.cpu_ratio is None else f"{row.cpu_ratio:.2f}x", f"{row.load:.1f}")
        for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def versions() -> dict[str, t.Any]:
    """Return what was measured with."""
    manifests = [Path(root, "community", "crypto", "MANIFEST.json") for root in ansible_collections.__path__]
    manifest = next(path for path in manifests if path.exists())
    return {"python": platform.python_version(), "ansible-core": ansible_version, "cryptography": cryptography.__version__,
            "community.crypto": json.loads(manifest.read_text())["collection_info"]["version"], "cores": len(os.sched_getaffinity(0))}


def number_from(variable: str, default: int) -> int:
    """Return a positive number from the environment; :raises SystemExit: for anything else."""
    text = os.environ.get(variable, "") or str(default)
    if not text.isdigit() or int(text) < 1:
        raise SystemExit(f"bench: {variable} is {text!r}: give a positive number")
    return int(text)


def main() -> int:
    """Measure, print, write down."""
    found = {"at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), **versions(), "load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory(prefix="rekey-bench-") as folder:
        setting = Setting(Path(folder), number_from("BENCH_LEAVES", LEAVES), number_from("BENCH_PEER_LEAVES", PEER_LEAVES),
                          number_from("BENCH_REPEATS", 5))
        make_authority(setting.folder)
        play(PING, 0)  # fills the caches for all that follow
        rows = [row for part in (against_peer, against_ping, against_bare_keys, memory, module_runs) for row in part(setting)]
    found.update(load_after=os.getloadavg(), seconds=round(time.monotonic() - STARTED), rows=[row._asdict() for row in rows])
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2) + "\n")
    print(table(rows))
    print(", ".join(f"{name} {value}" for name, value in versions().items()) + f"; all figures: {REPORT.relative_to(FOLDER.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
