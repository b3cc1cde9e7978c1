# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The plan as text for people. Pure."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Observation, Plan, Rotation
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import SIGNED_SECRETS, Objects, Stand


def lines(plan: Plan, stands: t.Mapping[str, Stand], back: bool = False) -> list[str]:
    """Return the plan: generations, then per phase and host every action with its reason, then the restarts in sum."""
    pending = " (rolled back)" if back else " (pending, goes on)"
    text = [f"{name}: {stand.old} -> {stand.new}{pending if stand.pending else ''}" for name, stand in stands.items()]
    restarts: collections.Counter[str] = collections.Counter()
    for number, (phase, todo) in enumerate(plan, 1):
        busy = {name: actions for name, actions in todo.items() if not actions.nothing}
        text.append(f"phase {number} of {len(plan)}, {phase.name}: {phase.purpose}" + ("" if busy else " (no change on hosts)"))
        for name, actions in busy.items():
            text += [f"  {name}{' (window)' if actions.window else ''}: {reason}" for reason in actions.reasons]
            restarts.update(restart.process for restart in actions.restarts)
    total = ", ".join(f"{name} {count}x" for name, count in sorted(restarts.items())) or "none"
    return [*text, f"restarts in all: {total}"]


def document_lines(document: t.Mapping[str, t.Any]) -> list[str]:
    """Return what the plan's document tells besides: how long it will take, which leaves are made anew, and what nobody looks after."""
    if not document:
        return []
    minutes = document["seconds"] / 60
    leaves = collections.Counter((one["name"], one["validity"]) for one in document["certificates"])
    listed = ", ".join(f"{name} {count}x for {validity}" for (name, validity), count in sorted(leaves.items()))
    return [
        f"new leaves: {listed or 'none'}",
        f"expected time: about {minutes:.0f} min, as measured on small machines, and the workloads' rolling updates besides",
        "not covered, look after it yourself:", *(f"  {one}" for one in document["not_covered"]),
    ]


def tokens_left(stands: t.Mapping[str, Stand], objects: Objects, knows_kubelets: bool) -> list[str]:
    """Tell of the tokens that no run makes anew, where the service accounts' key rotates.

    A controller-manager signs for a Secret only where it holds no token (pkg/controller/serviceaccount/tokens_controller.go).

    :param knows_kubelets: whether pods' tokens are seen and renewed.
    """
    stand = stands.get(SERVICE_ACCOUNTS)
    if stand is None:
        return []
    left = [place for place, held in sorted(objects.get(SIGNED_SECRETS, {}).items()) if stand.old in held]
    text = [f"token of Secret {place}: ends with distrust-tokens (after distrust, take data.token out of it: it is filled anew)"
            for place in left]
    text.append("tokens made by hand (kubectl create token) cannot be listed: those made before distrust end with distrust-tokens")
    if not knows_kubelets:
        text.append("no kubelet is in the inventory: where the cluster has nodes, stop before distrust-tokens (pki_rotate_until), "
                    "restart their kubelets, wait two minutes and run again")
    return text


def straggler_lines(stragglers: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    """Return who is hurt once the old generation has gone, one a line; nothing where nobody is."""
    return [f"{len(stragglers)} to look after:", *(f"  {one['text']}" for one in stragglers)] if stragglers else []


def accepted_lines(stragglers: t.Sequence[t.Mapping[str, str]], expression: str) -> list[str]:
    """Return who is accepted to be hurt, and by which expression."""
    return [f"accepted by {expression}: {len(stragglers)}", *(f"  {one['name']}" for one in stragglers)] if expression else []


def go_on_lines(left: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    """Return how to go on where somebody is left; nothing where nobody is."""
    if not left:
        return []
    return ["Look after them and run the same command again: it looks anew. To go on although they will be hurt, add",
            """  -e '{"pki_rotate_accept": "[*]"}'""",
            """or pick those that may be hurt, for example [?namespace=='dev'] or [?kind=='certificate'] (JMESPath over this report)."""]


def proof(observed: t.Mapping[str, Observation], rotation: Rotation) -> dict[str, dict[str, dict[str, bool]]]:
    """Return endpoint (``host/name``) → ``old_refused`` and ``new_accepted`` → authority → whether a canary has shown it."""
    found: dict[str, dict[str, dict[str, bool]]] = {}
    for host, observation in sorted(observed.items()):
        for endpoint, seen in observation["endpoints"].items():
            verdicts = seen["canaries"]
            row: dict[str, dict[str, bool]] = {"old_refused": {}, "new_accepted": {}}
            for authority, both in rotation.generations.items():
                if both["old"] in verdicts or both["new"] in verdicts:
                    row["old_refused"][authority] = verdicts.get(both["old"]) == "refused"
                    row["new_accepted"][authority] = verdicts.get(both["new"]) == "accepted"
            found[f"{host}/{endpoint}"] = row
    return found


def proof_lines(table: t.Mapping[str, t.Mapping[str, t.Mapping[str, bool]]]) -> list[str]:
    """Return the proof as a table for people, one endpoint and authority a line."""
    word = {True: "yes", False: "NO"}
    text = [f"{'endpoint':40} {'authority':12} old refused  new accepted"]
    for endpoint, row in table.items():
        text += [f"{endpoint:40} {authority:12} {word[row['old_refused'][authority]]:11}  {word[row['new_accepted'][authority]]}"
                 for authority in row["old_refused"]]
    return text
