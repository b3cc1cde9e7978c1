#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_cluster_info
short_description: Tell which generations the cluster's objects hold, and which one signs
version_added: 0.1.0
description:
  - This module reads the objects of a cluster that carry trust to its clients, and tells which generations of the authorities each holds.
    These are the ConfigMap C(kube-root-ca.crt) of every namespace, service account tokens' Secrets, the two CA fields of
    C(extension-apiserver-authentication), C(cluster-info), ClusterTrustBundles, and the C(caBundle) of webhooks, APIServices and CRDs.
    Of Secrets with tokens of service accounts it tells besides which key signed each.
  - With O(expect) it reads what that asks for alone.
  - Where O(expect) asks which generation signs, it creates a CertificateSigningRequest for a client without rights, approves it, and
    waits until it is signed. The request is deleted again, and its key never leaves the memory of the module.
  - With O(expect) it asks again until all that is expected is seen, or until O(timeout) has passed.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
  - rekey.kubernetes._kubectl
  - rekey.kubernetes._kubectl.timeout
attributes:
  check_mode:
    support: partial
    details: In check mode nobody is asked to sign, neither a request nor a token.
  diff_mode:
    support: N/A
    details: This module changes nothing.
options:
  token_claims:
    description:
      - Whether to tell what tokens of service accounts claim. A token is asked for, for the account C(default) of the namespace
        C(kube-node-lease), and forgotten at once. Nothing is asked for in check mode.
    type: bool
    default: false
  expect:
    description:
      - What must be seen, as M(rekey.kubernetes.pki_plan) returns it for the cluster's objects.
    type: list
    elements: dict
    default: []
  quiet_since:
    description:
      - When set, the logs of all pods in C(kube-system) are looked through from this moment on, once everything else is as expected. A line
        about a server's certificate that is not trusted (C(x509)) fails the module. Lines about clients that a server refuses do not.
      - In seconds since the epoch.
    type: float
    default: 0.0
seealso:
  - module: rekey.kubernetes.pki_objects
  - module: rekey.kubernetes.pki_workloads
"""

EXAMPLES = r"""
- name: Learn what tokens of service accounts claim
  rekey.kubernetes.pki_cluster_info:
    kubeconfig: /var/lib/kubernetes/admin.kubeconfig
    token_claims: true

- name: Tell which CAs the cluster's objects hold
  rekey.kubernetes.pki_cluster_info:
    kubeconfig: /var/lib/kubernetes/admin.kubeconfig
    generations: "{{ pki_generations }}"
"""

RETURN = r"""
objects:
  description: Kind of object to place (a namespace, or the object's name) to the generations that it holds there, in their order.
  returned: success
  type: dict
  sample:
    kube-root-ca.crt:
      default: [kubernetes/20261122T170000Z]
nodes:
  description: Names of the cluster's nodes.
  returned: when O(expect) is empty or asks for them
  type: list
  elements: str
token_claims:
  description: Issuer, audiences and identity in a token. Empty in check mode.
  returned: when O(token_claims) is set
  type: dict
signed_by:
  description: The generation that signed, empty for a foreign one.
  returned: when O(expect) asks which one signs
  type: str
  sample: kubernetes/20261122T170000Z
signatures:
  description: Bootstrap token's id to whether it has signed what C(cluster-info) holds.
  returned: when O(expect) asks for it
  type: dict
  sample: {abcdef: true}
logs_unread:
  description: What could not be looked through for O(quiet_since), as kubectl says it.
  returned: when O(quiet_since) is set
  type: list
  elements: str
waited_seconds:
  description: Seconds from the first look that did not show all that is expected to the one that did.
  returned: success
  type: float
unmet:
  description: What of O(expect) was not seen.
  returned: always
  type: list
  elements: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import complaints, gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations

SIGNS = "signs"
SIGNED = "signed"
KNOWN_NODES = "known_nodes"
WATCHED_NAMESPACE = "kube-system"


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "generations": {"type": "dict", "default": {}},
        "token_claims": {"type": "bool", "default": False},
        "expect": {"type": "list", "elements": "dict", "default": []},
        "quiet_since": {"type": "float", "default": 0.0},
        "timeout": {"type": "int", "default": 180},
    }


def see(kubectl: Kubectl, generations: Generations, expect: t.Sequence[gates.Expectation]) -> tuple[list[str], dict[str, t.Any]]:
    """Look once; return what is unmet, and what was seen. Nobody is asked to sign before the objects are as expected."""
    try:
        named = [one["name"] for one in expect if "name" in one]
        seen: dict[str, t.Any] = {
            "objects": objects.held(kubectl, generations, dict.fromkeys(named)) if expect else objects.everything(kubectl, generations)}
        if any(one["ask"] == SIGNED for one in expect):
            seen["signatures"] = objects.signatures(kubectl)
        if not expect or any(one["ask"] == KNOWN_NODES for one in expect):
            seen["nodes"] = objects.nodes(kubectl)
        unmet = gates.unmet([one for one in expect if one["ask"] != SIGNS], seen)
        asked = [one for one in expect if one["ask"] == SIGNS]
        if asked and not unmet:
            seen["signed_by"] = objects.signer(kubectl, generations)
            unmet = gates.unmet(asked, seen)
    except PkiError as exc:
        return [str(exc)], {}
    return unmet, seen


def quiet(kubectl: Kubectl, since: float) -> tuple[list[str], dict[str, t.Any]]:
    """Look through the logs, where that is asked for; return who complains, and what is told of the look."""
    if not since:
        return [], {}
    log = objects.logs(kubectl, WATCHED_NAMESPACE, since)
    return complaints.complaints(log), {"logs_unread": complaints.unread(log)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    params = module.params
    kubectl = Kubectl(runner(module), params["kubectl"], params["kubeconfig"])
    expect = [one for one in params["expect"] if one["ask"] != SIGNS or not module.check_mode]
    try:
        generations = Generations(params["generations"])
        claims = {} if module.check_mode or not params["token_claims"] else objects.token_claims(kubectl)
        asked = {"token_claims": claims} if params["token_claims"] else {}
        unmet, seen, waited = until(lambda: see(kubectl, generations, expect), params["timeout"], time.monotonic, time.sleep)
        complain, told = quiet(kubectl, params["quiet_since"]) if not unmet else ([], {})
    except PkiError as exc:
        module.fail_json(msg=str(exc), unmet=[])
    if unmet:
        module.fail_json(msg=f"not proved within {params['timeout']} s: " + "; ".join(unmet), unmet=unmet, **seen)
    if complain:
        module.fail_json(msg="; ".join(complain) + " (restart what does not trust the new generation, then run again)", unmet=complain,
                         **seen, **told)
    module.exit_json(changed=False, waited_seconds=round(waited, 2), unmet=[], **asked, **seen, **told)


if __name__ == "__main__":
    main()
