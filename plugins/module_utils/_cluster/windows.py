# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Windows: in which order a host's processes stop and start, and what that costs.

How long a host's API server or kubelet is away, and the flags with which an API server's clients lose nothing.

Source of the seconds: windows of three members on v1.37.2, on two cores. Layout kubeadm with both flags 16 to 30 s, 52 to 83 s on a
busy machine; with kubeadm's defaults the stop alone takes 32 to 44 s more (the grace period of the pod). Layout systemd 6 to 8 s.
"""

from __future__ import annotations

import typing as t

API_SERVER = "kube-apiserver"
DELAY = "--shutdown-delay-duration"

# Restarted with what is beside it on its host: an API server hangs rather than fails when its etcd member is restarted under it.
RESTARTS_WITH: t.Mapping[str, str] = {API_SERVER: "etcd"}

# The server goes on serving after it has said not to be ready, longer than a balancer needs to see it; it ends watches
# itself, so that its clients come back one by one (kube-apiserver's own reference of its flags).
GRACEFUL: t.Mapping[str, str] = {DELAY: "5s", "--shutdown-watch-termination-grace-period": "5s"}

# Its port is closed for a second and answers 404 for another one; up to 14 s until the node is Ready again on a busy machine.
KUBELET_SECONDS = 15

_ABOUT_SECONDS = {"kubeadm": 60, "systemd": 20}
_WITHOUT_FLAGS_SECONDS = {"kubeadm": 60, "systemd": 0}

# A host's turn, with all that is proved at its end, and what a phase costs besides: three control planes and two workers on two cores
# took 132, 42, 58, 2, 90 and 48 s for the phases of the layout kubeadm, three hosts 30, 5, 0, 3, 30 and 7 s for those of systemd.
_WINDOW_SECONDS = {"kubeadm": 40, "systemd": 10}
_ROLL_SECONDS = {"kubeadm": 12, "systemd": 2}
_PHASE_SECONDS = {"kubeadm": 5, "systemd": 3}


def stopping(names: t.Iterable[str]) -> list[list[str]]:
    """Return processes of a host in the groups in which they stop, side by side within one. They start the other way round.

    The API server goes first and comes back last, so that no etcd member is restarted under one that depends on it.
    """
    listed = list(names)
    return [[name for name in listed if name == API_SERVER], [name for name in listed if name != API_SERVER]]


def seconds_away(layout: str, graceful: bool) -> int:
    """Return the seconds that an API server is expected to be away in a window, at most on a machine that is not overloaded.

    :param graceful: whether it runs with the flags of GRACEFUL when it is stopped.
    """
    return _ABOUT_SECONDS[layout] + (0 if graceful else _WITHOUT_FLAGS_SECONDS[layout])


def phase_seconds(layout: str, windows: int, rolls: int) -> int:
    """Return the seconds that a phase is expected to take, without those for workloads.

    :param windows: hosts whose API server is stopped, one after the other.
    :param rolls: groups of hosts in which something else restarts, one after the other.
    """
    return windows * _WINDOW_SECONDS[layout] + rolls * _ROLL_SECONDS[layout] + _PHASE_SECONDS[layout]
