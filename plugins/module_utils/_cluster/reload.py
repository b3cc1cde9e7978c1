# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 4, reload: when a running process takes a changed file over. Only this table causes restarts.

``live_since`` is the first Kubernetes minor (etcd: any) in which the input is taken over without a restart, None for never.
``seconds`` is how long that may take at most; a slow live input is restarted instead where ``cheap`` says that a restart
of the component costs no request (a leader-elected component with a standby).
Source: Kubernetes v1.35.4, v1.36.2, v1.37.2 and etcd v3.6.16, v3.7.3, seen live on v1.37.2 (docs/design.md names the measurements).
"""

from __future__ import annotations

import typing as t

ALWAYS = (1, 0)
NEVER = None


class Reload(t.NamedTuple):
    """How one component treats one input."""

    component: str
    input: str
    live_since: tuple[int, int] | None
    seconds: int
    shows: bool = True  # whether an endpoint shows when it was taken over


RELOAD = (
    Reload("kube-apiserver", "--client-ca-file", ALWAYS, 60),
    Reload("kube-apiserver", "--requestheader-client-ca-file", ALWAYS, 60),
    Reload("kube-apiserver", "--etcd-cafile", NEVER, 0),
    Reload("kube-apiserver", "--service-account-key-file", NEVER, 0),
    # Read again at a request to a kubelet, 5 min after the last time (client-go transport/ca_rotation.go).
    Reload("kube-apiserver", "--kubelet-certificate-authority", (1, 36), 300, shows=False),
    Reload("kube-apiserver", "--service-account-signing-key-file", NEVER, 0),
    Reload("kube-apiserver", "leaf", ALWAYS, 60),
    Reload("etcd", "--trusted-ca-file", NEVER, 0),
    Reload("etcd", "--peer-trusted-ca-file", NEVER, 0),
    Reload("etcd", "leaf", ALWAYS, 1),
    Reload("kube-controller-manager", "--root-ca-file", NEVER, 0),
    Reload("kube-controller-manager", "--client-ca-file", ALWAYS, 60),
    Reload("kube-controller-manager", "--cluster-signing-cert-file", ALWAYS, 60),
    Reload("kube-controller-manager", "--service-account-private-key-file", NEVER, 0),
    Reload("kube-controller-manager", "flags", NEVER, 0),
    Reload("kube-controller-manager", "kubeconfig certificate-authority", (1, 36), 300),
    Reload("kube-controller-manager", "leaf", ALWAYS, 300),
    Reload("kube-scheduler", "kubeconfig certificate-authority", (1, 36), 300),
    Reload("kube-scheduler", "leaf", ALWAYS, 300),
    # Inline in a kubeconfig nothing is read again (kubeadm's own kubeconfigs).
    Reload("kube-controller-manager", "kubeconfig certificate-authority-data", NEVER, 0),
    Reload("kube-controller-manager", "kubeconfig client-certificate-data", NEVER, 0),
    Reload("kube-scheduler", "kubeconfig certificate-authority-data", NEVER, 0),
    Reload("kube-scheduler", "kubeconfig client-certificate-data", NEVER, 0),
    Reload("kubelet", "kubeconfig certificate-authority-data", NEVER, 0),
    Reload("kubelet", "clientCAFile", ALWAYS, 60),
    Reload("kubelet", "kubeconfig certificate-authority", NEVER, 0),
    # Its own stores: it loads what it has fetched itself, and looks at no file again.
    Reload("kubelet", "leaf", NEVER, 0),
    # Feature ReloadKubeletServerCertificateFile; before 1.36 a client that dials an address, as API servers do, is served the old one.
    Reload("kubelet", "tlsCertFile", (1, 36), 60),
    Reload("kubelet", "tokens", NEVER, 0),
)

# A kubelet keeps the tokens of its pods in memory until 80 % of their hour is over, and makes all of them anew when it starts, without
# restarting a pod: seen live within 15 s (pkg/kubelet/token/token_manager.go).
TOKENS_INPUT = "tokens"
# client-go reads a token file again when what it read is a minute old, less 10 s (transport/token_source.go, v0.37); and some to spare.
TOKEN_READ_SECONDS = 75


class Program(t.NamedTuple):
    """A program of pods that reads their CA again by itself and counts it."""

    live_since: tuple[int, int]
    seconds: int  # within which it has read it
    port: int  # of its metrics, plain HTTP on its own node


# By the names of their images. client-go looks at the file when it makes a request and its last look is five minutes old
# (transport/ca_rotation.go), and a program that only watches makes one every five to ten minutes (tools/cache/reflector.go): seen six to
# seven minutes after a change.
PROGRAMS: t.Mapping[str, Program] = {"kube-proxy": Program((1, 36), 900, 10249)}

# Leader-elected, with a standby: restarting one costs no request, so it is not worth waiting minutes for a live reload.
CHEAP = frozenset({"kube-controller-manager", "kube-scheduler"})
PATIENCE_SECONDS = 60


def must_restart(component: str, changed_input: str, minor: tuple[int, int]) -> bool:
    """Say whether *component* of a cluster of version *minor* (1, 37) is restarted when *changed_input* changes.

    :raises KeyError: for an input that the table does not know: a guess here would be an outage.
    """
    return bool(restart_reason(component, changed_input, minor))


def restart_reason(component: str, changed_input: str, minor: tuple[int, int]) -> str:
    """Say why a change of the input restarts the component; empty where it is taken over live."""
    row = _ROWS[component, changed_input]
    if row.live_since is None or minor < row.live_since:
        return "reads it only at its start"
    if component in CHEAP and row.seconds > PATIENCE_SECONDS:
        return f"may take {row.seconds} s to read it again, and its restart costs no request"
    return ""


def run_reason(component: str, changed_input: str, minor: tuple[int, int]) -> str:
    """Say why a rotation restarts the component when the input changes: because it must, or because nothing else would prove it."""
    unseen = "" if _ROWS[component, changed_input].shows else "nothing shows when it has read it again"
    return restart_reason(component, changed_input, minor) or unseen


_ROWS = {(row.component, row.input): row for row in RELOAD}
