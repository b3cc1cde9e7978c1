# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What kubeadm reads and the API server keeps when a node joins: a JoinConfiguration, and a bootstrap token. Pure.

Source: kubernetes/kubernetes cmd/kubeadm/app/apis/kubeadm/v1beta4 and apis/bootstraptoken/v1, v1.37.2; the token's form and its Secret:
https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/.
"""

from __future__ import annotations

import datetime
import typing as t

API_VERSION = "kubeadm.k8s.io/v1beta4"
NAMESPACE = "kube-system"
SECRET_PREFIX = "bootstrap-token-"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
ID_LENGTH, SECRET_LENGTH = 6, 16
# kubeadm init binds to this group what a joining node may do.
GROUP = "system:bootstrappers:kubeadm:default-node-token"
SEALED_TOKEN = "bootstrap-token"  # the name under which a token is sealed for its host
_IDENTITY = "node"

Object = dict[str, t.Any]


class Token(t.NamedTuple):
    """A bootstrap token: the id may be known, the secret may not."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}"


def token_secret(token: Token, expires: datetime.datetime, purpose: str) -> Object:
    """Return the Secret that makes a token valid until *expires* (aware)."""
    return {
        "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"{SECRET_PREFIX}{token.id}", "namespace": NAMESPACE},
        "stringData": {
            "token-id": token.id, "token-secret": token.secret, "description": purpose, "auth-extra-groups": GROUP,
            "expiration": expires.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
        },
    }


def token_discovery(token: str, endpoint: str, pins: t.Sequence[str]) -> Object:
    """Return a JoinConfiguration's discovery by token: cluster-info must be signed with it and hold a CA of one of the pins.

    :param endpoint: ``host:port``.
    :param pins: hex SHA-256 of the CAs' SubjectPublicKeyInfo; one that fits is enough.
    """
    return {"bootstrapToken": {"apiServerEndpoint": endpoint, "token": token, "caCertHashes": [f"sha256:{pin}" for pin in pins]}}


def file_discovery(path: str) -> Object:
    """Return a JoinConfiguration's discovery by a kubeconfig that holds trust and credentials."""
    return {"file": {"kubeConfigPath": path}}


def identity_kubeconfig(server: str, authorities_data: str, pair_path: str) -> Object:
    """Return the kubeconfig of a node that has its client certificate: it stands in for a token.

    :param authorities_data: the CA bundle, base64.
    :param pair_path: PEM file with certificate and key.
    """
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": _IDENTITY,
        "clusters": [{"name": _IDENTITY, "cluster": {"server": server, "certificate-authority-data": authorities_data}}],
        "users": [{"name": _IDENTITY, "user": {"client-certificate": pair_path, "client-key": pair_path}}],
        "contexts": [{"name": _IDENTITY, "context": {"cluster": _IDENTITY, "user": _IDENTITY}}],
    }


def join_configuration(node: str, registration: t.Mapping[str, t.Any], discovery: Object, advertise_address: str = "") -> Object:
    """Return a JoinConfiguration.

    :param registration: further fields of ``nodeRegistration``.
    :param advertise_address: of the node's API server; empty for a worker.
    """
    wanted: Object = {"apiVersion": API_VERSION, "kind": "JoinConfiguration",
                      "nodeRegistration": {**registration, "name": node}, "discovery": discovery}
    if advertise_address:
        wanted["controlPlane"] = {"localAPIEndpoint": {"advertiseAddress": advertise_address}}
    return wanted
