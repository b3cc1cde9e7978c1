# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Durations as people write them: ``365d``, ``12h``."""

from __future__ import annotations

import datetime
import re

from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

_DURATION = re.compile(r"([0-9]{1,6})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: str, item: str, option: str) -> datetime.timedelta:
    """Return the duration of ``30m``, ``12h``, ``365d`` or ``4w``.

    :raises PkiError: for anything else.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise PkiError(item, f"{option} is {text!r}, which is no duration", "write a number and m, h, d or w, such as 365d or 12h")
    return datetime.timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def describe_duration(duration: datetime.timedelta) -> str:
    """Return ``12 d``, below two days ``30 h``, below two hours ``45 min``."""
    seconds = int(duration.total_seconds())
    if seconds >= 2 * 86400:
        return f"{seconds // 86400} d"
    if seconds >= 2 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min"
