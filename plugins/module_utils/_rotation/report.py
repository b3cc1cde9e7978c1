# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The plan as text for people. Pure."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Actions
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import Stand


def lines(plan: t.Sequence[tuple[Phase, t.Mapping[str, Actions]]], stands: t.Mapping[str, Stand]) -> list[str]:
    """Return the plan: generations, then per phase and host every action with its reason, then the restarts in sum."""
    text = [f"{name}: {stand.old} -> {stand.new}{' (pending, goes on)' if stand.pending else ''}" for name, stand in stands.items()]
    restarts: collections.Counter[str] = collections.Counter()
    for number, (phase, todo) in enumerate(plan, 1):
        busy = {name: actions for name, actions in todo.items() if not actions.nothing}
        text.append(f"phase {number} of {len(plan)}, {phase.name}: {phase.purpose}" + ("" if busy else " (no change on hosts)"))
        for name, actions in busy.items():
            text += [f"  {name}{' (window)' if actions.window else ''}: {reason}" for reason in actions.reasons]
            restarts.update(restart.process for restart in actions.restarts)
    total = ", ".join(f"{name} {count}x" for name, count in sorted(restarts.items())) or "none"
    return [*text, f"restarts in all: {total}"]
