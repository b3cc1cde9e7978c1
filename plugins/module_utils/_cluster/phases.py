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
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE

OLD = "old"
NEW = "new"


class Phase(t.NamedTuple):
    """A desired state with a name."""

    name: str
    purpose: str
    side: str = ""  # whose trust changes; "" for nobody's
    trusts: tuple[str, ...] = ()  # generations that side's bundles hold after the phase
    presents: tuple[str, ...] = ()  # presenters that use the new generation from this phase on

    @property
    def widens(self) -> bool:
        """Whether the control planes' bundles hold two generations from this phase on: nothing may sign from one of them."""
        return self.side == CONTROL_PLANE and OLD in self.trusts

    @property
    def narrows(self) -> bool:
        """Whether the control planes' bundles hold the new generation alone from this phase on."""
        return self.side == CONTROL_PLANE and OLD not in self.trusts


ROTATION = (
    Phase("trust", "control planes trust both generations", CONTROL_PLANE, (OLD, NEW)),
    Phase("issue", "the new generation signs, and control planes use it as clients", presents=(
        "signer", "controller-manager", "scheduler", "admin", "super-admin", "front-proxy-client", "apiserver-etcd-client",
        "etcd-healthcheck-client", "etcd-peer", "etcd-server")),
    Phase("trust-clients", "nodes, workloads and objects trust both generations", CLIENTS, (OLD, NEW), ("kubelet-client",)),
    Phase("serve", "API servers and kubelets show the new generation to everyone", presents=(
        "apiserver", "apiserver-kubelet-client", "kubelet-server")),
    Phase("distrust", "control planes trust the new generation alone", CONTROL_PLANE, (NEW,)),
    Phase("distrust-clients", "nodes, workloads and objects trust the new generation alone", CLIENTS, (NEW,)),
)
