# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Table 6, the objects: where the cluster keeps trust in its own API, and who keeps it there.

A row's ``keeper`` says what a rotation does about it: what is ``US``, it writes; what a component keeps, it waits for; in what is
an ``OWNER``'s it adds and removes the cluster's own authorities alone, wherever one is held, and leaves the rest as it is.
Source: reference table of API objects, read in Kubernetes v1.35 to v1.37 (rootcacertpublisher, clustertrustbundlepublisher,
serviceaccount tokens_controller, clusterauthenticationtrust, bootstrapsigner; admissionregistration, apiregistration, apiextensions).
"""

from __future__ import annotations

import re
import typing as t

US = "us"
CONTROLLER_MANAGER = "controller-manager"
API_SERVER = "api-server"
OWNER = "owner"

PEM = "pem"
BASE64 = "base64"
KUBECONFIG = "kubeconfig"

EACH = "*"  # in a path: every element of a list
_PLAIN = re.compile(r"[A-Za-z]\w*")

Content = t.Mapping[str, t.Any]


class Row(t.NamedTuple):
    """One kind of object that holds trust anchors."""

    name: str
    keeper: str
    authority: str  # "" for whichever of the cluster's it holds
    kind: str  # as kubectl takes it
    path: tuple[str, ...]  # to the text with the certificates
    encoding: str = PEM
    namespace: str = ""  # of the one object, with ``object``
    object: str = ""
    selector: str = ""  # field selector of the objects, of all namespaces
    where: tuple[str, str] = ("", "")  # a field of spec and what it must hold; "!" in front: must not hold
    everywhere: bool = False  # every living namespace must have one
    optional: bool = False  # an older API server may not serve the kind


_AUTHENTICATION = ("kube-system", "extension-apiserver-authentication")
_WEBHOOKS = ("webhooks", EACH, "clientConfig", "caBundle")
_SERVING_BUNDLE = ("signerName", "kubernetes.io/kube-apiserver-serving")

OBJECTS = (
    Row("kube-root-ca.crt", CONTROLLER_MANAGER, "kubernetes", "configmap", ("data", "ca.crt"), selector="metadata.name=kube-root-ca.crt",
        everywhere=True),
    Row("token-secrets", CONTROLLER_MANAGER, "kubernetes", "secret", ("data", "ca.crt"), BASE64,
        selector="type=kubernetes.io/service-account-token"),
    # Its name holds a hash of its content: the controller-manager makes another one and deletes the old one.
    Row("serving-trust-bundle", CONTROLLER_MANAGER, "kubernetes", "clustertrustbundle", ("spec", "trustBundle"), where=_SERVING_BUNDLE,
        optional=True),
    # API servers only ever add to these two.
    Row("client-ca-file", API_SERVER, "kubernetes", "configmap", ("data", "client-ca-file"), PEM, *_AUTHENTICATION),
    Row("requestheader-client-ca-file", API_SERVER, "front-proxy", "configmap", ("data", "requestheader-client-ca-file"), PEM,
        *_AUTHENTICATION),
    # kubeadm writes it once, and the controller-manager signs whatever it holds.
    Row("cluster-info", US, "kubernetes", "configmap", ("data", "kubeconfig"), KUBECONFIG, "kube-public", "cluster-info"),
    Row("validating-webhooks", OWNER, "", "validatingwebhookconfiguration", _WEBHOOKS, BASE64),
    Row("mutating-webhooks", OWNER, "", "mutatingwebhookconfiguration", _WEBHOOKS, BASE64),
    Row("api-services", OWNER, "", "apiservice", ("spec", "caBundle"), BASE64),
    Row("crd-conversions", OWNER, "", "customresourcedefinition", ("spec", "conversion", "webhook", "clientConfig", "caBundle"), BASE64),
    Row("trust-bundles", OWNER, "", "clustertrustbundle", ("spec", "trustBundle"), where=(_SERVING_BUNDLE[0], f"!{_SERVING_BUNDLE[1]}"),
        optional=True),
)
ROW = {row.name: row for row in OBJECTS}


class Field(t.NamedTuple):
    """A text with certificates in an object, and how its server is reached where the object names one (``service`` or ``url``)."""

    row: str
    kind: str
    namespace: str
    name: str
    field: str  # as ca_bundle takes it
    text: str
    client: Content

    @property
    def place(self) -> str:
        """Where it is, for messages: the namespace where every one has the object, else the object, and the field where it has several."""
        row = ROW[self.row]
        if row.everywhere or row.object:
            return self.namespace
        name = "/".join(filter(None, (self.namespace, self.name)))
        return f"{name} {self.field}" if EACH in row.path else name


def fields(row: Row, content: Content) -> list[Field]:
    """Return the fields of an object that the row speaks of; none where they are absent or empty."""
    if not _is_meant(row, content):
        return []
    found: list[tuple[tuple[str | int, ...], t.Any, t.Any]] = [((), content, None)]
    for part in row.path:
        found = [(path + (key,), value, holder) for path, holder, _above in found for key, value in _children(holder, part)]
    metadata = content["metadata"]
    return [Field(row.name, row.kind, metadata.get("namespace", ""), metadata["name"], _written(path), str(text),
                  holder if row.keeper == OWNER else {}) for path, text, holder in found]


def item(name: str, certificates: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the ca_bundle item that makes the one object of a row hold exactly these certificates (PEM), in this order."""
    row = ROW[name]
    place = {"kind": row.kind, "namespace": row.namespace, "name": row.object, "field": _written(row.path), "format": row.encoding}
    return {"name": name, "object": place, "certificates": list(certificates), "state": "exact"}


def _is_meant(row: Row, content: Content) -> bool:
    name, wanted = row.where
    value = (content.get("spec") or {}).get(name, "") if name else ""
    return value != wanted[1:] if wanted.startswith("!") else value == wanted


def _children(holder: t.Any, part: str) -> t.Iterable[tuple[str | int, t.Any]]:
    if part == EACH:
        return enumerate(holder) if isinstance(holder, list) else ()
    value = holder.get(part) if isinstance(holder, dict) else None
    return [(part, value)] if value else ()


def _written(path: t.Iterable[str | int]) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += (f".{part}" if text else part) if _PLAIN.fullmatch(part) else f'["{part}"]'
    return text
