# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""plan: (observation, desired state) → actions, each with its reason. Pure; check mode, the run and a resume all call it.

An observation of a host is the result of ``pki_host_info``::

    {"bundles": {name: {"path", "generations": [...], "changed_at"}}, "pairs": {leaf: {"generation", "changed_at"}},
     "copies": {name: {"generation", "changed_at", "apart", "home"}}, "processes": {name: {"running", "started"}},
     "tokens": {path: generation}, ...}

Generations are named ``<authority>/<stamp>``, times are seconds since the epoch. The plan only ever moves forward: what is
already where a phase, or a later one, wants it is left alone. So a killed run is resumed by running all phases again.
"""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import LEAVES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBELET
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, PROJECTED_TOKEN, Phase, phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import TOKENS_INPUT, run_reason
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST, Trust
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER, GRACEFUL, RESTARTS_WITH

Observation = t.Mapping[str, t.Any]
WINDOW_PROCESSES = frozenset({API_SERVER, "etcd"})
IDENTITY = "kubelet-client"  # the leaf with which a kubelet is its node
SIGNER = "signer"
SIGNER_INPUT = "--cluster-signing-cert-file"
_LEAF = {leaf.name: leaf for leaf in LEAVES}


class Rotation(t.NamedTuple):
    """Which generation of each authority leaves and which comes, and the cluster's version as (major, minor).

    ``graceful``: whether API servers get the shutdown flags of ``_cluster.windows`` with their next start.
    """

    generations: t.Mapping[str, t.Mapping[str, str]]  # authority -> {"old": name, "new": name}
    minor: tuple[int, int]
    graceful: bool = False

    def names(self, authority: str, which: t.Iterable[str]) -> list[str]:
        """Return the generations' names, in the order asked for."""
        return [self.generations[authority][one] for one in which]


class Restart(t.NamedTuple):
    """A process to restart and why nothing less will do."""

    process: str
    reasons: list[str]


class Actions(t.NamedTuple):
    """What one phase does on one host. ``bundles`` maps name → generations in order; ``reasons`` tell of every line."""

    bundles: dict[str, list[str]]
    leaves: list[str]
    copies: list[str]
    restarts: list[Restart]
    reasons: list[str]
    apart: tuple[str, ...] = ()  # copies that leave their home, because it is going to hold two certificates
    home: tuple[str, ...] = ()  # copies that come home, where only the new generation is left
    flags: t.Mapping[str, t.Mapping[str, str]] = {}  # process -> flag -> value, from its next start on
    renews: bool = False  # whether the tokens of the host's pods are made anew

    @property
    def nothing(self) -> bool:
        """Whether the host is where the phase wants it."""
        return not (self.bundles or self.leaves or self.copies or self.restarts or self.apart or self.home)

    @property
    def window(self) -> bool:
        """Whether the host's API server must be stopped first and started last."""
        return any(restart.process in WINDOW_PROCESSES for restart in self.restarts)


Plan = t.Sequence[tuple[Phase, t.Mapping[str, Actions]]]


def actions(on: hosts.Host, observed: Observation, phase: Phase, rotation: Rotation) -> Actions:
    """Return what the phase has to do on a host; nothing where the host is there already, or further."""
    reasons: list[str] = []
    bundles = _bundle_changes(on, observed, phase, rotation, reasons)
    leaves = [
        name for name in hosts.pairs(on)
        if name in phase.presents and _LEAF[name].authority in rotation.generations and name in observed["pairs"]
        and _behind(observed["pairs"][name], rotation.names(_LEAF[name].authority, [NEW])[0], name, reasons)
    ]
    copies, apart, home = _copies(on, observed, phase, rotation, reasons)
    renews = PROJECTED_TOKEN in phase.presents and bool(tokens_of_old(observed, rotation))
    restarts = _restarts(on, observed, _Changes({*bundles}, {*leaves}, {*copies}, {*apart, *home}, renews), rotation)
    for restart in restarts:
        reasons += [f"restart {restart.process}: {reason}" for reason in restart.reasons]
    return Actions(bundles, leaves, copies, restarts, reasons, apart, home, _graceful(observed, restarts, rotation, reasons), renews)


def tokens_of_old(observed: Observation, rotation: Rotation) -> list[str]:
    """Return the tokens in volumes of the host's pods that the old key has signed, where the service accounts' key rotates."""
    if SERVICE_ACCOUNTS not in rotation.generations:
        return []
    old = rotation.names(SERVICE_ACCOUNTS, [OLD])[0]
    return [path for path, generation in sorted(observed.get("tokens", {}).items()) if generation == old]


