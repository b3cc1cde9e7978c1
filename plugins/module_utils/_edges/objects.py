# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The cluster's objects that carry trust, tokens in Secrets, and the signers behind the API, asked through kubectl."""

from __future__ import annotations

import base64
import concurrent.futures
import re
import time
import typing as t
import uuid

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl, Object
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import TOKEN_SECRETS
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import tokens
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.canary import canary_request
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate

ROOT_CA = "kube-root-ca.crt"
AUTHENTICATION = "extension-apiserver-authentication"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
SIGNING_SECONDS = 30
SHORTEST_VALIDITY_SECONDS = 600  # the least that the API accepts in expirationSeconds
_INLINE_CA = re.compile(r"certificate-authority-data\"?:\s*\"?([A-Za-z0-9+/=]+)")


def held(kubectl: Kubectl, generations: Generations) -> dict[str, dict[str, list[str]]]:
    """Return object → place → generations that it holds. A living namespace without kube-root-ca.crt holds none.

    The five reads are independent and each is a process of its own, so they run side by side.
    """
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        namespaces = pool.submit(kubectl.list, "namespaces")
        roots = pool.submit(kubectl.list, "configmaps", field_selector=f"metadata.name={ROOT_CA}")
        authentication = pool.submit(kubectl.get, "configmap", AUTHENTICATION, "kube-system")
        info = pool.submit(kubectl.get, "configmap", "cluster-info", "kube-public")
        secrets = pool.submit(kubectl.list, "secrets", field_selector="type=kubernetes.io/service-account-token")
    living = [one["metadata"]["name"] for one in namespaces.result() if one["status"]["phase"] != "Terminating"]
    root_of = {one["metadata"]["namespace"]: one for one in roots.result()}
    found = {ROOT_CA: {name: _of(_data(root_of.get(name), "ca.crt"), generations) for name in living}}
    for field in ("client-ca-file", "requestheader-client-ca-file"):
        found[field] = {"kube-system": _of(_data(authentication.result(), field), generations)}
    text = "".join(base64.b64decode(inline).decode() for inline in _INLINE_CA.findall(_data(info.result(), "kubeconfig")))
    found["cluster-info"] = {"kube-public": _of(text, generations)} if info.result() else {}
    found[TOKEN_SECRETS] = {f"{one['metadata']['namespace']}/{one['metadata']['name']}": [generations.of_token(token)]
                            for one in secrets.result() for token in [base64.b64decode(_data(one, "token")).decode()] if token}
    return found


def token_claims(kubectl: Kubectl) -> dict[str, t.Any]:
    """Return what tokens claim for an account that every cluster has and that has no rights; the token itself is forgotten at once."""
    return tokens.claims_of(kubectl.text(["create", "token", "default", "--namespace=kube-node-lease"]))


def signer(kubectl: Kubectl, generations: Generations) -> str:
    """Have a canary request signed; return the generation that did, empty for a foreign one.

    :raises PkiError: when nobody signs within SIGNING_SECONDS.
    """
    name = request(kubectl, canary_request())

    def look() -> tuple[list[str], str]:
        found = signed(kubectl, name)
        return ([] if found else ["not signed"]), found

    try:
        unmet, found, _waited = until(look, SIGNING_SECONDS, time.monotonic, time.sleep)
    finally:
        forget(kubectl, name)
    if unmet:
        raise PkiError("canary request", f"not signed within {SIGNING_SECONDS} s", "see the log of the controller managers")
    return generations.of_leaf(load_certificate(found, "canary request"))


def request(kubectl: Kubectl, csr: str) -> str:
    """Create and approve a CertificateSigningRequest for a client certificate; return its name."""
    name = f"pki-canary-{uuid.uuid4().hex[:12]}"
    kubectl.create({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {"request": base64.b64encode(csr.encode()).decode(), "signerName": CLIENT_SIGNER,
                 "usages": ["client auth"], "expirationSeconds": SHORTEST_VALIDITY_SECONDS},
    })
    kubectl.approve(name)
    return name


def signed(kubectl: Kubectl, name: str) -> str:
    """Return the certificate that was signed for a request as PEM, empty while there is none."""
    found = kubectl.get("certificatesigningrequest", name) or {}
    encoded = found.get("status", {}).get("certificate", "")
    return base64.b64decode(encoded).decode() if encoded else ""


def forget(kubectl: Kubectl, name: str) -> None:
    """Delete a request."""
    kubectl.text(["delete", "certificatesigningrequest", name, "--ignore-not-found", "--wait=false"])


def _data(found: Object | None, field: str) -> str:
    return str((found or {}).get("data", {}).get(field, ""))


def _of(text: str, generations: Generations) -> list[str]:
    return [generations.of_anchor(block) for block in _pem.split(text, "object")]
