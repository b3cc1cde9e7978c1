# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Looking at the cluster's objects until they show what is expected, or until time is up."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.prove import Proof
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import complaints, gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations

SIGNS = "signs"
SIGNED = "signed"
KNOWN_NODES = "known_nodes"
RENEWS = "renews"
WATCHED_NAMESPACE = "kube-system"


def until_held(kubectl: Kubectl, generations: Generations, expect: t.Sequence[gates.Expectation], limit: float) -> Proof:
    """Look until nothing is unmet or *limit* seconds are over; ``_rotation.gates`` says what an expectation is."""
    before: dict[str, str] = {}
    return Proof(*until(lambda: _look(kubectl, generations, expect, before), limit, time.monotonic, time.sleep))


def quiet(kubectl: Kubectl, since: float) -> tuple[list[str], dict[str, t.Any]]:
    """Look through the logs from *since* on (seconds since the epoch); return who complains, and what is told of the look."""
    log = objects.logs(kubectl, WATCHED_NAMESPACE, since)
    return complaints.complaints(log), {"logs_unread": complaints.unread(log)}


def _look(kubectl: Kubectl, generations: Generations, expect: t.Sequence[gates.Expectation],
          before: dict[str, str]) -> tuple[list[str], dict[str, t.Any]]:
    """Look once; return what is unmet, and what was seen. Nobody is asked to sign before the objects are as expected.

    :param before: node → when its lease was renewed, as the first look saw it, which fills it in. No clock is compared with another.
    """
    try:
        asked = {one["ask"] for one in expect}
        seen: dict[str, t.Any] = {
            "objects": objects.held(kubectl, generations, dict.fromkeys(one["name"] for one in expect if "name" in one))}
        if SIGNED in asked:
            seen["signatures"] = objects.signatures(kubectl)
        if KNOWN_NODES in asked:
            seen["nodes"] = objects.nodes(kubectl)
        if RENEWS in asked:
            leases = objects.leases(kubectl)
            seen["renewed"] = {node: before.setdefault(node, moment) != moment for node, moment in leases.items()}
        unmet = gates.unmet([one for one in expect if one["ask"] != SIGNS], seen)
        if SIGNS in asked and not unmet:
            seen["signed_by"] = objects.signer(kubectl, generations)
            unmet = gates.unmet([one for one in expect if one["ask"] == SIGNS], seen)
    except PkiError as exc:
        return [str(exc)], {}
    return unmet, seen
