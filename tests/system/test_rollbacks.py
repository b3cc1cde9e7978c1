# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollbacks from before every phase and from its middle, one after the other on one bed, under load. Takes a quarter of an hour."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

import judge
import playing
from loopback_bed.places import Bed
from loopback_rotation import LeaveOut, begin, boot, kill
from plays import Play, extra

AGAIN = {"pki_rotate_again": True}
ROLLBACK = "rekey.kubernetes.rollback"
# "trust" and "trust-clients" change nothing before them that the phases here do not; without nodes the latter has no host to die on.
BEFORE = ("issue", "prepared", "distrust", "distrust-clients")
WITHIN = (1, 2, 4, 5, 6)


@pytest.fixture(name="bed", scope="module")
def fixture_bed(tmp_path_factory: pytest.TempPathFactory, leave_out: LeaveOut) -> t.Iterator[Bed]:
    yield from boot(tmp_path_factory.mktemp("bed"), leave_out)


def roll_back(bed: Bed, play: Play) -> list[str]:
    """Roll back and return what is not as it was before the rotation."""
    play(ROLLBACK)
    kept = {name: len(found) for name, found in judge.generations(bed.directory / "authority").items()}
    return [f"{name} has {count} generations" for name, count in kept.items() if count != 1] + judge.judge(judge.scene_of(bed)).problems


@pytest.mark.parametrize("phase", BEFORE)
def test_from_before_a_phase(bed: Bed, play: Play, tmp_path: Path, phase: str) -> None:
    with playing.load(bed, tmp_path) as finish:
        play(playing.ROTATE, pki_rotate_until=phase, **AGAIN)
        assert roll_back(bed, play) == []
        load = finish()
    assert load["requests_failed"] == 0, (tmp_path / "load.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", WITHIN)
def test_from_the_middle_of_a_phase(bed: Bed, play: Play, tmp_path: Path, number: int) -> None:
    with playing.load(bed, tmp_path) as finish:
        kill(begin(bed, number, extra(**AGAIN), tmp_path / "killed.log"))
        assert roll_back(bed, play) == []
        load = finish()
    assert load["requests_failed"] == 0, (tmp_path / "load.log").read_text(encoding="utf-8")