def lacks_graceful(observed: Observation) -> dict[str, str]:
    """Return the shutdown flags that the host's API server is started without, as far as its manager knows its flags."""
    flags = observed["processes"].get(API_SERVER, {}).get("flags") or {}
    return {name: value for name, value in GRACEFUL.items() if name not in flags} if flags else {}


def _graceful(observed: Observation, restarts: t.Iterable[Restart], rotation: Rotation, reasons: list[str]) -> dict[str, dict[str, str]]:
    missing = lacks_graceful(observed) if rotation.graceful and API_SERVER in {one.process for one in restarts} else {}
    if not missing:
        return {}
    reasons.append(f"{API_SERVER}: starts with {' '.join(f'{name}={value}' for name, value in missing.items())} from now on; "
                   "this stop is still without")
    return {API_SERVER: missing}


def _copies(on: hosts.Host, observed: Observation, phase: Phase, rotation: Rotation,
            reasons: list[str]) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """Return the copies to install, those to take from their home, and those to bring home."""
    install, apart, home = [], [], []
    for row in hosts.copies(on).values():
        seen = observed["copies"].get(row.name)
        if seen is None or row.authority not in rotation.generations:
            continue
        new = rotation.names(row.authority, [NEW])[0]
        away = bool(row.home) and seen["home"] != new
        # A rollback may find its generation at home, beside the other one: a run that was killed has widened the bundle already.
        if phase.widens and (away or _several(on, observed, row.home)) and not seen["apart"] and row.name == SIGNER:
            apart.append(row.name)
            reasons.append(f"{row.name}: signs from {row.home}, will sign from {row.public} while that holds two generations")
        if row.name in phase.presents or (phase.narrows and away):
            install += [row.name] * _behind(seen, new, row.name, reasons)
        if phase.narrows and (away or (row.home and seen["apart"])):
            home.append(row.name)
            reasons.append(f"{row.home_key}: of {seen['home'] or 'no known generation'}, will be of {new}")
    return install, tuple(apart), tuple(home)


def _several(on: hosts.Host, observed: Observation, path: str) -> bool:
    """Whether the bundle at the path holds several generations."""
    return any(row.path == path and len(observed["bundles"][name]["generations"]) > 1 for name, row in hosts.bundles(on).items()
               if name in observed["bundles"])


def predict(on: hosts.Host, observed: Observation, done: Actions, rotation: Rotation, now: float) -> dict[str, t.Any]:
    """Return the observation as it will be once the actions are done at *now*."""
    after = copy.deepcopy(dict(observed))
    for name, generations in done.bundles.items():
        after["bundles"][name].update(generations=generations, changed_at=now)
    for name in done.leaves:
        after["pairs"][name].update(generation=rotation.generations[_LEAF[name].authority][NEW], changed_at=now)
    for name in done.copies:
        after["copies"][name].update(generation=rotation.generations[hosts.copies(on)[name].authority][NEW], changed_at=now)
    for name in done.apart:
        after["copies"][name].update(apart=True)
    for name in done.home:
        after["copies"][name].update(apart=False, home=rotation.generations[hosts.copies(on)[name].authority][NEW])
    if done.renews:
        after["tokens"] = dict.fromkeys(observed["tokens"], rotation.generations[SERVICE_ACCOUNTS][NEW])
    for restart in done.restarts:
        after["processes"][restart.process].update(running=True, started=now)
    for process, flags in done.flags.items():
        after["processes"][process]["flags"] = {**after["processes"][process]["flags"], **flags}
    return after


def _position(generations: t.Sequence[str], old: str, new: str) -> int:
    """0: the old generation alone, 1: both, 2: the new one alone."""
    if new not in generations:
        return 0
    return 1 if old in generations else 2


def _bundle_changes(on: hosts.Host, observed: Observation, phase: Phase, rotation: Rotation, reasons: list[str]) -> dict[str, list[str]]:
    changes = {}
    for name, row in hosts.bundles(on).items():
        known = row.authority in rotation.generations and name in observed["bundles"]
        if not known or not phase.reaches(hosts.side(on, name)):
            continue
        old, new = rotation.names(row.authority, [OLD, NEW])
        wanted = rotation.names(row.authority, phase.trusts)
        found = observed["bundles"][name]["generations"]
        if _position(found, old, new) < _position(wanted, old, new):
            changes[name] = wanted
            reasons.append(f"bundle {row.path}: trusts {' + '.join(found) or 'nothing'}, will trust {' + '.join(wanted)}")
    return changes


