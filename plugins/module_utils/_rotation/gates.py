# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""prove: what must be seen over TLS before a phase is left, and what of it is not seen yet. Pure.

A gate is a list of expectations, each a dictionary with ``ask``:

* ``serves``: ``endpoint`` shows a chain of ``generation``;
* ``accepts`` / ``refuses``: ``endpoint`` lets a canary of ``generation`` in, or not;
* ``offers``: ``endpoint`` offers exactly the CA subjects ``names`` (of our authorities) to its clients;
* ``ready``: ``endpoint`` answers as a ready one;
* ``fresh``: ``process`` runs and is not older than ``bundles`` and ``copies``, files that it reads only at its start;
* ``clean``: no file of the host holds a CA or a leaf of ``generations`` (needs an observation with ``files``);
* ``holds``: object ``name`` holds exactly ``generations`` (of our authorities) in every place where it exists;
* ``holds_at_least``: object ``name`` holds ``generations``, whatever else;
* ``carries``: what owners keep in objects ``name`` has the new generation wherever it has the old one, and, when ``last``, the old one
  nowhere but in the places ``kept``;
* ``signed``: every bootstrap token that is to sign cluster-info has signed what it holds;
* ``volumes``: every pod's volume with kube-root-ca.crt on the host holds ``generations`` (of our authorities), and no other if ``exact``;
* ``known_nodes``: no node of the cluster is missing in ``nodes``;
* ``renews``: the kubelet of each of ``nodes`` has renewed its node's lease since the first look;
* ``tokens``: no pod's volume on the host holds a token of ``generations``, and it is ``until`` on the host's clock;
* ``reloads``: ``program`` counts more than ``more_than`` changes of its CA that it has taken over, or had ``within`` seconds for it, since
  one that starts anew counts from 0;
* ``signs``: what the certificates API approves is signed by ``generation``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.endpoints import ENDPOINTS, PUBLISHED, Endpoint
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import must_restart, run_reason
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE, TRUST
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Observation, Rotation, read_by, wrote_itself

Expectation = dict[str, t.Any]


def host_gate(on: hosts.Host, expected: Observation, rotation: Rotation, published: t.Sequence[str] = (OLD, NEW)) -> list[Expectation]:
    """Return what the host's endpoints must show once they have loaded what *expected* says is on its disk.

    :param published: generations that the ConfigMap extension-apiserver-authentication holds by then.
    """
    gate: list[Expectation] = []
    for endpoint in endpoints(on):
        gate.append({"ask": "ready", "endpoint": endpoint.name})
        if endpoint.serves in expected["pairs"]:
            gate.append({"ask": "serves", "endpoint": endpoint.name, "generation": expected["pairs"][endpoint.serves]["generation"]})
        for authority, bundle in endpoint.judges:
            if authority in rotation.generations:
                held = rotation.names(authority, published) if bundle == PUBLISHED else _held(on, expected, bundle)
                # Where an object decides, an early phase of a resumed run may find it cleaned already: old is not asked for.
                asked = (NEW,) if bundle == PUBLISHED and OLD in published else (OLD, NEW)
                gate += _canaries(endpoint, rotation.names(authority, asked), held)
        if endpoint.offers:
            held = [name for authority, bundle in endpoint.judges if authority in AUTHORITIES for name in _held(on, expected, bundle)]
            gate.append({"ask": "offers", "endpoint": endpoint.name, "generations": sorted(held)})
    return gate + _fresh(on, expected, rotation)


def published_after(phases: t.Iterable[Phase], last: str) -> tuple[str, ...]:
    """Return which generations extension-apiserver-authentication holds after *last*: API servers only ever add to it."""
    held: tuple[str, ...] = (OLD,)
    for phase in phases:
        if phase.reaches(CONTROL_PLANE):
            held = tuple(dict.fromkeys((*held, *phase.trusts)))
        if phase.reaches(CLIENTS) and OLD not in phase.trusts:
            held = phase.trusts
        if phase.name == last:
            break
    return held


def _held(on: hosts.Host, expected: Observation, bundle: str) -> list[str]:
    return list(expected["bundles"][on.same(bundle)]["generations"])


def endpoints(on: hosts.Host) -> list[Endpoint]:
    """Return the TLS endpoints of the host's processes."""
    return [endpoint for endpoint in ENDPOINTS if endpoint.process in on.components]


def unmet(gate: t.Iterable[Expectation], observed: Observation) -> list[str]:
    """Return what the observation does not show yet, one sentence each; empty when the gate is open."""
    return [problem for expectation in gate for problem in [_PROBLEM[expectation["ask"]](expectation, observed)] if problem]


def _canaries(endpoint: Endpoint, generations: t.Iterable[str], held: t.Sequence[str]) -> list[Expectation]:
    return [{"ask": "accepts" if generation in held else "refuses", "endpoint": endpoint.name, "generation": generation}
            for generation in generations]


def _fresh(on: hosts.Host, expected: Observation, rotation: Rotation) -> list[Expectation]:
    gate = []
    for process in hosts.processes(on):
        read = [(edge, read_by(on, edge, expected)) for edge in TRUST if edge.component == process.name]
        names = {row.name for edge, row in read if row and run_reason(process.name, hosts.input_of(edge, row), rotation.minor)
                 and not wrote_itself(process.name, expected["bundles"][row.name], rotation)}
        copies = {name for name, row in hosts.copies(on).items() if row.readers.get(process.name) and name in expected["copies"]
                  and must_restart(process.name, row.readers[process.name], rotation.minor)}
        gate.append({"ask": "fresh", "process": process.name, "bundles": sorted(names), "copies": sorted(copies)})
    return gate


