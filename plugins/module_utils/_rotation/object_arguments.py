# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One phase as arguments of the modules that change and prove the cluster's objects, nodes and signer. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import OLD, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments, Result, runs_pods
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Observation


def object_arguments(args: Arguments, phase: Phase, expected: t.Mapping[str, Observation]) -> Result:
    """Return what the phase does to the cluster's objects and what they must hold then; no phase without a side changes them."""
    wanted: list[tuple[str, list[str]]] = []
    gate: list[gates.Expectation] = []
    last = phase.reaches(CLIENTS) and OLD not in phase.trusts
    for row in objects.OBJECTS:
        if row.authority not in args.rotation.generations:
            continue
        several = held_by_control_planes(row.authority, args, expected)
        held = common(several)
        ours = row.keeper == objects.US and phase.reaches(CLIENTS) and bool(args.objects.get(row.name))
        wanted += [(row.name, held)] * (ours or (row.keeper == objects.API_SERVER and last))
        gate += [{"ask": "signed"}] * ours
        if ours or row.keeper != objects.US:
            exact = ours or last or (row.keeper != objects.API_SERVER and len(several) == 1)
            gate.append({"ask": "holds" if exact else "holds_at_least", "name": row.name, "generations": held})
    return {
        # Where clients' objects do not change they hold what the control planes' phase before has proved.
        "gate": [*(gate if phase.reaches(CONTROL_PLANE) or wanted else []), *_signer(args, phase, expected), *_nodes(args, phase)],
        "bundles": [objects.item(name, [args.known[one]["certificate"] for one in generations]) for name, generations in wanted],
        "carry": _carry(args, phase, last),
        "quiet_since": _quiet_since(args) if last and runs_pods(args.on.values()) else 0.0,
    }


def held_by_control_planes(authority: str, args: Arguments, expected: t.Mapping[str, Observation]) -> list[list[str]]:
    """Return what the control planes' bundles of an authority hold: one list, or two where a run that was cut short left some further.

    A resumed run finds some of them at an end of the rotation, one that turns back some that never left the other end.
    """
    found = [one["bundles"][authority]["generations"] for name, one in expected.items()
             if API_SERVER in args.on[name].components and authority in one["bundles"]]
    found = found or [one["bundles"][authority]["generations"] for one in expected.values() if authority in one["bundles"]]
    return [held for number, held in enumerate(found) if set(held) not in [set(one) for one in found[:number]]] or [[]]


def common(held: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Return what all of them hold."""
    return [name for name in held[0] if all(name in one for one in held)]


def _carry(args: Arguments, phase: Phase, last: bool) -> Result:
    """Say what owners' objects hold: API servers judge webhooks by it, before the new generation signs and until nobody shows the old one.

    When pods trust both generations it is said again, because some of them write such objects themselves, from what they trust.
    """
    widens = OLD in phase.trusts and (phase.reaches(CONTROL_PLANE) or runs_pods(args.on.values()))
    if not widens and not last:
        return {}
    return {"rotation": args.rotation.generations, "trusts": list(phase.trusts), "uploaded_before": changed_at(args) if last else 0.0}


def changed_at(args: Arguments) -> float:
    """Return when a control plane's trust changed last, in seconds since the epoch; a phase of the clients follows one of theirs."""
    rows = [args.observed[name]["bundles"] for name, on in args.on.items() if "kube-apiserver" in on.components]
    return max((row[authority]["changed_at"] for row in rows for authority in args.rotation.generations if authority in row), default=0.0)


def _quiet_since(args: Arguments) -> float:
    """Return since when nobody may complain of a certificate: the last control plane's change, or this run's first look if that is later.

    What a run before this one has left behind is not this run's.
    """
    return max(changed_at(args), min(one["clock"] for one in args.observed.values()))


def _nodes(args: Arguments, phase: Phase) -> list[gates.Expectation]:
    """Ask for nodes that joined meanwhile and that the inventory does not know: the next phases would lock them out.

    And for kubelets whose connections are new, because they or their API servers have restarted: as clients they are seen by their leases.
    """
    nodes = [on.node for on in args.on.values() if runs_pods([on])]
    if not nodes or "kubernetes" not in args.rotation.generations:
        return []
    renews: list[gates.Expectation] = [{"ask": "renews", "nodes": nodes}] * (phase.reaches(CLIENTS) or phase.narrows)
    return [*([{"ask": "known_nodes", "nodes": nodes}] * phase.reaches(CLIENTS)), *renews]


def _signer(args: Arguments, phase: Phase, expected: t.Mapping[str, Observation]) -> list[gates.Expectation]:
    """Say which generation must sign after the phase, where the phase moves the signer or ends the old generation."""
    moves = "signer" in phase.presents or phase.narrows
    if not moves or "kubernetes" not in args.rotation.generations:
        return []
    return [{"ask": "signs", "generation": one["copies"]["signer"]["generation"]}
            for one in expected.values() if "signer" in one["copies"]][:1]
