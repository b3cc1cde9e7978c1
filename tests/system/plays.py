# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests say to playbooks, and what the recap says to them."""

from __future__ import annotations

import json
import re
import typing as t

import playing

Play = t.Callable[..., playing.Played]


def extra(**variables: t.Any) -> list[str]:
    """Return options that give a playbook these variables, each with its type."""
    return ["--extra-vars", json.dumps(variables)] if variables else []


def changes(played: playing.Played, host: str = r"\S+") -> int:
    """Return how many tasks changed something, from the recap that Ansible itself prints."""
    counts = re.findall(rf"^{host} +: ok=\d+ +changed=(\d+)", played.log.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert counts
    return sum(map(int, counts))