def _serves(expectation: Expectation, observed: Observation) -> str:
    seen = observed["endpoints"][expectation["endpoint"]]["serves"]
    if seen == expectation["generation"]:
        return ""
    return f"{expectation['endpoint']} serves {seen or 'nothing we know'}, not yet {expectation['generation']}"


def _canary(expectation: Expectation, observed: Observation) -> str:
    seen = observed["endpoints"][expectation["endpoint"]]["canaries"].get(expectation["generation"], "not asked")
    wanted = "accepted" if expectation["ask"] == "accepts" else "refused"
    return "" if seen == wanted else f"{expectation['endpoint']}: canary of {expectation['generation']} is {seen}, must be {wanted}"


def _offers(expectation: Expectation, observed: Observation) -> str:
    seen = observed["endpoints"][expectation["endpoint"]]["offers"]
    return "" if seen == expectation["generations"] else f"{expectation['endpoint']} offers {seen}, not {expectation['generations']}"


def _ready(expectation: Expectation, observed: Observation) -> str:
    seen = observed["endpoints"][expectation["endpoint"]]
    return "" if seen["ready"] else f"{expectation['endpoint']} is not ready: {seen['error'] or 'no answer'}"


def _is_fresh(expectation: Expectation, observed: Observation) -> str:
    process = observed["processes"][expectation["process"]]
    if not process["running"]:
        return f"{expectation['process']} does not run"
    older = [observed[kind][name]["path"] for kind in ("bundles", "copies") for name in expectation.get(kind, ())
             if process["started"] < observed[kind][name]["changed_at"]]
    return f"{expectation['process']} is older than {', '.join(older)}" if older else ""


def _clean(expectation: Expectation, observed: Observation) -> str:
    unwanted = set(expectation["generations"])
    left = [f"{path} ({', '.join(sorted(unwanted & set(names)))})"
            for path, names in sorted(observed["files"].items()) if unwanted & set(names)]
    return f"old generations are left in {', '.join(left)}" if left else ""


def _holds(expectation: Expectation, observed: Observation) -> str:
    wanted = set(expectation["generations"])
    for place, held in sorted(observed["objects"][expectation["name"]].items()):
        exact = expectation["ask"] == "holds"
        if (set(held) != wanted) if exact else not wanted <= set(held):
            return f"{expectation['name']} in {place} holds {', '.join(held) or 'nothing we know'}, wanted {', '.join(sorted(wanted))}"
    return ""


def _carries(expectation: Expectation, observed: Observation) -> str:
    for place, held in sorted(observed["objects"][expectation["name"]].items()):
        for both in expectation["rotation"].values():
            if both[OLD] in held and both[NEW] not in held:
                return f"{expectation['name']} {place} holds {both[OLD]} without {both[NEW]}: does its owner write it back?"
            if both[OLD] in held and expectation["last"] and place not in expectation["kept"]:
                return f"{expectation['name']} {place} still holds {both[OLD]}: does its owner write it back?"
    return ""


def _signed(_expectation: Expectation, observed: Observation) -> str:
    stale = sorted(name for name, fits in observed["signatures"].items() if not fits)
    return f"cluster-info is not signed anew by bootstrap token {', '.join(stale)}" if stale else ""


def _volumes(expectation: Expectation, observed: Observation) -> str:
    wanted = set(expectation["generations"])
    # A pod may project another CA under the same name; that is none of our authorities.
    ours = {path: {one for one in held if not one.startswith("unknown")} for path, held in sorted(observed["volumes"].items())}
    return next((f"{path} holds {', '.join(sorted(held)) or 'nothing we know'}, wanted {', '.join(sorted(wanted))}"
                 for path, held in ours.items()
                 if not (held == wanted if expectation["exact"] else held >= wanted) and (held or not observed["volumes"][path])), "")


def _known_nodes(expectation: Expectation, observed: Observation) -> str:
    strangers = sorted(set(observed["nodes"]) - set(expectation["nodes"]))
    return f"nodes of the cluster that are not in the inventory: {', '.join(strangers)}" if strangers else ""


def _renews(expectation: Expectation, observed: Observation) -> str:
    silent = [node for node in expectation["nodes"] if not observed["renewed"].get(node)]
    return f"no lease renewed, so their kubelets reach no API server: {', '.join(silent)}" if silent else ""


def _reloads(expectation: Expectation, observed: Observation) -> str:
    program, count = expectation["program"], observed["reloads"].get(expectation["program"], 0)
    if count > expectation["more_than"] or observed["looked_seconds"] >= expectation["within"]:
        return ""
    return f"{program} has not read its changed CA again"


def _tokens(expectation: Expectation, observed: Observation) -> str:
    unwanted = set(expectation["generations"])
    for path, generation in sorted(observed["tokens"].items()):
        if generation in unwanted:
            return f"{path} holds a token of {generation}"
    left = expectation["until"] - observed["clock"]
    return f"a pod may read its token again only within {left:.0f} s" if left > 0 else ""


def _signs(expectation: Expectation, observed: Observation) -> str:
    seen = observed["signed_by"]
    return "" if seen == expectation["generation"] else f"{seen or 'a foreign CA'} signs, not {expectation['generation']}"


_PROBLEM: dict[str, t.Callable[[Expectation, Observation], str]] = {
    "serves": _serves, "accepts": _canary, "refuses": _canary, "offers": _offers, "ready": _ready, "fresh": _is_fresh,
    "clean": _clean, "holds": _holds, "holds_at_least": _holds, "signs": _signs, "volumes": _volumes,
    "carries": _carries, "signed": _signed, "known_nodes": _known_nodes, "tokens": _tokens,
    "renews": _renews, "reloads": _reloads,
}
