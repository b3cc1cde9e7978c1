# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One phase as arguments of the public modules, for every host at once: what each is given, in which waves, and its gate. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBELET
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import OLD, POD_TOKEN, PROJECTED_TOKEN, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import PROGRAMS, TOKEN_READ_SECONDS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.arguments import canaries, key_canaries
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments, Result, runs_pods
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.object_arguments import (
    changed_at,
    common,
    held_by_control_planes,
    object_arguments,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import (
    SIGNER,
    SIGNER_INPUT,
    Actions,
    Observation,
    actions,
    predict,
    tokens_of_old,
)

# From a control plane's change until its controller-manager has published it: the length of a window (measured: at most 58 s).
PUBLISHED_SECONDS = 60


def phase_arguments(args: Arguments, phase: Phase) -> Result:
    """Return one phase's arguments: the waves in which hosts are brought there, and per host what the modules are given and the gate."""
    todo = {name: actions(on, args.observed[name], phase, args.rotation) for name, on in args.on.items()}
    expected = {name: predict(on, args.observed[name], todo[name], args.rotation, args.observed[name]["clock"])
                for name, on in args.on.items()}
    first, last = phase == args.phases[0], phase == args.phases[-1]
    clean = [{"ask": "clean", "generations": [both[OLD] for both in args.rotation.generations.values()]}] if last else []
    number = {"number": args.phases.index(phase) + 1, "of": len(args.phases), "last": last}
    return {
        "phase": {"name": phase.name, "purpose": phase.purpose, **number},
        "todo": {name: {**_todo(on, todo[name], args), "gate": _host_gate(on, phase, expected, args) + clean,
                        "certificates": [*(one["name"] for one in canaries(on, args) if first), *todo[name].leaves],
                        "copies": [*(one["name"] for one, _seal in key_canaries(on, args) if first), *todo[name].copies],
                        # In the first phase everywhere: a run that was cut short may have left a host without clients.
                        "undrain": todo[name].window or (first and API_SERVER in on.components)}
                 for name, on in args.on.items()},
        "waves": waves_of(args, todo, proves_all=first or last or POD_TOKEN in phase.presents or any(
            _volumes(on, phase, expected, args) for on in args.on.values())),
        "objects": object_arguments(args, phase, expected),
        "workloads": _workloads(args, phase, expected),
        "reloads": _reloads(args, phase, expected),
        "workloads_since": changed_at(args) + PUBLISHED_SECONDS if phase.reaches(CLIENTS) else 0.0,
    }


def _workloads(args: Arguments, phase: Phase, expected: t.Mapping[str, Observation]) -> str:
    """Return the mark of what pods trust after the phase; empty where it does not change, or where no host runs pods."""
    if not phase.reaches(CLIENTS) or "kubernetes" not in args.rotation.generations or not runs_pods(args.on.values()):
        return ""
    return "+".join(sorted({name for held in held_by_control_planes("kubernetes", args, expected) for name in held}))


def _host_gate(on: hosts.Host, phase: Phase, expected: t.Mapping[str, Observation], args: Arguments) -> list[gates.Expectation]:
    published = gates.published_after(args.phases, phase.name)
    return [*gates.host_gate(on, expected[on.name], args.rotation, published), *_volumes(on, phase, expected, args),
            *_tokens(on, phase, args)]


def _volumes(on: hosts.Host, phase: Phase, expected: t.Mapping[str, Observation], args: Arguments) -> list[gates.Expectation]:
    """Say what the volumes of the host's pods hold once what the controller-manager publishes has come to them."""
    if not phase.reaches(CLIENTS) or not runs_pods([on]) or "kubernetes" not in args.rotation.generations:
        return []
    held = held_by_control_planes("kubernetes", args, expected)
    return [{"ask": "volumes", "generations": common(held), "exact": len(held) == 1}]


def _reloads(args: Arguments, phase: Phase, expected: t.Mapping[str, Observation]) -> dict[str, list[gates.Expectation]]:
    """Say for each node which of its programs must have read the changed CA by itself; a program only where all nodes can be asked.

    A run that found the CA changed already cannot tell whether it has been read since.
    """
    nodes = [name for name, on in args.on.items() if runs_pods([on])]
    if not phase.reaches(CLIENTS) or "kubernetes" not in args.rotation.generations:
        return {}
    wanted = {name: set(expected[name]["bundles"]["kubernetes"]["generations"]) for name in nodes}
    asked = {program: row.seconds for program, row in PROGRAMS.items() if row.live_since <= args.rotation.minor and all(
        program in args.before.get(name, {}).get("reloads", {})
        and wanted[name] not in [set(held) for held in args.before[name]["volumes"].values()] for name in nodes)}
    return {name: [{"ask": "reloads", "program": program, "more_than": args.before[name]["reloads"][program], "within": seconds}
                   for program, seconds in asked.items()] for name in nodes} if asked else {}


def _tokens(on: hosts.Host, phase: Phase, args: Arguments) -> list[gates.Expectation]:
    """Say of which key the tokens of the host's pods are, and how long the pods need to read them: from when no old one was left."""
    if SERVICE_ACCOUNTS not in args.rotation.generations or not runs_pods([on]) or not {PROJECTED_TOKEN, POD_TOKEN} & {*phase.presents}:
        return []
    seen = args.observed[on.name]
    read = POD_TOKEN in phase.presents and not tokens_of_old(seen, args.rotation)
    return [{"ask": "tokens", "generations": args.rotation.names(SERVICE_ACCOUNTS, [OLD]),
             "until": seen["clock"] + TOKEN_READ_SECONDS if read else 0.0}]


def _todo(on: hosts.Host, done: Actions, args: Arguments) -> Result:
    return {
        "reasons": done.reasons,
        "bundles": [items.bundle_item(on, name, [args.known[generation]["certificate"] for generation in generations])
                    for name, generations in done.bundles.items()],
        "restarts": [restart.process for restart in done.restarts],
        "window": done.window,
        **_moves(on, done),
    }


def _moves(on: hosts.Host, done: Actions) -> Result:
    """Return which files of the host are copied to another place on it, and the flags that name the signer's pair from then on."""
    rows, moves, flags = hosts.copies(on), [], {}
    for name in done.apart:
        moves += [{"source": rows[name].home_key, "path": rows[name].key, "kind": "key"},
                  {"source": rows[name].home, "path": rows[name].public, "kind": "certificate"}]
    moves += [{"source": rows[name].key, "path": rows[name].home_key, "kind": "key"} for name in done.home]
    if SIGNER in (*done.apart, *done.home):
        row = rows[SIGNER]
        key, public = (row.key, row.public) if SIGNER in done.apart else (row.home_key, row.home)
        flags = {"kube-controller-manager": {SIGNER_INPUT: public, "--cluster-signing-key-file": key}}
    return {"moves": moves, "flags": {**flags, **done.flags}}


def waves_of(args: Arguments, todo: t.Mapping[str, Actions], proves_all: bool) -> list[list[str]]:
    """Return groups of hosts, each brought to the phase and proved before the next.

    Hosts with restarts come one at a time, all others together with the last of them. A worker's restart takes nothing from other nodes,
    so workers come in groups, once a first one has shown that it goes well.

    A gate asks for everything that is on a host's disk, so a host that a phase leaves alone has proved it in this run before:
    in the first phase, which also proves what a killed run wrote, and wherever it changed since. Nodes prove what their pods' volumes
    hold before a pod is restarted, whether or not this run has changed them.
    """
    rolls = [name for name, one in todo.items() if one.restarts and not one.window]
    workers = [name for name in rolls if args.on[name].components == (KUBELET,)]
    size = args.nodes_at_a_time
    groups = [workers[:1], *(workers[start:start + size] for start in range(1, len(workers), size))]
    rest = [name for name, one in todo.items() if not one.restarts and (proves_all or not one.nothing)]
    alone = (*_window_order(args, todo), *(name for name in rolls if name not in workers))
    waves = [wave for wave in [*([name] for name in alone), *groups] if wave] or [[]]
    waves[-1] += rest
    return [wave for wave in waves if wave]


def _window_order(args: Arguments, todo: t.Mapping[str, Actions]) -> list[str]:
    """Hosts that a killed run left with a process down first, the etcd leader's host last."""
    def rank(name: str) -> tuple[bool, bool]:
        seen = args.observed[name]
        return all(process["running"] for process in seen["processes"].values()), seen["etcd_leader"]

    return sorted((name for name, one in todo.items() if one.window), key=rank)
