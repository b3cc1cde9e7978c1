# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan a rotation on the controller: thin glue over the pure rooms. Documented in plugins/modules/pki_plan.py."""

from __future__ import annotations

import datetime
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import PREPARED_BEFORE, ROTATION, TOKEN_PHASES
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import checks, outages, report
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.arguments import (
    adopt_arguments,
    provision_arguments,
    stage_arguments,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.document import document
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.given import Arguments, runs_pods
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.joining import View, join_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.phase_arguments import phase_arguments
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Rotation, whole
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import Stand, stands


def argument_spec() -> dict[str, t.Any]:
    """Return the action's options."""
    return {
        "hosts": {"type": "list", "elements": "dict", "required": True},
        "cluster": {"type": "dict", "required": True},
        "observations": {"type": "dict", "required": True},
        "generations": {"type": "dict", "required": True},
        "authorities": {"type": "list", "elements": "str", "choices": [*AUTHORITIES, SERVICE_ACCOUNTS], "default": list(AUTHORITIES)},
        "purpose": {"type": "str", "choices": ["adopt", "join", "phase", "provision", "report", "rotate"], "default": "rotate"},
        "phase": {"type": "str", "choices": [phase.name for phase in (*ROTATION, *TOKEN_PHASES)]},
        "objects": {"type": "dict", "default": {}},
        "before": {"type": "dict", "default": {}},
        "nodes": {"type": "list", "elements": "str", "default": []},
        "join": {"type": "list", "elements": "str", "default": []},
        "rotation": {"type": "dict"},
        "again": {"type": "bool", "default": False},
        "back": {"type": "bool", "default": False},
        "minimum_age_days": {"type": "int", "default": 30},
        "observed_since": {"type": "float"},
        "drains": {"type": "bool", "default": False},
        "nodes_at_a_time": {"type": "int", "default": 1},
        "graceful_shutdown": {"type": "bool", "default": False},
        "stragglers": {"type": "list", "elements": "dict", "default": []},
    }


class ActionModule(ActionBase):
    """Read what was observed, return what is to be done."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate the arguments and return the plan."""
        super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(argument_spec())
        try:
            return {"changed": False, **plan(given)}
        except PkiError as exc:
            raise AnsibleActionFail(str(exc)) from exc


def plan(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what the purpose asks for: the whole plan, one phase's arguments, or what a host is provisioned with."""
    on = {description["name"]: hosts.host(description) for description in given["hosts"]}
    on = {name: host for name, host in on.items() if host.components}
    if given["purpose"] == "adopt":
        return adopt_arguments(on.values())
    if given["purpose"] == "join":
        view = View(given["nodes"], given["observations"], given["objects"], given["generations"])
        return join_arguments(on, given["join"], items.cluster(given["cluster"]), view)
    observed = {name: given["observations"][name] for name in on if name in given["observations"]}
    missing = sorted(set(on) - set(observed))
    if missing:
        raise PkiError("plan", f"not observed: {', '.join(missing)}", "every host counts; do not use --limit")
    args = Arguments(on, items.cluster(given["cluster"]), observed, Rotation({}, checks.version(observed), given["graceful_shutdown"]),
                     given["generations"], given["objects"], given["nodes_at_a_time"], given["before"])
    if given["purpose"] == "provision":
        return provision_arguments(args, given["authorities"])
    if given["purpose"] in ("phase", "report"):
        # Pinned by the first plan: once everything uses the new generation, nothing shows any more which one was old.
        args = args._replace(rotation=args.rotation._replace(generations=given["rotation"]))
        if given["purpose"] == "report":
            table = report.proof(observed, args.rotation)
            return {"proof": table, "stragglers": given["stragglers"],
                    "text": [*report.proof_lines(table), *report.straggler_lines(given["stragglers"])]}
        return phase_arguments(args, next(phase for phase in args.phases if phase.name == given["phase"]))
    where = stands(given["generations"], observed, given["objects"], given["authorities"])
    wanted = {name: stand.back() if given["back"] else stand for name, stand in where.items() if _is_asked_for(stand, given)}
    generations = {name: {"old": stand.old, "new": stand.new} for name, stand in wanted.items()}
    args = args._replace(rotation=args.rotation._replace(generations=generations))
    return {**_overview(args, where, wanted, given), **(stage_arguments(args) if wanted else {})}


def _overview(args: Arguments, where: dict[str, Stand], wanted: dict[str, Stand], given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    now, care = time.time(), outages.Care(given["drains"], given["nodes_at_a_time"])
    look = checks.Look(args.observed, given["observed_since"] or now, now, given["nodes"])
    phases = whole(args.on, args.observed, args.rotation, now) if wanted else []
    whole_document = document(args, phases, {name: stand.pending for name, stand in wanted.items()}) if wanted else {}
    return {
        "nothing_to_do": not wanted,
        "steady": {name: {"generation": stand.old, "age_days": stand.age_days} for name, stand in where.items() if name not in wanted},
        "mint": [name for name, stand in wanted.items() if not stand.pending],
        "pending": any(stand.pending for stand in wanted.values()),
        "stamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ"),
        "problems": checks.problems(args.on, look, args.known, wanted),
        "text": [*report.lines(phases, wanted, given["back"]), *report.tokens_left(wanted, args.objects, _knows_kubelets(args)),
                 *outages.lines(phases, args.on, args.observed, care), *report.document_lines(whole_document)],
        "phases": [phase.name for phase in args.phases],
        "workloads": "kubernetes" in wanted and runs_pods(args.on.values()),
        "rotation": args.rotation.generations,
        "document": whole_document,
        "prepared_before": PREPARED_BEFORE,
        "fingerprints": {name: args.known[name]["fingerprint_sha256"] for both in args.rotation.generations.values()
                         for name in both.values() if name in args.known},
        "stands_at": next((phase.name for phase, todo in phases if not all(one.nothing for one in todo.values())), "the end"),
    }


def _knows_kubelets(args: Arguments) -> bool:
    return any("kubelet" in on.components for on in args.on.values())


def _is_asked_for(stand: Stand, given: dict[str, t.Any]) -> bool:
    return stand.pending or (not given["back"] and (given["again"] or stand.age_days >= given["minimum_age_days"]))
