# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._duration import describe_duration, parse_duration
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError


@pytest.mark.parametrize(("text", "expected"), [
    ("30m", datetime.timedelta(minutes=30)), ("12h", datetime.timedelta(hours=12)), (" 365d ", datetime.timedelta(days=365)),
    ("4w", datetime.timedelta(weeks=4)), ("0d", datetime.timedelta())])
def test_durations_are_read(text, expected):
    assert parse_duration(text, "item", "validity") == expected


@pytest.mark.parametrize("text", ["", "365", "d", "-1d", "1.5d", "1y", "1d12h", "1 d", "9999999d", "\u0661d"])
def test_what_is_no_duration_is_named(text):
    with pytest.raises(PkiError, match="item: validity is .*no duration.*365d"):
        parse_duration(text, "item", "validity")


@pytest.mark.parametrize(("duration", "expected"), [
    (datetime.timedelta(days=12, hours=23), "12 d"), (datetime.timedelta(days=2), "2 d"), (datetime.timedelta(days=1, hours=23), "47 h"),
    (datetime.timedelta(hours=2), "2 h"), (datetime.timedelta(minutes=119), "119 min"), (datetime.timedelta(seconds=30), "0 min")])
def test_durations_are_told_in_a_fitting_unit(duration, expected):
    assert describe_duration(duration) == expected
