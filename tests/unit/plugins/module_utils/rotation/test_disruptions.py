# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an update takes down at a time, and what a budget allows."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.disruptions import hindrance, selects, taken_down


def rolling(**numbers):
    return {"type": "RollingUpdate", "rollingUpdate": numbers}


@pytest.mark.parametrize(("kind", "spec", "down"), [
    ("Deployment", {"replicas": 3}, 0),  # 25 % of 3, rounded down; one more is made first
    ("Deployment", {"replicas": 8}, 2),
    ("Deployment", {"replicas": 2, "strategy": rolling(maxUnavailable=1, maxSurge="25%")}, 1),
    ("Deployment", {"replicas": 2, "strategy": rolling(maxUnavailable=0, maxSurge=1)}, 0),
    ("Deployment", {"replicas": 2, "strategy": rolling(maxUnavailable="10%", maxSurge=0)}, 1),  # the controller then takes one
    ("Deployment", {"replicas": 4, "strategy": {"type": "Recreate"}}, 4),
    ("StatefulSet", {"replicas": 5}, 1),
    ("StatefulSet", {"replicas": 5, "updateStrategy": rolling(maxUnavailable="30%")}, 2),
    ("DaemonSet", {}, 1),
    ("DaemonSet", {"updateStrategy": rolling(maxUnavailable="30%")}, 3),
    ("DaemonSet", {"updateStrategy": rolling(maxSurge=1, maxUnavailable=0)}, 0),
])
def test_what_is_taken_down_at_a_time(kind, spec, down):
    content = {"spec": spec, "status": {"desiredNumberScheduled": 10}}
    assert taken_down(kind, content) == down


def budget(allowed, selector, namespace="shop"):
    return {"metadata": {"name": "keep", "namespace": namespace}, "spec": {"selector": selector}, "status": {"disruptionsAllowed": allowed}}


def test_a_budget_that_allows_less_hinders():
    web = {"matchLabels": {"app": "web"}}
    assert hindrance(1, "shop", {"app": "web"}, [budget(0, web)]) == (
        "PodDisruptionBudget shop/keep allows 0 disruptions, its update takes 1 down")
    assert hindrance(1, "shop", {"app": "web"}, [budget(1, web)]) == ""
    assert hindrance(2, "shop", {"app": "web"}, [budget(1, web)]) != ""
    assert hindrance(0, "shop", {"app": "web"}, [budget(0, web)]) == ""
    assert hindrance(1, "shop", {"app": "other"}, [budget(0, web)]) == ""
    assert hindrance(1, "other", {"app": "web"}, [budget(0, web)]) == ""


@pytest.mark.parametrize(("selector", "fits"), [
    (None, False), ({}, True), ({"matchLabels": {"a": "1"}}, True), ({"matchLabels": {"a": "2"}}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
    ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
    ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
])
def test_selectors(selector, fits):
    assert selects(selector, {"a": "1"}) is fits
