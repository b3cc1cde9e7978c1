# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 2, the layouts: where the catalogue lives on a host and which process reads it.

Every path hangs from two host variables, ``kubernetes_dir`` and ``etcd_dir``, so several hosts can live on one machine.
Modes are the rule of the house: keys and kubeconfigs 0600, certificates and bundles 0644.
A row's ``group`` names the inventory groups whose hosts have it, separated by spaces. Two more can be named: ``cluster_init``, the
host where the cluster begins (kubeadm init), and ``external_ca``, every host of a cluster that is given no authority's key.
Layout ``systemd`` uses the file names of kubernetes-the-hard-way (docs/04, docs/05, units/ at 52eb26d) where it has one.
Layout ``kubeadm`` is kubeadm's own (cmd/kubeadm/app/constants/constants.go, phases/certs/certlist.go, phases/kubeconfig, v1.37.2).
"""

from __future__ import annotations

import typing as t

FILES = "files"
KUBECONFIG = "kubeconfig"
KUBELET = "kubelet"


class Pair(t.NamedTuple):
    """A leaf's key and certificate, and how they are stored.

    ``files``: ``<base>.key`` and ``<base>.crt``; ``kubeconfig``: inline, with the user of the kubeconfig ``base``; ``kubelet``: one
    PEM file behind the symlink ``base``, as the kubelet's certificate store keeps it (client-go util/certificate).
    """

    leaf: str
    base: str
    store: str = FILES
    optional: bool = False  # a host may be without it
    key_type: str = ""  # the cluster's if empty

    @property
    def certificate_path(self) -> str:
        """The file with the certificate."""
        return f"{self.base}.crt" if self.store == FILES else self.base

    @property
    def key_path(self) -> str:
        """The file with the key."""
        return f"{self.base}.key" if self.store == FILES else self.base


class Bundle(t.NamedTuple):
    """A file with trust anchors (CA certificates, or public keys of service accounts), or a kubeconfig that has them inline."""

    name: str
    authority: str
    path: str
    group: str
    inline: bool = False
    optional: bool = False  # a host may be without it


class Kubeconfig(t.NamedTuple):
    """A kubeconfig as a host is provisioned with it; what its bundle and its pair are stored as says what is inline and what a file."""

    name: str
    leaf: str
    bundle: str
    user: str  # {node} is the host's node name
    path: str
    context: str = "default"
    local: bool = False  # whether it names the host's own API server instead of the cluster's endpoint
    group: str = "kube_control_plane"


class Copy(t.NamedTuple):
    """A key pair of the authority host that these components need a copy of; ``public`` is the certificate beside the key.

    A copy without one is the key alone: its public half stands in a bundle.

    A copy with a *home* is kept there as long as nothing rotates: its certificate is then the first one of the bundle ``home``,
    which may not hold a second one while something signs with it. A rotation keeps it at ``key`` and ``public`` meanwhile.
    """

    name: str
    authority: str
    key: str
    public: str
    readers: t.Mapping[str, str]  # process -> its input in the reload table; "" where it only has to be there
    home_key: str = ""
    home: str = ""


class Process(t.NamedTuple):
    """A process of a host, in the order in which a host's processes start."""

    name: str
    group: str
    port: int  # its TLS endpoint
    ready: str  # a path that answers 200 when it is ready, without a client certificate; "" where there is none
    address: str = ""  # where it listens; the host's address if empty


class Layout(t.NamedTuple):
    """All rows of one layout.

    ``same`` maps a bundle of the trust table to the bundle of this layout that serves for it. ``organizations`` are those of leaves
    whose subject differs from the catalogue's. ``static_pods`` are run by the kubelet from manifests: one that is stopped stays so
    when its host starts anew, where a service would come back.
    """

    name: str
    state_dir: t.Mapping[str, str]  # group -> a 0700 directory of ours on its hosts; the first group that fits
    pairs: tuple[Pair, ...]
    bundles: tuple[Bundle, ...]
    kubeconfigs: tuple[Kubeconfig, ...]
    copies: tuple[Copy, ...]
    processes: tuple[Process, ...]
    same: t.Mapping[str, str] = {}
    organizations: t.Mapping[str, tuple[str, ...]] = {}
    static_pods: tuple[str, ...] = ()


_PROCESSES = (
    Process("etcd", "etcd", 2379, ""),
    Process("kube-apiserver", "kube_control_plane", 6443, "/readyz"),
    Process("kube-controller-manager", "kube_control_plane", 10257, "/healthz"),
    Process("kube-scheduler", "kube_control_plane", 10259, "/readyz"),
)

# One key: API servers sign the tokens of pods with it, the leading controller-manager those that Secrets hold.
_TOKEN_SIGNERS = {"kube-apiserver": "--service-account-signing-key-file",
                  "kube-controller-manager": "--service-account-private-key-file"}

