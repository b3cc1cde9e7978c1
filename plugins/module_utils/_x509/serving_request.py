# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether a kubelet may have the serving certificate that it asks for. Pure.

Kubernetes signs such a request as it is, once somebody has approved it, and approves none by itself. Who gets a certificate with a name
of another host can be that host to everybody who trusts the cluster's CA.
Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/ (signer kubernetes.io/kubelet-serving).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_request

SIGNER = "kubernetes.io/kubelet-serving"
USER_PREFIX = "system:node:"
GROUP = "system:nodes"
_USAGES = ({"digital signature", "server auth"}, {"digital signature", "key encipherment", "server auth"})

Object = t.Mapping[str, t.Any]


def node_of(request: Object) -> str:
    """Return the node whose kubelet made a CertificateSigningRequest; empty when none did."""
    user = str(request["spec"].get("username", ""))
    return user[len(USER_PREFIX):] if user.startswith(USER_PREFIX) else ""


def is_pending(request: Object) -> bool:
    """Whether nobody has approved or denied the request yet."""
    return not request.get("status", {}).get("conditions")


def is_signed(request: Object) -> bool:
    """Whether its certificate was issued."""
    return bool(request.get("status", {}).get("certificate"))


def refusal(request: Object, nodes: t.Mapping[str, t.Collection[str]]) -> str:
    """Say why the request must not be approved; empty when it may.

    :param request: a CertificateSigningRequest of the signer kubernetes.io/kubelet-serving.
    :param nodes: name of each expected node to its DNS names and addresses.
    """
    spec, node = request["spec"], node_of(request)
    if spec.get("signerName") != SIGNER:
        return f"is for the signer {spec.get('signerName')}"
    if not node or GROUP not in spec.get("groups", []):
        return f"was made by {spec.get('username') or 'nobody'}, who is no node"
    if node not in nodes:
        return f"node {node} is not expected"
    if set(spec.get("usages", [])) not in _USAGES:
        return f"asks for the usages {', '.join(spec.get('usages', [])) or 'none'}"
    try:
        asked = load_request(base64.b64decode(spec.get("request", "")).decode("utf-8", "replace"), "its content")
        return _of_subject(asked.subject, node) or _of_names(asked, node, nodes[node])
    except (PkiError, binascii.Error, ValueError) as exc:
        return f"cannot be read: {exc}"


def _of_subject(subject: x509.Name, node: str) -> str:
    wanted = {(x509.oid.NameOID.COMMON_NAME, f"{USER_PREFIX}{node}"), (x509.oid.NameOID.ORGANIZATION_NAME, GROUP)}
    if len(list(subject)) == len(wanted) and {(one.oid, one.value) for one in subject} == wanted:
        return ""
    return f"asks for the subject {subject.rfc4514_string() or '(none)'}"


def _of_names(asked: x509.CertificateSigningRequest, node: str, known: t.Collection[str]) -> str:
    try:
        names = list(asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    if not names:
        return "asks for no name and no address"
    allowed = {_plain(name) for name in known}
    foreign = [str(name.value) for name in names
               if not isinstance(name, (x509.DNSName, x509.IPAddress)) or _plain(str(name.value)) not in allowed]
    return f"asks for {', '.join(foreign)}, which is not {node}'s" if foreign else ""


def _plain(name: str) -> str:
    """Return a name in the form in which equal ones are equal."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()
