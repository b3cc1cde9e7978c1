# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 5, the phases: a rotation as a list of desired states.

A phase says what the trust of one side holds after it and which presenters use the new generation from then on; all else
stays as the phases before left it. ``tests/unit`` walks every intermediate state of this list and of every mutation of it.

Why this order (L1 to L7 are the ordering laws of docs/design.md):

* ``trust`` first: a verifier trusts the new generation before any presenter uses it (L1).
* ``issue`` before ``trust-clients``: a kubelet that joins or renews while the old generation still signs would keep a
  certificate that nobody replaces before ``distrust``. So nodes are visited when only the new generation is handed out.
* ``serve`` after ``trust-clients``: whoever dials an API server trusts the new generation before one shows it (L1). That makes
  client certificates move before serving certificates (L2).
* ``apiserver-kubelet-client`` before ``distrust``: the kubelet of a kubeadm control plane judges it by the very file that the host's API
  server reads, and forgets the old generation with it, while the other hosts' API servers still come (L1). Its change cuts whoever is
  in ``exec`` through that API server (client-go transport/cert_rotation.go), once; refused requests would last for whole windows.
* ``distrust-clients`` last: what an API server still trusts it writes back into ``extension-apiserver-authentication``,
  and what a controller-manager still publishes becomes the trust of every new pod.

The service accounts' key goes through the same windows, and needs two phases more, there only where it rotates:

* its public halves are both trusted from ``trust`` on, the new key signs from ``distrust`` on: with two windows that is the earliest;
* kubelets renew their pods' tokens in ``distrust-clients``, when no API server signs with the old key any more: they restart then
  anyway, and a token that is made before may be an old one;
* ``renew-tokens`` waits until pods have read them, ``distrust-tokens`` forgets the old key: API servers restart once more.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE, TOKENS

OLD = "old"
NEW = "new"

# What is presented of the service accounts' key, besides the key itself ("service-accounts": API servers sign with it).
SECRET_TOKENS = "secret-tokens"  # the controller-manager signs with the same key what Secrets hold
PROJECTED_TOKEN = "projected-token"  # what a kubelet has put into a pod's volume
POD_TOKEN = "pod-token"  # what the pod's process has read of it
SERVER = "apiserver"  # the leaf that every client of an API server judges


class Phase(t.NamedTuple):
    """A desired state with a name."""

    name: str
    purpose: str
    side: str = ""  # whose trust changes, separated by spaces; "" for nobody's
    trusts: tuple[str, ...] = ()  # generations that side's bundles hold after the phase
    presents: tuple[str, ...] = ()  # presenters that use the new generation from this phase on

    def reaches(self, side: str) -> bool:
        """Whether the phase changes the trust of a side."""
        return side in self.side.split()

    @property
    def widens(self) -> bool:
        """Whether the control planes' bundles hold two generations from this phase on: nothing may sign from one of them."""
        return self.reaches(CONTROL_PLANE) and OLD in self.trusts

    @property
    def narrows(self) -> bool:
        """Whether the control planes' bundles hold the new generation alone from this phase on."""
        return self.reaches(CONTROL_PLANE) and OLD not in self.trusts


ROTATION = (
    Phase("trust", "control planes trust both generations", f"{CONTROL_PLANE} {TOKENS}", (OLD, NEW)),
    Phase("issue", "the new generation signs, and control planes use it as clients", presents=(
        "signer", "controller-manager", "scheduler", "admin", "super-admin", "front-proxy-client", "apiserver-etcd-client",
        "etcd-healthcheck-client", "etcd-peer", "etcd-server")),
    Phase("trust-clients", "nodes, workloads and objects trust both generations", CLIENTS, (OLD, NEW), ("kubelet-client",)),
    Phase("serve", "API servers and kubelets show the new generation to everyone", presents=(
        "apiserver", "apiserver-kubelet-client", "kubelet-server")),
    Phase("distrust", "control planes trust the new generation alone", CONTROL_PLANE, (NEW,), (SERVICE_ACCOUNTS, SECRET_TOKENS)),
    Phase("distrust-clients", "nodes, workloads and objects trust the new generation alone", CLIENTS, (NEW,), (PROJECTED_TOKEN,)),
)
# Before this phase nobody is hurt who trusts or presents the old generation alone; from it on, one after the other is.
PREPARED_BEFORE = "serve"
TOKEN_PHASES = (
    Phase("renew-tokens", "pods use tokens of the new key", presents=(POD_TOKEN,)),
    Phase("distrust-tokens", "API servers accept tokens of the new key alone", TOKENS, (NEW,)),
)


def phases_of(authorities: t.Container[str]) -> tuple[Phase, ...]:
    """Return the phases in which these rotate."""
    return (*ROTATION, *TOKEN_PHASES) if SERVICE_ACCOUNTS in authorities else ROTATION


def first_phase_that_hurts(trusts: t.Container[str], presents: str, phases: t.Sequence[Phase] = ROTATION) -> str:
    """Return the first phase in which a client of the API servers is refused, or refuses, that never reloads; "" where none hurts it.

    :param trusts: the generations that it judges API servers by, for ever.
    :param presents: the generation of its certificate, for ever; "" where it has none.
    """
    shown, accepted = {OLD}, {OLD}
    for phase in phases:
        # While a phase is under way some API servers are through it and others are not.
        now_shown = {NEW} if SERVER in phase.presents else shown
        now_accepted = {*phase.trusts} if phase.reaches(CONTROL_PLANE) else accepted
        if any(one not in trusts for one in shown | now_shown) or (presents and presents not in accepted & now_accepted):
            return phase.name
        shown, accepted = now_shown, now_accepted
    return ""
