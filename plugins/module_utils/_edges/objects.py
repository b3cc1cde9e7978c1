# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The cluster's objects that carry trust, tokens in Secrets, and the signers behind the API, asked through kubectl."""

from __future__ import annotations

import base64
import binascii
import concurrent.futures
import datetime
import re
import time
import typing as t
import uuid

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import bootstrap
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import objects as table
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl, Object
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import SIGNED_SECRETS
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import tokens
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.canary import canary_request
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
SIGNING_SECONDS = 30
SHORTEST_VALIDITY_SECONDS = 600  # the least that the API accepts in expirationSeconds
READERS = 8
NODE_LEASES = "kube-node-lease"  # the namespace in which every kubelet renews a lease with its node's name every 10 s
# The latter where kubectl remembers for some hours what an API server of that address has once served.
_NOT_SERVED = ("doesn't have a resource type", "could not find the requested resource")
_INLINE_CA = re.compile(r"certificate-authority-data\"?:\s*\"?([A-Za-z0-9+/=]+)")


Question = tuple[str, str, str, str]  # kind, namespace, name, field selector


class Held(t.NamedTuple):
    """A field of an object and the generations that it holds."""

    field: table.Field
    generations: list[str]


def read(kubectl: Kubectl, generations: Generations, rows: t.Sequence[table.Row] = table.OBJECTS) -> list[Held]:
    """Return the fields of the rows' objects that are there, with what they hold. Of an owner's fields only those with one of ours.

    Starting kubectl costs more than what it asks, so rows that need no selector share one process; the others run side by side.
    """
    asked: dict[Question, list[table.Row]] = {}
    for row in rows:
        asked.setdefault(_question(row), []).append(row)
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(asked, pool.map(lambda together: _read(kubectl, together), asked.values())))
    held = [Held(field, _of(field, row, generations)) for row in rows for content in found[_question(row)]
            if content["kind"].lower() == row.kind for field in table.fields(row, content)]
    return [one for one in held if table.ROW[one.field.row].keeper != table.OWNER or one.generations]


def held(kubectl: Kubectl, generations: Generations, names: t.Collection[str] = tuple(table.ROW)) -> dict[str, dict[str, list[str]]]:
    """Return row → place → generations that it holds. A place that must have the object and has none holds none."""
    rows = [table.ROW[name] for name in names]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        required = pool.submit(lambda: {row.name: _required(kubectl, row) for row in rows})
        read_now = read(kubectl, generations, rows)
    found: dict[str, dict[str, list[str]]] = {name: dict.fromkeys(places, []) for name, places in required.result().items()}
    for one in read_now:
        if one.field.place in found[one.field.row] or not table.ROW[one.field.row].everywhere:
            found[one.field.row][one.field.place] = one.generations
    return found


def everything(kubectl: Kubectl, generations: Generations) -> dict[str, dict[str, list[str]]]:
    """Return what all objects hold, and of which key the tokens in Secrets are."""
    return {**held(kubectl, generations), SIGNED_SECRETS: signed_secrets(kubectl, generations)}


def signed_secrets(kubectl: Kubectl, generations: Generations) -> dict[str, list[str]]:
    """Return place → the generation of the service accounts' key that has signed the token in a Secret; the token itself is forgotten."""
    secrets = kubectl.list("secrets", field_selector="type=kubernetes.io/service-account-token")
    tokens_of = {f"{one['metadata']['namespace']}/{one['metadata']['name']}": base64.b64decode((one.get("data") or {}).get("token", ""))
                 for one in secrets}
    return {place: [generations.of_token(token.decode())] for place, token in tokens_of.items() if token}


def token_claims(kubectl: Kubectl) -> dict[str, t.Any]:
    """Return what tokens claim for an account that every cluster has and that has no rights; the token itself is forgotten at once."""
    return tokens.claims_of(kubectl.text(["create", "token", "default", f"--namespace={NODE_LEASES}"]))


def nodes(kubectl: Kubectl) -> list[str]:
    """Return the names of the cluster's nodes."""
    return [line.partition("/")[2] for line in kubectl.text(["get", "nodes", "-o", "name"]).split()]


def leases(kubectl: Kubectl) -> dict[str, str]:
    """Return node → when its kubelet has renewed its lease last, as it writes it (RFC 3339, of its own clock)."""
    return {one["metadata"]["name"]: one["spec"].get("renewTime") or "" for one in kubectl.list("leases", NODE_LEASES)}


def signatures(kubectl: Kubectl) -> dict[str, bool]:
    """Return bootstrap token's id → whether it has signed what cluster-info holds now."""
    information = kubectl.get("configmap", "cluster-info", "kube-public") or {}
    secrets = kubectl.list("secrets", "kube-system", field_selector=f"type={bootstrap.SECRET_TYPE}")
    return bootstrap.signatures(information.get("data") or {}, secrets, datetime.datetime.now(datetime.timezone.utc))


def logs(kubectl: Kubectl, namespace: str, since: float) -> str:
    """Return the logs of all pods of the namespace from *since* on (seconds since the epoch), each line with its pod's name."""
    moment = datetime.datetime.fromtimestamp(since, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return kubectl.text(["logs", f"--namespace={namespace}", "--selector=!rekey.kubernetes/none", "--all-containers", "--prefix",
                         "--ignore-errors", "--tail=-1", f"--since-time={moment}"])


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


def issued(kubectl: Kubectl) -> t.Iterator[tuple[str, str, x509.Certificate]]:
    """Yield name, user and certificate of each request for a client certificate that was answered and is still kept."""
    for found in kubectl.list("certificatesigningrequests"):
        encoded = (found.get("status") or {}).get("certificate", "")
        if encoded and found["spec"].get("signerName") == CLIENT_SIGNER:
            name = found["metadata"]["name"]
            yield name, found["spec"].get("username", ""), load_certificate(base64.b64decode(encoded).decode(), name)


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


def _question(row: table.Row) -> Question:
    """Return what the rows that one process reads have in common: all of it but the kind, where all objects of a kind are read."""
    alone = row.object or row.selector or row.optional
    return (row.kind if alone else "", row.namespace, row.object, row.selector)


def _read(kubectl: Kubectl, rows: t.Sequence[table.Row]) -> list[Object]:
    row = rows[0]
    if row.object:
        return [one for one in [kubectl.get(row.kind, row.object, row.namespace)] if one]
    try:
        return kubectl.list(",".join(dict.fromkeys(f"{one.kind}s" for one in rows)), field_selector=row.selector)
    except PkiError as exc:
        if row.optional and any(sign in exc.problem for sign in _NOT_SERVED):
            return []
        raise


def _required(kubectl: Kubectl, row: table.Row) -> list[str]:
    if row.everywhere:
        return [one["metadata"]["name"] for one in kubectl.list("namespaces") if one["status"]["phase"] != "Terminating"]
    return [row.namespace] if row.keeper == table.API_SERVER else []


def _of(field: table.Field, row: table.Row, generations: Generations) -> list[str]:
    """Return what the field holds; of an owner's the known ones alone, and none where no API server could read it either."""
    try:
        text = field.text
        if row.encoding == table.BASE64:
            text = base64.b64decode(text).decode("utf-8", "replace")
        if row.encoding == table.KUBECONFIG:
            text = "".join(base64.b64decode(inline).decode() for inline in _INLINE_CA.findall(text))
        found = [generations.of_anchor(block) for block in _pem.split(text, f"{row.kind} {field.place}")]
    except (PkiError, binascii.Error):
        if row.keeper != table.OWNER:
            raise
        return []
    return [name for name in found if row.keeper != table.OWNER or not name.startswith("unknown")]