SYSTEMD = Layout(
    name="systemd",
    state_dir={"kube_control_plane": "{kubernetes_dir}/.rekey", "etcd": "{etcd_dir}/.rekey"},
    pairs=(
        Pair("apiserver", "{kubernetes_dir}/kube-api-server"),
        Pair("apiserver-kubelet-client", "{kubernetes_dir}/apiserver-kubelet-client"),
        Pair("front-proxy-client", "{kubernetes_dir}/front-proxy-client"),
        Pair("apiserver-etcd-client", "{kubernetes_dir}/apiserver-etcd-client"),
        Pair("etcd-server", "{etcd_dir}/server"),
        Pair("etcd-peer", "{etcd_dir}/peer"),
        Pair("etcd-healthcheck-client", "{etcd_dir}/healthcheck-client"),
        Pair("controller-manager", "{kubernetes_dir}/kube-controller-manager"),
        Pair("scheduler", "{kubernetes_dir}/kube-scheduler"),
        Pair("admin", "{kubernetes_dir}/admin"),
    ),
    bundles=(
        Bundle("kubernetes", "kubernetes", "{kubernetes_dir}/ca.crt", "kube_control_plane"),
        Bundle("front-proxy", "front-proxy", "{kubernetes_dir}/front-proxy-ca.crt", "kube_control_plane"),
        Bundle("apiserver-etcd", "etcd", "{kubernetes_dir}/etcd-ca.crt", "kube_control_plane"),
        Bundle("service-accounts", "service-accounts", "{kubernetes_dir}/service-accounts.pub", "kube_control_plane"),
        Bundle("etcd", "etcd", "{etcd_dir}/ca.crt", "etcd"),
    ),
    kubeconfigs=(
        Kubeconfig("controller-manager", "controller-manager", "kubernetes", "system:kube-controller-manager",
                   "{kubernetes_dir}/kube-controller-manager.kubeconfig"),
        Kubeconfig("scheduler", "scheduler", "kubernetes", "system:kube-scheduler", "{kubernetes_dir}/kube-scheduler.kubeconfig"),
        Kubeconfig("admin", "admin", "kubernetes", "admin", "{kubernetes_dir}/admin.kubeconfig"),
    ),
    copies=(
        # The controller-manager accepts exactly one certificate in its signing file: a file of its own, never the bundle.
        Copy("signer", "kubernetes", "{kubernetes_dir}/signing-ca.key", "{kubernetes_dir}/signing-ca.crt",
             {"kube-controller-manager": "--cluster-signing-cert-file"}),
        Copy("service-accounts", "service-accounts", "{kubernetes_dir}/service-accounts.key", "", _TOKEN_SIGNERS),
    ),
    processes=_PROCESSES,
    same=dict.fromkeys(
        ("controller-manager-kubeconfig", "scheduler-kubeconfig", "admin-kubeconfig", "super-admin-kubeconfig"), "kubernetes"),
)

_NODES = "kube_control_plane kube_node"
_PKI = "{kubernetes_dir}/pki"

