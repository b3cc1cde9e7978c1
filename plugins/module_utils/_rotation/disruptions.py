# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a rolling update takes down at a time, and whether PodDisruptionBudgets allow that. Pure.

A rolling update asks no budget: only evictions do. So they are asked here, before one begins.
Source: Kubernetes v1.37 pkg/controller/deployment/util (ResolveFenceposts), pkg/controller/daemon/util, pkg/controller/statefulset.
"""

from __future__ import annotations

import math
import typing as t

Object = t.Mapping[str, t.Any]


def taken_down(kind: str, content: Object) -> int:
    """Return how many pods of a workload its own update takes down at a time; 0 where it makes new ones first."""
    spec = content["spec"]
    if kind == "Deployment":
        strategy, replicas = spec.get("strategy") or {}, spec.get("replicas", 1)
        if strategy.get("type") == "Recreate":
            return int(replicas)
        rolling = strategy.get("rollingUpdate") or {}
        down = _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
        return down or int(not _share(rolling.get("maxSurge", "25%"), replicas, math.ceil))
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    if kind == "StatefulSet":
        return max(1, _share(rolling.get("maxUnavailable", 1), spec.get("replicas", 1), math.ceil))
    desired = (content.get("status") or {}).get("desiredNumberScheduled", 1)
    return 0 if _share(rolling.get("maxSurge", 0), desired, math.ceil) else _share(rolling.get("maxUnavailable", 1), desired, math.ceil)


def hindrance(down: int, namespace: str, labels: t.Mapping[str, str], budgets: t.Iterable[Object]) -> str:
    """Say which budget forbids to take so many pods down at a time; empty where none does."""
    for budget in budgets:
        allowed = (budget.get("status") or {}).get("disruptionsAllowed", 0)
        if budget["metadata"]["namespace"] == namespace and allowed < down and selects(budget["spec"].get("selector"), labels):
            name = f"{namespace}/{budget['metadata']['name']}"
            return f"PodDisruptionBudget {name} allows {allowed} disruptions, its update takes {down} down"
    return ""


def selects(selector: Object | None, labels: t.Mapping[str, str]) -> bool:
    """Say whether a label selector fits; an empty one fits all, none fits nothing."""
    if selector is None:
        return False
    exact = all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_fits(one, labels) for one in selector.get("matchExpressions") or [])


def _fits(expression: Object, labels: t.Mapping[str, str]) -> bool:
    name, values = expression["key"], expression.get("values") or []
    return {"In": labels.get(name) in values, "NotIn": labels.get(name) not in values,
            "Exists": name in labels, "DoesNotExist": name not in labels}[expression["operator"]]


def _share(value: int | str, whole: int, rounded: t.Callable[[float], int]) -> int:
    """Return a number, or a percentage of the whole."""
    return rounded(int(value.rstrip("%")) * whole / 100) if isinstance(value, str) and value.endswith("%") else int(value)
