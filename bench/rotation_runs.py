# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often a rotation runs a module that does work on a host, counted from the plan that the roles carry out."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import yaml
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.arguments import Arguments, phase_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import actions, predict
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

ROLES = Path(__file__).resolve().parents[1] / "roles"
LOOKING = {"pki_plan", "pki_host_info", "pki_cluster_info", "ansible.builtin.set_fact"}  # they plan and prove, and change nothing
# The tasks that do work in a phase. runs() knows when each of them runs; a role that gains one has to be taught to it.
WORK = {
    "pki_rotate/tasks/phase.yml": ["ca_bundle"],
    "pki_rotate/tasks/wave.yml": ["pki_host"],
}


def counts() -> dict[tuple[str, str], list[str]]:
    """Return, for each phase and host, the longest list of modules that do work there, whichever authorities are rotated.

    :raises SystemExit: when the roles do work that this file does not know of.
    """
    _check_roles()
    longest: dict[tuple[str, str], list[str]] = {}
    for number in range(1, len(AUTHORITIES) + 1):
        for authorities in itertools.combinations(AUTHORITIES, number):
            for where, modules in _of_rotation(authorities).items():
                longest[where] = max(longest.get(where, []), modules, key=len)
    return longest


def _of_rotation(authorities: t.Iterable[str]) -> dict[tuple[str, str], list[str]]:
    on = {name: seen.host(name) for name in ("n1", "n2", "n3")}
    observed = {name: seen.healthy(host) for name, host in on.items()}
    rotation = seen.ROTATION._replace(generations={name: seen.ROTATION.generations[name] for name in authorities})
    cluster = items.Cluster("https://lb.example.com:6443", "10.96.0.0/16", "cluster.local", "/pki")
    found = {}
    for phase in ROTATION:
        args = Arguments(on, cluster, observed, rotation, seen.known(new=True), {"cluster-info": True})
        planned = phase_arguments(args, phase)
        found.update({(phase.name, name): runs(planned, name, first=name == "n1") for name in on})
        observed = {name: predict(host, observed[name], actions(host, observed[name], phase, rotation), rotation, seen.NOW)
                    for name, host in on.items()}
    return found


def runs(planned: t.Mapping[str, t.Any], name: str, first: bool) -> list[str]:
    """Return the modules that do work on a host in a phase; *first* for the one whose kubectl changes the objects."""
    todo = planned["todo"][name]
    works = todo["certificates"] or todo["copies"] or todo["bundles"] or todo["restarts"]
    modules = ["pki_host"] * bool(works)
    return modules + ["ca_bundle of objects"] * (first and bool(planned["objects"]["bundles"]))


def _check_roles() -> None:
    for name, known in WORK.items():
        found = [module for task in yaml.safe_load((ROLES / name).read_text()) for module in _modules(task) if module not in LOOKING]
        if found != known:
            raise SystemExit(f"bench: roles/{name} does its work with {found}; rotation_runs.py counts {known}")


def _modules(task: t.Mapping[str, t.Any]) -> list[str]:
    called = [key for key in task if "." in key and not key.startswith("ansible.builtin.include_")]
    return [key.removeprefix("rekey.kubernetes.") for key in called]
