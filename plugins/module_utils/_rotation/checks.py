# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Checks before the first change: what would make a rotation unsafe is named before anything is touched. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import SIGNER, SIGNER_INPUT, Observation
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import Stand

SKEW_SECONDS = 60
SHORTEST_LEFT_DAYS = 1


class Look(t.NamedTuple):
    """One look at all hosts: who was seen, and between which two moments of the controller's clock (seconds since the epoch)."""

    observed: t.Mapping[str, Observation]
    begun: float
    ended: float
    nodes: t.Sequence[str] = ()  # of the cluster


def version(observed: t.Mapping[str, Observation]) -> tuple[int, int]:
    """Return (major, minor) of the newest API server that answers; (0, 0) when none does: then everything restarts."""
    found = [_minor(observation["version"]) for observation in observed.values() if observation["version"]]
    return max(found, default=(0, 0))


def problems(on: t.Mapping[str, hosts.Host], look: Look, known: t.Mapping[str, t.Mapping[str, t.Any]],
             stands: t.Mapping[str, Stand]) -> list[str]:
    """Return what forbids to start, one sentence each with its remedy; empty when nothing does.

    A host whose processes are down is only accepted while a rotation is pending: its window was cut short.
    """
    pending = any(stand.pending for stand in stands.values())
    found = [*_versions(look), *_clocks(look), *_keys(known, stands), *(_strangers(on, look.nodes) if "kubernetes" in stands else [])]
    for name, observation in sorted(look.observed.items()):
        if is_away(on[name], look.nodes):
            found.append(f"{name}: is no node of the cluster (join it with join_node.yml, or take it out of the inventory)")
            continue
        host = [*_files(_concerned(on[name], observation, stands)), *_processes(observation, pending), *_elsewhere(on[name], observation),
                *_kubelet_serving(observation)]
        found += [f"{name}: {text}" for text in host]
    return found + _quorum(on, look)


def is_away(on: hosts.Host, nodes: t.Sequence[str]) -> bool:
    """Say whether a host that should be a node of the cluster is none."""
    return "kubelet" in on.components and on.node not in nodes


def _strangers(on: t.Mapping[str, hosts.Host], nodes: t.Sequence[str]) -> list[str]:
    """Name the nodes that the run would lock out; none where the layout knows no kubelets."""
    known = {host.node for host in on.values() if "kubelet" in host.components}
    return [f"{node}: is a node of the cluster and not in the inventory (put it into kube_node: nothing would bring it the new "
            "generation, and it would be locked out)" for node in sorted(set(nodes) - known)] if known else []


def _versions(look: Look) -> list[str]:
    found = {name: observation["version"] for name, observation in sorted(look.observed.items()) if observation["version"]}
    if len({_minor(one) for one in found.values()}) > 1:
        listed = ", ".join(f"{name} {one}" for name, one in found.items())
        return [f"API servers of different minor versions: {listed} (finish the upgrade first)"]
    return []


def _clocks(look: Look) -> list[str]:
    return [
        f"{name}: its clock differs from the controller's by about {observation['clock'] - look.ended:+.0f} s "
        "(set it: a certificate may be not valid yet)"
        for name, observation in sorted(look.observed.items())
        if not look.begun - SKEW_SECONDS <= observation["clock"] <= look.ended + SKEW_SECONDS
    ]


def _keys(known: t.Mapping[str, t.Mapping[str, t.Any]], stands: t.Mapping[str, Stand]) -> list[str]:
    found = []
    for stand in stands.values():
        for name in (stand.old, stand.new):
            facts = known.get(name)
            if facts is None:
                continue
            if not facts["key_exists"]:
                found.append(f"{name}: its key {facts['key_path']} is not on the authority host (needed for canaries and leaves)")
            if facts["remaining_days"] is not None and facts["remaining_days"] < SHORTEST_LEFT_DAYS:
                found.append(f"{name}: expires {facts['not_after']} (an expired authority cannot be rotated under dual trust)")
    return found


