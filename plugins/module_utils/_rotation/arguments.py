# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The plan as arguments of the public modules, for every host at once. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items, objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES, SERVICE_ACCOUNTS, Leaf
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBELET, Copy
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import (
    NEW,
    OLD,
    POD_TOKEN,
    PROJECTED_TOKEN,
    Phase,
    phases_of,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import PROGRAMS, TOKEN_READ_SECONDS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import (
    SIGNER,
    SIGNER_INPUT,
    Actions,
    Observation,
    Rotation,
    actions,
    predict,
    tokens_of_old,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import Objects, in_use

Known = t.Mapping[str, t.Mapping[str, t.Any]]
Result = dict[str, t.Any]
_CopyAndSeal = tuple[Result, Result]
_LEAF = {leaf.name: leaf for leaf in LEAVES}
# From a control plane's change until its controller-manager has published it: the length of a window (measured: at most 58 s).
PUBLISHED_SECONDS = 60


class Arguments(t.NamedTuple):
    """All that is known when a phase is planned."""

    on: t.Mapping[str, hosts.Host]
    cluster: items.Cluster
    observed: t.Mapping[str, Observation]
    rotation: Rotation
    known: Known
    objects: Objects
    nodes_at_a_time: int = 1  # workers whose kubelets restart side by side
    before: t.Mapping[str, Observation] = {}  # "reloads" and "volumes" of nodes as they were before the CA in the volumes began to change

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the rotation in their order."""
        return phases_of(self.rotation.generations)


def stage_arguments(args: Arguments) -> Result:
    """Return what is made before the first phase: leaves of the new generation, canaries of both, copies of the signer."""
    generations = {authority: (both[OLD], both[NEW]) for authority, both in args.rotation.generations.items()}
    if any(name not in args.known for both in generations.values() for name in both):
        return {}
    newest, everyone = {name: both[1] for name, both in generations.items()}, {name: name for both in generations.values() for name in both}
    return {
        **authority_arguments(args.known, {**newest, **everyone}),
        "stage": {name: _stage(on, args, generations) for name, on in args.on.items()},
    }


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
        "todo": {name: {**_todo(on, todo[name], args), "gate": _host_gate(on, phase, expected[name], args) + clean,
                        "certificates": [*(one["name"] for one in _canaries(on, args) if first), *todo[name].leaves],
                        "copies": [*(one["name"] for one, _seal in _key_canaries(on, args) if first), *todo[name].copies],
                        # In the first phase everywhere: a run that was cut short may have left a host without clients.
                        "undrain": todo[name].window or (first and API_SERVER in on.components)}
                 for name, on in args.on.items()},
        "waves": _waves(args, todo, proves_all=first or last or POD_TOKEN in phase.presents or any(
            _volumes(on, phase, expected[name], args) for name, on in args.on.items())),
        "objects": _objects(args, phase, expected),
        "workloads": _workloads(args, phase, expected),
        "reloads": _reloads(args, phase, expected),
        "workloads_since": _changed_at(args) + PUBLISHED_SECONDS if phase.reaches(CLIENTS) else 0.0,
    }


def _workloads(args: Arguments, phase: Phase, expected: t.Mapping[str, Observation]) -> str:
    """Return the mark of what pods trust after the phase; empty where it does not change, or where no host runs pods."""
    if not phase.reaches(CLIENTS) or "kubernetes" not in args.rotation.generations or not runs_pods(args.on.values()):
        return ""
    return "+".join(next(one["bundles"]["kubernetes"]["generations"] for one in expected.values() if "kubernetes" in one["bundles"]))


def _host_gate(on: hosts.Host, phase: Phase, expected: Observation, args: Arguments) -> list[gates.Expectation]:
    published = gates.published_after(args.phases, phase.name)
    return [*gates.host_gate(on, expected, args.rotation, published), *_volumes(on, phase, expected, args), *_tokens(on, phase, args)]


def _volumes(on: hosts.Host, phase: Phase, expected: Observation, args: Arguments) -> list[gates.Expectation]:
    """Say what the volumes of the host's pods hold once what the controller-manager publishes has come to them."""
    if not phase.reaches(CLIENTS) or not runs_pods([on]) or "kubernetes" not in args.rotation.generations:
        return []
    return [{"ask": "volumes", "generations": expected["bundles"]["kubernetes"]["generations"]}]


def runs_pods(on_hosts: t.Iterable[hosts.Host]) -> bool:
    """Whether pods run on one of the hosts, as far as the layout knows."""
    return any(KUBELET in on.components for on in on_hosts)


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


def provision_arguments(args: Arguments, authorities: t.Iterable[str]) -> Result:
    """Return everything a host holds, of the newest generation of each authority.

    :raises PkiError: when a host uses another generation: replacing it at one stroke is what a rotation exists to avoid.
    """
    newest = {}
    for authority in (*authorities, SERVICE_ACCOUNTS):
        names = [name for name in args.known if name.startswith(f"{authority}/")]
        if not names:
            return {"text": _provision_text(args)}
        newest[authority] = names[-1]
        others = in_use(authority, args.observed, args.objects) - {names[-1]}
        if others:
            raise PkiError(authority, f"hosts use {', '.join(sorted(others))}, the newest generation is {names[-1]}",
                           "finish the rotation with rotate_ca.yml")
    return {**authority_arguments(args.known, newest),
            "provision": {name: provision_of(on, args.cluster, {authority: args.known[one] for authority, one in newest.items()})
                          for name, on in args.on.items()}}


def adopt_arguments(on_hosts: t.Iterable[hosts.Host]) -> Result:
    """Return where the first of the hosts keeps the pairs of the cluster's authorities and of the service accounts.

    :raises PkiError: where the layout keeps none on its hosts.
    """
    on = next(iter(on_hosts))
    rows = hosts.copies(on).values()
    if not any(row.home for row in rows):
        raise PkiError(on.name, f"hosts of the layout {on.layout.name} keep no authority's pair",
                       "put each pair into pki_authority_dir, as <authority>/<YYYYMMDDTHHMMSSZ>.crt and .key")
    return {"sources": [{"name": row.name, "key_path": row.home_key or row.key, **({"public_path": row.home} if row.home else {})}
                        for row in rows],
            "authority_of": {row.name: row.authority if row.authority in AUTHORITIES else "" for row in rows}}


def authority_arguments(known: Known, generation_of: t.Mapping[str, str]) -> Result:
    """Return the authorities as hosts compare with them (certificates) and as the authority host signs with them (paths)."""
    cas = {name: known[generation] for name, generation in generation_of.items() if not generation.startswith(f"{SERVICE_ACCOUNTS}/")}
    return {
        "authorities": [{"name": name, "certificate_content": facts["certificate"]} for name, facts in cas.items()],
        "signers": [{"name": name, "certificate_path": facts["certificate_path"], "key_path": facts["key_path"]}
                    for name, facts in cas.items()],
    }


def _provision_text(args: Arguments) -> list[str]:
    """Say what a first run would make, while there is no authority yet that could tell more."""
    return [f"{name}: leaves {', '.join(leaf.name for leaf in hosts.provisioned(on))}; bundles "
            f"{', '.join(bundle for bundle, row in hosts.bundles(on).items() if not row.inline)}; "
            f"kubeconfigs {', '.join(row.name for row in hosts.kubeconfigs(on)) or 'none'}; "
            f"copies {', '.join(hosts.copies(on)) or 'none'}" for name, on in args.on.items()]


def _stage(on: hosts.Host, args: Arguments, generations: t.Mapping[str, tuple[str, str]]) -> Result:
    observed = args.observed[on.name]
    behind = [leaf for leaf in hosts.leaves(on) if leaf.authority in generations and leaf.name in observed["pairs"]
              and observed["pairs"][leaf.name]["generation"] != generations[leaf.authority][1]]
    outdated = [
        row for row in hosts.copies(on).values()
        if row.authority in generations and row.name in observed["copies"]
        and {observed["copies"][row.name]["generation"], observed["copies"][row.name]["home"] or generations[row.authority][1]}
        != {generations[row.authority][1]}]
    copies = [*_copies(outdated, on, {authority: args.known[both[1]] for authority, both in generations.items()}), *_key_canaries(on, args)]
    return {
        "directory": on.state_dir,
        "certificates": [*_canaries(on, args), *(_successor(on, leaf, args) for leaf in behind)],
        **_both(copies),
    }


def _successor(on: hosts.Host, leaf: Leaf, args: Arguments) -> Result:
    """Return the item of a leaf's successor: it names whom the leaf names now, so that nobody loses rights or a name in a rotation."""
    item, seen = items.leaf_item(on, leaf, args.cluster), args.observed[on.name]["pairs"][leaf.name]
    if not seen["exists"]:
        return item
    sans = {kind: list(dict.fromkeys([*names, *(seen["sans"] or {}).get(kind, [])])) for kind, names in item["sans"].items()}
    return {**item, "common_name": seen["common_name"], "organizations": seen["organizations"], "sans": sans}


def _canaries(on: hosts.Host, args: Arguments) -> list[Result]:
    """Return the canaries of both generations, which the first phase puts in place."""
    return [items.canary_item(on, authority, name.partition("/")[2])
            for authority in items.canary_authorities(on) if authority in args.rotation.generations
            for name in args.rotation.names(authority, (OLD, NEW))]


def _key_canaries(on: hosts.Host, args: Arguments) -> list[_CopyAndSeal]:
    """Return the service accounts' keys of both generations, with which the host's API server is asked."""
    if SERVICE_ACCOUNTS not in args.rotation.generations or API_SERVER not in on.components:
        return []
    return [_copy(f"canary-{name}", on, args.known[name], f"{items.canary_base(on, *name.split('/'))}.key", "")
            for name in args.rotation.names(SERVICE_ACCOUNTS, (OLD, NEW))]


def provision_of(on: hosts.Host, of: items.Cluster, generation_of: Known) -> Result:
    """Return everything a host holds, of one generation each.

    :param generation_of: authority, and the service accounts → facts of the generation.
    """
    anchors = {authority: facts["certificate"] for authority, facts in generation_of.items()}
    return {
        "directories": [{"path": path, "mode": mode} for path, mode in sorted(hosts.places(on).items())],
        "kubeconfigs": items.kubeconfig_items(on, of, anchors),
        "certificates": [items.leaf_item(on, leaf, of) for leaf in hosts.provisioned(on)],
        # An inline bundle comes with its kubeconfig.
        "bundles": [items.bundle_item(on, name, [anchors[row.authority]]) for name, row in hosts.bundles(on).items() if not row.inline],
        **_both(_copies([_at_home(row) for row in hosts.copies(on).values()], on, generation_of)),
    }


def _at_home(row: Copy) -> Copy:
    """Return where a copy is kept while nothing rotates."""
    return row._replace(key=row.home_key or row.key, public=row.home or row.public)


def _copies(rows: t.Iterable[Copy], on: hosts.Host, generation_of: Known) -> list[_CopyAndSeal]:
    return [_copy(row.name, on, generation_of[row.authority], row.key, row.public) for row in rows]


def _both(found: t.Sequence[_CopyAndSeal]) -> Result:
    return {"copies": [copy for copy, _seal in found], "seals": [seal for _copy, seal in found]}


def _copy(name: str, on: hosts.Host, facts: t.Mapping[str, t.Any], key: str, public: str) -> _CopyAndSeal:
    """Return a copy as pki_key_copy items: what the host requests and installs, what the authority host seals for it."""
    item = {"name": name, "host": on.name}
    return ({**item, "key_path": key, **({"public_path": public} if public else {}), "wanted_public_sha256": facts["public_key_sha256"]},
            {**item, "key_path": facts["key_path"], "public_path": facts["certificate_path"]})


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


def _waves(args: Arguments, todo: t.Mapping[str, Actions], proves_all: bool) -> list[list[str]]:
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


def _objects(args: Arguments, phase: Phase, expected: t.Mapping[str, Observation]) -> Result:
    """Return what the phase does to the cluster's objects and what they must hold then; no phase without a side changes them."""
    wanted: list[tuple[str, list[str]]] = []
    gate: list[gates.Expectation] = []
    last = phase.reaches(CLIENTS) and OLD not in phase.trusts
    for row in objects.OBJECTS:
        if row.authority not in args.rotation.generations:
            continue
        bundles = (one["bundles"][row.authority] for one in expected.values() if row.authority in one["bundles"])
        held: list[str] = next(bundles, {"generations": []})["generations"]
        ours = row.keeper == objects.US and phase.reaches(CLIENTS) and bool(args.objects.get(row.name))
        wanted += [(row.name, held)] * (ours or (row.keeper == objects.API_SERVER and last))
        gate += [{"ask": "signed"}] * ours
        if ours or row.keeper != objects.US:
            exact = row.keeper != objects.API_SERVER or last
            gate.append({"ask": "holds" if exact else "holds_at_least", "name": row.name, "generations": held})
    return {
        # Where clients' objects do not change they hold what the control planes' phase before has proved.
        "gate": [*(gate if phase.reaches(CONTROL_PLANE) or wanted else []), *_signer(args, phase, expected), *_nodes(args, phase)],
        "bundles": [objects.item(name, [args.known[one]["certificate"] for one in generations]) for name, generations in wanted],
        "carry": _carry(args, phase, last),
        "quiet_since": _quiet_since(args) if last and runs_pods(args.on.values()) else 0.0,
    }


def _carry(args: Arguments, phase: Phase, last: bool) -> Result:
    """Say what owners' objects hold: API servers judge webhooks by it, before the new generation signs and until nobody shows the old one.

    When pods trust both generations it is said again, because some of them write such objects themselves, from what they trust.
    """
    widens = OLD in phase.trusts and (phase.reaches(CONTROL_PLANE) or runs_pods(args.on.values()))
    if not widens and not last:
        return {}
    return {"rotation": args.rotation.generations, "trusts": list(phase.trusts), "uploaded_before": _changed_at(args) if last else 0.0}


def _changed_at(args: Arguments) -> float:
    """Return when a control plane's trust changed last, in seconds since the epoch; a phase of the clients follows one of theirs."""
    rows = [args.observed[name]["bundles"] for name, on in args.on.items() if "kube-apiserver" in on.components]
    return max((row[authority]["changed_at"] for row in rows for authority in args.rotation.generations if authority in row), default=0.0)


def _quiet_since(args: Arguments) -> float:
    """Return since when nobody may complain of a certificate: the last control plane's change, or this run's first look if that is later.

    What a run before this one has left behind is not this run's.
    """
    return max(_changed_at(args), min(one["clock"] for one in args.observed.values()))


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
