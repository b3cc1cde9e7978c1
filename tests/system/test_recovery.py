# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotations that do not go through: another run is refused, a killed one is rolled back. The tests build on one another, in order."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

import judge
import playing
from loopback_bed.places import Bed
from loopback_rotation import LeaveOut, begin, boot, kill
from plays import Play, changes, extra

AGAIN = {"pki_rotate_again": True}
ROLLBACK = "rekey.kubernetes.rollback"


@pytest.fixture(name="bed", scope="module")
def fixture_bed(tmp_path_factory: pytest.TempPathFactory, leave_out: LeaveOut) -> t.Iterator[Bed]:
    yield from boot(tmp_path_factory.mktemp("bed"), leave_out)


def authorities(bed: Bed) -> set[str]:
    """Return the names of the files in which the authority host keeps generations."""
    return {str(path.relative_to(bed.directory / "authority")) for path in (bed.directory / "authority").glob("*/*")}


def test_a_run_refuses_another_and_killed_in_distrust_it_is_rolled_back_without_a_failed_request(
        bed: Bed, play: Play, tmp_path: Path) -> None:
    before = authorities(bed)
    with playing.load(bed, tmp_path) as finish:
        running = begin(bed, 1, extra(**AGAIN), tmp_path / "running.log")
        refused = play(playing.ROTATE, succeeds=False).log.read_text(encoding="utf-8")
        kill(running)
        assert "another run is at work" in refused
        assert "stands at trust" in refused
        assert "-e pki_rotate_break_lock=" in refused
        # What a killed run leaves behind is nobody's: the next one of this controller takes its place without a word.
        kill(begin(bed, 5, [], tmp_path / "killed.log"))
        assert authorities(bed) > before
        play(ROLLBACK)
        load = finish()
    assert load["requests_failed"] == 0, (tmp_path / "load.log").read_text(encoding="utf-8")
    assert authorities(bed) == before
    judged = judge.judge(judge.scene_of(bed))
    assert judged.problems == []
    assert {tuple(row.verdicts.values()) for row in judged.rows} == {("accepted",)}
    journal = (bed.directory / "authority" / "rotation.journal").read_text(encoding="utf-8")
    assert journal.count('"begins in place of another run"') == 2
    assert "PRIVATE KEY" not in journal


def test_what_is_rolled_back_can_be_rotated_again_as_if_nothing_had_been(bed: Bed, play: Play) -> None:
    assert "Nothing to roll back" in play(ROLLBACK).log.read_text(encoding="utf-8")
    assert changes(play(playing.ROTATE)) == 0
    play(playing.ROTATE, pki_rotate_until="prepared", **AGAIN)
    play(ROLLBACK)
    assert judge.judge(judge.scene_of(bed)).problems == []
