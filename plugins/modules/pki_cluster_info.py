#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_cluster_info
short_description: Tell which generations the cluster's objects hold
version_added: 0.1.0
description:
  - This module reads the objects of a cluster that carry trust to its clients, and tells which generations of the authorities each holds.
    These are the ConfigMap C(kube-root-ca.crt) of every namespace, service account tokens' Secrets, the two CA fields of
    C(extension-apiserver-authentication), C(cluster-info), ClusterTrustBundles, and the C(caBundle) of webhooks, APIServices and CRDs.
    Of Secrets with tokens of service accounts it tells besides which key signed each.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
  - rekey.kubernetes._kubectl
attributes:
  check_mode:
    support: full
    details: This module changes nothing. In check mode it asks for no token.
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
  returned: success
  type: list
  elements: str
token_claims:
  description: Issuer, audiences and identity in a token. Empty in check mode.
  returned: when O(token_claims) is set
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "generations": {"type": "dict", "default": {}},
        "token_claims": {"type": "bool", "default": False},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    params = module.params
    kubectl = Kubectl(runner(module), params["kubectl"], params["kubeconfig"])
    try:
        seen = {"objects": objects.everything(kubectl, Generations(params["generations"])), "nodes": objects.nodes(kubectl)}
        if params["token_claims"]:
            seen["token_claims"] = {} if module.check_mode else objects.token_claims(kubectl)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **seen)


if __name__ == "__main__":
    main()
