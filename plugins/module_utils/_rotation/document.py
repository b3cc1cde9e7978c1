# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The plan as a document for pipelines; docs/plan.schema.json says what stands where. Pure.

It is made of the very actions that the phases will take: the run plans each phase anew by the same function, from what it sees then.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER, phase_seconds, seconds_away
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments, Result
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import waves_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Actions, Plan, lacks_graceful

SCHEMA = 1
# What no run of this collection looks after, whatever the cluster is.
NOT_COVERED = (
    "kubeconfigs and certificates of people and machines outside the inventory: they get no new ones (bundle: when they next fetch it)",
    "a balancer that ends TLS itself, or checks API servers with a CA of its own: give it the bundle before serve",
    "copies of CA files that something outside the layout's directories reads",
    "clients that keep a CA in memory for ever and run outside the cluster: restart them between trust-clients and serve, and at the end",
)


def document(args: Arguments, plan: Plan, pending: t.Mapping[str, bool]) -> Result:
    """Return the plan of a whole rotation.

    :param pending: authority → whether its new generation is made already.
    """
    graceful = {name: not lacks_graceful(seen) for name, seen in args.observed.items() if API_SERVER in args.on[name].components}
    phases = []
    for phase, todo in plan:
        phases.append(_phase(phase, todo, args, graceful))
        graceful.update((name, True) for name, one in todo.items() if API_SERVER in one.flags)
    restarts = collections.Counter(restart.process for _phase_, todo in plan for one in todo.values() for restart in one.restarts)
    return {
        "schema": SCHEMA,
        "rotation": {name: {**both, "pending": pending[name]} for name, both in args.rotation.generations.items()},
        "phases": phases,
        "restarts": dict(sorted(restarts.items())),
        "certificates": [one for _phase_, todo in plan for name, done in todo.items() for one in _certificates(name, done, args)],
        "seconds": sum(phase["seconds"] for phase in phases),
        "not_covered": list(NOT_COVERED),
    }


def _phase(phase: Phase, todo: t.Mapping[str, Actions], args: Arguments, graceful: t.Mapping[str, bool]) -> Result:
    windows = sum(one.window for one in todo.values())
    rolls = sum(any(todo[name].restarts for name in wave) for wave in waves_of(args, todo, proves_all=False)) - windows
    layout = next(iter(args.on.values())).layout.name
    return {"name": phase.name, "purpose": phase.purpose, "seconds": phase_seconds(layout, windows, rolls),
            "hosts": {host: _host(args.on[host], done, graceful.get(host, True)) for host, done in todo.items() if not done.nothing}}


def _host(on: hosts.Host, done: Actions, graceful: bool) -> Result:
    restarted = {restart.process: restart.reasons for restart in done.restarts}
    return {
        "window": done.window,
        "bundles": done.bundles,
        "certificates": done.leaves,
        "copies": done.copies,
        "moves": [*done.apart, *done.home],
        "flags": {process: dict(flags) for process, flags in done.flags.items()},
        "restarts": restarted,
        "api_server_away_seconds": seconds_away(on.layout.name, graceful) if API_SERVER in restarted else 0,
        "reasons": done.reasons,
    }


def _certificates(host: str, done: Actions, args: Arguments) -> list[Result]:
    seen = args.observed[host]["pairs"]
    return [{"host": host, "name": name, "path": seen[name]["path"], "expires": seen[name]["not_after"],
             "validity": args.cluster.leaf_validity} for name in done.leaves]
