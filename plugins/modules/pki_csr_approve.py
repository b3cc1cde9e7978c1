#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_csr_approve
short_description: Approve the serving certificates that kubelets ask for, if they ask for nothing but what is theirs
version_added: 0.1.0
description:
  - A kubelet with C(serverTLSBootstrap) asks for its serving certificate through the certificates API, at the signer
    C(kubernetes.io/kubelet-serving). Kubernetes approves no such request by itself, and signs an approved one as it is.
  - This module approves a pending request if a node of O(nodes) made it, its subject is that node, its usages are those of a server, and
    every DNS name and address in it is known to be that node's. All others are left, and told with the reason.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
seealso:
  - name: Certificate signing requests
    description: The signers of Kubernetes and their rules.
    link: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
    details: Check mode judges the requests that are there, and does not wait for others.
  diff_mode:
    support: none
options:
  kubectl:
    description:
      - The kubectl binary.
    type: path
    default: kubectl
  kubeconfig:
    description:
      - Kubeconfig of a cluster administrator.
    type: path
    required: true
  nodes:
    description:
      - The nodes whose requests may be approved.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      addresses:
        description: DNS names and IP addresses by which the node is known.
        type: list
        elements: str
        required: true
  trust_node_status:
    description:
      - Whether the addresses in the C(status) of a Node object count as known, too. A kubelet writes them itself, so whoever has taken one
        could ask for any name. Needed where a cloud provider gives nodes addresses that the inventory does not know.
    type: bool
    default: false
  deny:
    description:
      - Whether requests that must not be approved are denied. A kubelet makes a new one then.
    type: bool
    default: false
  wait_for:
    description:
      - Names of nodes whose certificate is waited for until it is signed. Name only nodes that have just been started, because
        requests are removed from the cluster after some time.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - How long to wait for O(wait_for), in seconds.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: Approve the serving certificates that nodes ask for
  rekey.kubernetes.pki_csr_approve:
    kubeconfig: /etc/kubernetes/admin.conf
    nodes:
      - name: w3
        addresses: [w3, 192.0.2.23]
"""

RETURN = r"""
results:
  description: The pending requests and what came of each.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the request.
      type: str
      sample: csr-8vnps
    node:
      description: The node that made it, empty when none did.
      type: str
    changed:
      description: Whether it was approved or denied.
      type: bool
    verdict:
      description: V(approved), V(denied), or V(left).
      type: str
    reasons:
      description: Why it must not be approved. Empty when it was.
      type: list
      elements: str
      sample: ["asks for 192.0.2.99, which is not w3's"]
waited_seconds:
  description: Seconds spent waiting for O(wait_for).
  returned: success
  type: float
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import serving_request

Names = dict[str, set[str]]
Result = dict[str, t.Any]


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    node = {"name": {"type": "str", "required": True}, "addresses": {"type": "list", "elements": "str", "required": True}}
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
        "trust_node_status": {"type": "bool", "default": False},
        "deny": {"type": "bool", "default": False},
        "wait_for": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 180},
    }


def known_names(kubectl: Kubectl, nodes: t.Iterable[t.Mapping[str, t.Any]], trust_status: bool) -> Names:
    """Return the names and addresses of each expected node."""
    found = {node["name"]: set(node["addresses"]) for node in nodes}
    for one in kubectl.list("nodes") if trust_status else []:
        if one["metadata"]["name"] in found:
            found[one["metadata"]["name"]] |= {address["address"] for address in one["status"].get("addresses", [])}
    return found


class Approver:
    """Approves or denies each request once, however often the cluster is looked at; one that is left is judged again."""

    def __init__(self, kubectl: Kubectl, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self._kubectl, self._params, self._check_mode = kubectl, params, check_mode
        self.results: dict[str, Result] = {}

    def look(self) -> tuple[list[str], None]:
        """Judge what is pending, and say for which nodes no certificate was signed yet."""
        requests = self._kubectl.list("certificatesigningrequests", field_selector=f"spec.signerName={serving_request.SIGNER}")
        pending = [one for one in requests if serving_request.is_pending(one) and not self._is_decided(one)]
        if pending:
            names = known_names(self._kubectl, self._params["nodes"], self._params["trust_node_status"])
            self.results.update((one["metadata"]["name"], self._judge(one, names)) for one in pending)
        signed = {serving_request.node_of(one) for one in requests if serving_request.is_signed(one)}
        return [self._missing(node) for node in self._params["wait_for"] if node not in signed], None

    def _is_decided(self, request: t.Mapping[str, t.Any]) -> bool:
        return self.results.get(request["metadata"]["name"], {"changed": False})["changed"] is True

    def _judge(self, request: t.Mapping[str, t.Any], names: Names) -> Result:
        name, why = request["metadata"]["name"], serving_request.refusal(request, names)
        verdict = "approved" if not why else "denied" if self._params["deny"] else "left"
        if verdict != "left" and not self._check_mode:
            (self._kubectl.deny if why else self._kubectl.approve)(name)
        return {"name": name, "node": serving_request.node_of(request), "changed": verdict != "left", "verdict": verdict,
                "reasons": [why] if why else []}

    def _missing(self, node: str) -> str:
        refused = [f"{one['name']} {one['reasons'][0]}" for one in self.results.values() if one["node"] == node and one["reasons"]]
        return f"{node}: {'; '.join(refused) or 'has no signed serving certificate'}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    params = module.params
    approver = Approver(Kubectl(runner(module), params["kubectl"], params["kubeconfig"]), params, module.check_mode)
    try:
        limit = 0 if module.check_mode else params["timeout"]
        unmet, _nothing, waited = until(approver.look, limit, time.monotonic, time.sleep)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    results = list(approver.results.values())
    if unmet and not module.check_mode:
        remedy = "give the node's names and addresses in nodes, or see whether its kubelet runs with serverTLSBootstrap"
        module.fail_json(msg=f"not signed within {params['timeout']} s: {'; '.join(unmet)} ({remedy})", results=results)
    module.exit_json(changed=any(one["changed"] for one in results), results=results, waited_seconds=round(waited, 2))


if __name__ == "__main__":
    main()