def _concerned(on: hosts.Host, observation: Observation, stands: t.Container[str]) -> Observation:
    """Return the observation without the service accounts' public keys where these do not rotate: who else's are there is no matter."""
    rows = hosts.bundles(on)
    bundles = {name: seen for name, seen in observation["bundles"].items()
               if rows[name].authority != SERVICE_ACCOUNTS or SERVICE_ACCOUNTS in stands}
    return {**observation, "bundles": bundles}


def _files(observation: Observation) -> list[str]:
    found = []
    for bundle in observation["bundles"].values():
        if not bundle["exists"]:
            found.append(f"{bundle['path']}: no such bundle (run provision.yml)")
        found += [f"{bundle['path']}: holds a foreign CA or key, {name} (remove it, or keep it elsewhere)"
                  for name in bundle["generations"] if name.startswith("unknown")]
    found += [f"{pair['path']}: {pair['problem']}{'' if pair['problem'].endswith(')') else ' (run provision.yml)'}"
              for pair in observation["pairs"].values() if pair["problem"]]
    found += [f"{pair['path']}: expired {pair['not_after']} (run provision.yml)"
              for pair in observation["pairs"].values() if pair["exists"] and pair["remaining_days"] < 0]
    return found


def _processes(observation: Observation, pending: bool) -> list[str]:
    found = []
    for name, process in observation["processes"].items():
        if not process["running"] and not pending:
            found.append(f"{name} does not run (start it; a rotation begins on a healthy cluster)")
    for name, endpoint in observation["endpoints"].items():
        if not endpoint["ready"] and not pending:
            found.append(f"endpoint {name} is not ready: {endpoint['error'] or 'its health check fails'}")
    return found


def _elsewhere(on: hosts.Host, observation: Observation) -> list[str]:
    """Name the flags by which a process reads another file than the one that a rotation would write.

    Compared as texts: in its pod a process may not see what another name of the same directory means on the host.
    """
    wanted: dict[tuple[str, str], tuple[str, ...]] = {
        (edge.component, edge.input): (row.path,) for edge in TRUST for row in [hosts.read_by(on, edge)] if row}
    signer = hosts.copies(on).get(SIGNER)
    if signer and signer.home:
        wanted["kube-controller-manager", SIGNER_INPUT] = (signer.home, signer.public)
    found = []
    for (process, flag), paths in wanted.items():
        named = (observation["processes"].get(process, {}).get("flags") or {}).get(flag, paths[0])
        if named not in paths:
            found.append(f"{process} is started with {flag}={named}, a rotation writes {paths[0]} (set pki_kubernetes_dir and pki_etcd_dir "
                         "so that they agree, or change the flag)")
    return found


def _kubelet_serving(observation: Observation) -> list[str]:
    """Name a kubelet whose serving certificate is not the one that the layout knows."""
    seen, pair = observation["endpoints"].get("kubelet"), observation["pairs"].get("kubelet-server")
    if not seen or not seen["ready"] or bool(seen["serves"]) == bool(pair):
        return []
    if pair:
        other = "the kubelet serves another certificate, which no generation has issued"
        return [f"{pair['path']}: {other} (restart the kubelet, or remove the file if it uses it no more)"]
    return [f"the kubelet serves a certificate of {seen['serves']} that is in no file of the layout (name its files in pki_leaf_files)"]


def _quorum(on: t.Mapping[str, hosts.Host], look: Look) -> list[str]:
    members = [name for name, host in on.items() if "etcd" in host.components]
    alive = [name for name in members if name in look.observed and look.observed[name]["endpoints"]["etcd"]["ready"]]
    if members and 2 * len(alive) <= len(members):
        down = ", ".join(sorted(set(members) - set(alive)))
        return [f"etcd has no quorum: {len(alive)} of {len(members)} members are healthy, not {down} (mend etcd first)"]
    return []


def _minor(text: str) -> tuple[int, int]:
    major, minor = text.lstrip("v").split(".")[:2]
    return int(major), int("".join(digit for digit in minor if digit.isdigit()))
