# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What clients will notice of a plan's restarts, in seconds. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBELET
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.windows import API_SERVER, DELAY, KUBELET_SECONDS, seconds_away
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Actions, Observation, Plan, lacks_graceful


class Care(t.NamedTuple):
    """What is done so that clients notice less."""

    drains: bool = False  # a command keeps clients away from a host's API server before its window
    nodes_at_a_time: int = 1  # workers whose kubelets restart side by side


def lines(plan: Plan, on: t.Mapping[str, hosts.Host], observed: t.Mapping[str, Observation], care: Care) -> list[str]:
    """Return a sentence for each API server's window, for the kubelets' restarts, and for what both cost."""
    servers = [name for name, one in on.items() if API_SERVER in one.components]
    graceful = {name: not lacks_graceful(observed[name]) for name in servers}
    text, hasty = [], set()
    for phase, todo in plan:
        for name in (one for one in servers if _restarts(todo[one], API_SERVER)):
            text.append(f"phase {phase.name}: {_window(on[name], graceful[name], len(servers) == 1)}")
            hasty |= set() if graceful[name] else {name}
            graceful[name] = graceful[name] or API_SERVER in todo[name].flags
        kubelets = sum(_restarts(one, KUBELET) for one in todo.values())
        if kubelets:
            groups = f"workers' up to {care.nodes_at_a_time} at a time after the first" if care.nodes_at_a_time > 1 else "one at a time"
            text.append(f"phase {phase.name}: {kubelets} kubelets restart, {groups}; logs, exec and port-forward of a node's pods "
                        f"fail for up to about {KUBELET_SECONDS} s")
    if hasty and len(servers) > 1:
        text.append(f"{', '.join(sorted(hasty))}: stopped without {DELAY} an API server may break off or refuse a request of a pod, which "
                    "comes through the service kubernetes, and which no drain command keeps away")
    if hasty and len(servers) > 1 and not care.drains:
        text.append(f"{', '.join(sorted(hasty))}: stopped without {DELAY} an API server loses 2 or 3 requests of a balancer's clients "
                    "(set pki_rotate_drain_command; pki_rotate_graceful_shutdown mends it from the second window on)")
    return text


def _restarts(todo: Actions, process: str) -> bool:
    return process in {restart.process for restart in todo.restarts}


def _window(host: hosts.Host, graceful: bool, alone: bool) -> str:
    seconds = seconds_away(host.layout.name, graceful)
    text = f"the API server of {host.name} is away for up to about {seconds} s"
    if alone:
        return f"{text}, and there is no other: nobody reaches the API meanwhile"
    # It asks its own host's API server who may do that, and keeps an answer that was given too early for half a minute.
    return f"{text}, and its kubelet may refuse logs and exec for 30 s more" if KUBELET in host.components else text