KUBEADM = Layout(
    name="kubeadm",
    # Below the directory that the controller-manager's pod mounts.
    state_dir=dict.fromkeys(("kube_control_plane", "kube_node"), f"{_PKI}/.rekey") | {"etcd": "{etcd_dir}/.rekey"},
    pairs=(
        Pair("apiserver", f"{_PKI}/apiserver"),
        Pair("apiserver-kubelet-client", f"{_PKI}/apiserver-kubelet-client"),
        Pair("front-proxy-client", f"{_PKI}/front-proxy-client"),
        Pair("apiserver-etcd-client", f"{_PKI}/apiserver-etcd-client"),
        Pair("etcd-server", "{etcd_dir}/server"),
        Pair("etcd-peer", "{etcd_dir}/peer"),
        Pair("etcd-healthcheck-client", "{etcd_dir}/healthcheck-client"),
        Pair("controller-manager", "{kubernetes_dir}/controller-manager.conf", KUBECONFIG),
        Pair("scheduler", "{kubernetes_dir}/scheduler.conf", KUBECONFIG),
        Pair("admin", "{kubernetes_dir}/admin.conf", KUBECONFIG),
        # Only where kubeadm init ran.
        Pair("super-admin", "{kubernetes_dir}/super-admin.conf", KUBECONFIG, optional=True),
        # A kubelet makes keys of this type alone.
        Pair("kubelet-client", "/var/lib/kubelet/pki/kubelet-client-current.pem", KUBELET, key_type="ecdsa-p256"),
        # With serverTLSBootstrap. Where tlsCertFile names two files instead, the host's variable pki_leaf_files does, too.
        Pair("kubelet-server", "/var/lib/kubelet/pki/kubelet-server-current.pem", KUBELET, optional=True, key_type="ecdsa-p256"),
    ),
    bundles=(
        Bundle("kubernetes", "kubernetes", f"{_PKI}/ca.crt", _NODES),
        Bundle("front-proxy", "front-proxy", f"{_PKI}/front-proxy-ca.crt", "kube_control_plane"),
        Bundle("service-accounts", "service-accounts", f"{_PKI}/sa.pub", "kube_control_plane"),
        # The API server's too: where etcd has hosts of its own, control planes keep a copy.
        Bundle("etcd", "etcd", "{etcd_dir}/ca.crt", "etcd kube_control_plane"),
        Bundle("controller-manager-kubeconfig", "kubernetes", "{kubernetes_dir}/controller-manager.conf", "kube_control_plane", True),
        Bundle("scheduler-kubeconfig", "kubernetes", "{kubernetes_dir}/scheduler.conf", "kube_control_plane", True),
        Bundle("admin-kubeconfig", "kubernetes", "{kubernetes_dir}/admin.conf", "kube_control_plane", True),
        Bundle("super-admin-kubeconfig", "kubernetes", "{kubernetes_dir}/super-admin.conf", "kube_control_plane", True, True),
        Bundle("kubelet-kubeconfig", "kubernetes", "{kubernetes_dir}/kubelet.conf", _NODES, True),
    ),
    kubeconfigs=(
        Kubeconfig("controller-manager", "controller-manager", "controller-manager-kubeconfig", "system:kube-controller-manager",
                   "{kubernetes_dir}/controller-manager.conf", "{user}@kubernetes", local=True),
        Kubeconfig("scheduler", "scheduler", "scheduler-kubeconfig", "system:kube-scheduler", "{kubernetes_dir}/scheduler.conf",
                   "{user}@kubernetes", local=True),
        Kubeconfig("admin", "admin", "admin-kubeconfig", "kubernetes-admin", "{kubernetes_dir}/admin.conf", "{user}@kubernetes"),
        Kubeconfig("super-admin", "super-admin", "super-admin-kubeconfig", "kubernetes-super-admin", "{kubernetes_dir}/super-admin.conf",
                   "{user}@kubernetes", group="cluster_init"),
        # kubeadm join refuses a host that has one: elsewhere the kubelet gets its own from the signer, unless there is none.
        Kubeconfig("kubelet", "kubelet-client", "kubelet-kubeconfig", "system:node:{node}", "{kubernetes_dir}/kubelet.conf",
                   "{user}@kubernetes", local=True, group="cluster_init external_ca"),
    ),
    copies=(
        Copy("signer", "kubernetes", f"{_PKI}/.rekey/kubernetes-ca.key", f"{_PKI}/.rekey/kubernetes-ca.crt",
             {"kube-controller-manager": "--cluster-signing-cert-file"}, f"{_PKI}/ca.key", f"{_PKI}/ca.crt"),
        # Nothing signs with these two but kubeadm itself, which wants them on every control plane.
        Copy("front-proxy-ca", "front-proxy", f"{_PKI}/.rekey/front-proxy-ca.key", f"{_PKI}/.rekey/front-proxy-ca.crt",
             {"kube-apiserver": ""}, f"{_PKI}/front-proxy-ca.key", f"{_PKI}/front-proxy-ca.crt"),
        Copy("etcd-ca", "etcd", f"{_PKI}/.rekey/etcd-ca.key", f"{_PKI}/.rekey/etcd-ca.crt",
             {"etcd": ""}, "{etcd_dir}/ca.key", "{etcd_dir}/ca.crt"),
        Copy("service-accounts", "service-accounts", f"{_PKI}/sa.key", "", _TOKEN_SIGNERS),
    ),
    processes=(
        Process("etcd", "etcd", 2379, ""),
        Process("kube-apiserver", "kube_control_plane", 6443, "/readyz"),
        Process("kube-controller-manager", "kube_control_plane", 10257, "/healthz", "127.0.0.1"),
        Process("kube-scheduler", "kube_control_plane", 10259, "/readyz", "127.0.0.1"),
        Process("kubelet", _NODES, 10250, ""),
    ),
    same={"apiserver-etcd": "etcd", "kubelet-clients": "kubernetes"},
    organizations={"admin": ("kubeadm:cluster-admins",)},
    static_pods=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
)

LAYOUTS = {layout.name: layout for layout in (SYSTEMD, KUBEADM)}

# What kubeadm-config may give to a component as an extra argument, and the file of the layout, below certificatesDir, that it must name.
KUBEADM_FLAGS = {
    "client-ca-file": "ca.crt", "root-ca-file": "ca.crt", "cluster-signing-cert-file": "ca.crt", "cluster-signing-key-file": "ca.key",
    "kubelet-certificate-authority": "ca.crt", "requestheader-client-ca-file": "front-proxy-ca.crt", "etcd-cafile": "etcd/ca.crt",
    "trusted-ca-file": "etcd/ca.crt", "peer-trusted-ca-file": "etcd/ca.crt",
}