def _behind(found: t.Mapping[str, t.Any], wanted: str, name: str, reasons: list[str]) -> bool:
    if found["generation"] == wanted:
        return False
    reasons.append(f"{name}: of {found['generation'] or 'no known generation'}, will be of {wanted}")
    return True


class _Changes(t.NamedTuple):
    bundles: set[str]
    leaves: set[str]
    copies: set[str]
    moved: set[str]  # copies that are kept elsewhere from now on, which a flag says
    tokens: bool  # whether the tokens of the host's pods shall be made anew


class _Input(t.NamedTuple):
    name: str
    path: str
    changed_at: float
    changes: bool


def _restarts(on: hosts.Host, observed: Observation, changes: _Changes, rotation: Rotation) -> list[Restart]:
    found_reasons: dict[str, list[str]] = {}
    for process in hosts.processes(on):
        found = observed["processes"][process.name]
        reasons = [] if found["running"] else ["is not running"]
        for item in _inputs(on, process.name, observed, changes, rotation):
            why = run_reason(process.name, item.name, rotation.minor)
            if why and item.changes:
                reasons.append(f"{item.path} ({item.name}) changes: {why}")
            elif why and found["running"] and found["started"] < item.changed_at:
                reasons.append(f"is older than {item.path} ({item.name}): {why}")
        found_reasons[process.name] = list(dict.fromkeys(reasons))
    for name, beside in RESTARTS_WITH.items():
        if name in found_reasons and not found_reasons[name] and found_reasons.get(beside):
            found_reasons[name] = [f"{beside} beside it restarts, which it must not see"]
    return [Restart(name, reasons) for name, reasons in found_reasons.items() if reasons]


def wrote_itself(process: str, bundle: t.Mapping[str, t.Any], rotation: Rotation) -> bool:
    """Whether it says nothing that the process is older than its bundle: a kubelet that has joined wrote its kubeconfig itself.

    A bundle with a new generation was written by a rotation.
    """
    return process == "kubelet" and not {both[NEW] for both in rotation.generations.values()} & set(bundle["generations"])


def read_by(on: hosts.Host, edge: Trust, observed: Observation) -> hosts.Bundle | None:
    """Return the bundle that a trust edge's verifier reads on the host, None also where it is not started with the flag that names it."""
    row = hosts.read_by(on, edge)
    if row and edge.optional:
        flags = observed["processes"][edge.component].get("flags") or {}
        return row if flags.get(edge.input) == row.path else None
    return row


def _inputs(on: hosts.Host, process: str, observed: Observation, changes: _Changes, rotation: Rotation) -> list[_Input]:
    """Return the files that a process reads, with the input of the reload table that names each."""
    found = []
    for edge in TRUST:
        row = read_by(on, edge, observed) if edge.component == process else None
        if row and row.name in observed["bundles"]:
            seen = observed["bundles"][row.name]
            changed_at = 0.0 if wrote_itself(process, seen, rotation) else seen["changed_at"]
            found.append(_Input(hosts.input_of(edge, row), row.path, changed_at, row.name in changes.bundles))
    for name, pair in hosts.pairs(on).items():
        if _LEAF[name].component == process and name in observed["pairs"]:
            # The kubelet renews its own certificate and loads what it has written.
            changed_at = 0.0 if pair.store == KUBELET else observed["pairs"][name]["changed_at"]
            found.append(_Input(hosts.leaf_input(pair), pair.certificate_path, changed_at, name in changes.leaves))
    for name, copied in hosts.copies(on).items():
        if copied.readers.get(process) and name in observed["copies"]:
            changed_at = observed["copies"][name]["changed_at"]
            found.append(_Input(copied.readers[process], copied.public or copied.key, changed_at, name in changes.copies))
            if name == SIGNER:
                found.append(_Input("flags", SIGNER_INPUT, 0.0, name in changes.moved))
    if process == "kubelet":
        found.append(_Input(TOKENS_INPUT, "tokens of its pods", 0.0, changes.tokens))
    return found


def whole(on_hosts: t.Mapping[str, hosts.Host], observed: t.Mapping[str, Observation], rotation: Rotation,
          now: float) -> list[tuple[Phase, dict[str, Actions]]]:
    """Return the actions of every phase on every host, by applying each phase's plan to a model of the observation."""
    expected = dict(observed)
    plan = []
    for phase in phases_of(rotation.generations):
        todo = {name: actions(on, expected[name], phase, rotation) for name, on in on_hosts.items()}
        plan.append((phase, todo))
        expected = {name: predict(on_hosts[name], expected[name], todo[name], rotation, now) for name in on_hosts}
    return plan
