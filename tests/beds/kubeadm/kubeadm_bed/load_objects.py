# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the load that use what a cluster has beside its own API: certificates on request, the aggregated API, the webhook."""

from __future__ import annotations

import base64
import functools
import json
import os
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import load_clients as clients
from kubeadm_bed import workloads
from kubeadm_bed.credentials import Kubeconfig, Pair

CERTIFICATES = "certificate requests"
AGGREGATED = "aggregated API"
WEBHOOK = "webhook"
OBJECTS = (CERTIFICATES, AGGREGATED, WEBHOOK)
CERTIFICATE_SECONDS = 10.0
OBJECT_SECONDS = 1.0
# A new leader among the controller-managers takes over after 20 s at most.
_SIGNED_SECONDS = 60.0
_LOOK_SECONDS = 0.25
_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_WHOAMI = clients.Request("GET", f"/apis/{workloads.GROUP}/v1/whoami")
_VALIDATED = clients.Request("POST", f"/api/v1/namespaces/{workloads.NAMESPACE}/configmaps?dryRun=All", json.dumps(
    {"metadata": {"generateName": "load-", "labels": {workloads.VALIDATED: "true"}}}))


def aggregated(load: clients.Load) -> None:
    """Ask the aggregated API once, through the balancer; errors as :func:`load_clients.ask_once`."""
    clients.ask_once(load.balancer, load.credentials, _WHOAMI)


def webhook(load: clients.Load) -> None:
    """Try to create an object that the webhook must see, through the balancer.

    :raises OSError: where the webhook was not asked; other errors as :func:`load_clients.ask_once`.
    """
    connection = clients.Connection(load.balancer, load.credentials)
    try:
        response = connection.open(_VALIDATED)
        response.read()
        if workloads.WARNING not in (response.headers.get("Warning") or ""):
            raise OSError("created without the webhook")
    finally:
        connection.close()


def every_second(load: clients.Load, client: str, body: t.Callable[[clients.Load], None]) -> None:
    """Do one of the above once a second until the load is stopped."""
    for _number in load.ticks(OBJECT_SECONDS):
        load.counted(client, "once", functools.partial(body, load))


def certificate_requests(load: clients.Load, administrator: Kubeconfig) -> None:
    """Every ten seconds have a certificate signed by the API and use it, until the load is stopped."""
    for number in load.ticks(CERTIFICATE_SECONDS):
        step = Steps(load, administrator, f"load-{os.getpid()}-{number}")
        started, error = load.tally.now(), ""
        try:
            step.all()
        except clients.TROUBLE as exc:
            error = f"{step.now}: {clients.describe(exc)}"
        if not load.stop.is_set():
            load.tally.request(CERTIFICATES, started, error)


class Steps:
    """A person's certificate from the first request to its use. ``now`` is the step that is under way."""

    def __init__(self, load: clients.Load, administrator: Kubeconfig, name: str) -> None:
        self._load, self._administrator, self._name = load, administrator, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.now = ""

    def all(self) -> None:
        """Take all steps; errors as :func:`load_clients.ask_once`."""
        self.now = "created"
        made = json.loads(self._ask("POST", _REQUESTS, self._object()))
        made["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "Load", "message": "by the load"}]}
        self.now = "approved"
        path = f"{_REQUESTS}/{self._name}"
        self._ask("PUT", f"{path}/approval", made)
        self.now = "signed"
        certificate = self._signed(path)
        self.now = "used"
        key = self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        person = clients.Credentials(Pair(self._administrator.read().bundle, certificate + key.decode()))
        clients.ask_once(self._load.balancer, person, clients.Request("GET", workloads.TARGET))
        self.now = "removed"
        self._ask("DELETE", path)

    def _ask(self, method: str, path: str, body: t.Any = None) -> bytes:
        request = clients.Request(method, path, json.dumps(body) if body else "")
        return clients.ask_once(self._load.balancer, self._load.credentials, request)

    def _object(self) -> dict[str, t.Any]:
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, workloads.PEOPLE), x509.NameAttribute(NameOID.COMMON_NAME, self._name)]
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(self._key, hashes.SHA256())
        return {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": self._name},
                "spec": {"request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(), "usages": ["client auth"],
                         "signerName": "kubernetes.io/kube-apiserver-client", "expirationSeconds": 3600}}

    def _signed(self, path: str) -> str:
        deadline = self._load.tally.now() + _SIGNED_SECONDS
        while self._load.tally.now() < deadline and not self._load.stop.wait(_LOOK_SECONDS):
            certificate = json.loads(self._ask("GET", path))["status"].get("certificate")
            if certificate:
                return base64.b64decode(certificate).decode()
        raise TimeoutError(f"no certificate within {_SIGNED_SECONDS:.0f} s")
