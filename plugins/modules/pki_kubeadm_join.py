#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_kubeadm_join
short_description: Have a node join a kubeadm cluster, with a credential that nobody sees
version_added: 0.1.0
description:
  - This module runs C(kubeadm join) on a node that has not joined yet.
  - Its credential is a bootstrap token that M(rekey.kubernetes.pki_bootstrap_token) has sealed for it, or a client certificate that was
    issued to it. The credential lies in files of mode V(0600) while C(kubeadm) runs, and is removed whatever comes of it.
  - A worker that holds the private key of one of O(authorities) is refused, before and after it joins.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
seealso:
  - module: rekey.kubernetes.pki_bootstrap_token
  - name: kubeadm join
    description: What kubeadm does on a joining node.
    link: https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-join/
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  action:
    description:
      - With V(request), say whether the node still has to join, and make the key for which its token is sealed.
      - With V(join), join.
    type: str
    choices: [join, request]
    default: join
  host:
    description:
      - Name of the host in the inventory.
    type: str
    required: true
  node:
    description:
      - Name of the node in the cluster.
    type: str
    required: true
  endpoint:
    description:
      - Host and port of the API. Required with O(action=join).
    type: str
  trusted:
    description:
      - The CA certificates in PEM that the cluster's API servers are trusted by. Required with O(action=join).
      - With a token they are pins. One of them must be in the C(cluster-info) of the cluster.
    type: list
    elements: str
    default: []
  sealed:
    description:
      - The sealed token, as M(rekey.kubernetes.pki_bootstrap_token) returned it.
    type: str
  identity_path:
    description:
      - PEM file with the node's client certificate and key, where they were issued to it. Used instead of O(sealed).
    type: path
  registration:
    description:
      - Further fields of C(nodeRegistration) in kubeadm's C(JoinConfiguration), such as C(criSocket) or C(kubeletExtraArgs).
    type: dict
    default: {}
  advertise_address:
    description:
      - Address of the node's API server. The node becomes a control plane if set.
    type: str
    default: ""
  authorities:
    description:
      - The known generations of all authorities, name to CA certificate as PEM. Their keys are looked for on a worker.
    type: dict
    default: {}
  kubernetes_dir:
    description:
      - The directory of kubeadm's files.
    type: path
    default: /etc/kubernetes
  kubeadm:
    description:
      - The kubeadm binary.
    type: path
    default: kubeadm
  timeout:
    description:
      - How long C(kubeadm join) may take, in seconds.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: See whether the node has joined
  rekey.kubernetes.pki_kubeadm_join:
    action: request
    host: "{{ inventory_hostname }}"
    node: w3
  register: requested

- name: Join
  rekey.kubernetes.pki_kubeadm_join:
    host: "{{ inventory_hostname }}"
    node: w3
    endpoint: lb.example.com:6443
    trusted: ["{{ lookup('ansible.builtin.file', 'ca.crt') }}"]
    sealed: "{{ token.sealed }}"
"""

RETURN = r"""
needed:
  description: Whether the node has not joined yet, before this run.
  returned: success
  type: bool
request:
  description: What M(rekey.kubernetes.pki_bootstrap_token) needs to make the node's token.
  returned: with O(action=request), when the node has not joined yet and O(identity_path) is not set
  type: dict
  contains:
    name:
      description: Name of the host.
      type: str
    transport_public_key:
      description: The public key for which the token is sealed. Null in check mode.
      type: str
reasons:
  description: Why something was changed.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import kubeadm
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations

NOT_YET = "has not joined yet"


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "action": {"type": "str", "choices": ["join", "request"], "default": "join"},
        "host": {"type": "str", "required": True},
        "node": {"type": "str", "required": True},
        "endpoint": {"type": "str"},
        "trusted": {"type": "list", "elements": "str", "default": []},
        "sealed": {"type": "str", "no_log": True},
        "identity_path": {"type": "path"},
        "registration": {"type": "dict", "default": {}},
        "advertise_address": {"type": "str", "default": ""},
        "authorities": {"type": "dict", "default": {}},
        "kubernetes_dir": {"type": "path", "default": "/etc/kubernetes"},
        "kubeadm": {"type": "path", "default": "kubeadm"},
        "timeout": {"type": "int", "default": 300},
    }


def requested(one: kubeadm.Joining, identified: bool, check_mode: bool) -> dict[str, t.Any]:
    """Return the answer to a request; a node with a certificate of its own needs no token."""
    if identified:
        return {"changed": False, "needed": True, "reasons": []}
    key = None if check_mode else kubeadm.transport_public_key(one)
    return {"changed": True, "needed": True, "reasons": [NOT_YET], "request": {"name": one.host, "transport_public_key": key}}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Do what the action says; return the module's answer."""
    params = module.params
    one = kubeadm.Joining(params["host"], params["node"], params["kubernetes_dir"])
    known = Generations({} if params["advertise_address"] else params["authorities"])
    kubeadm.refuse_authority_keys(one, known)
    if one.joined:
        return {"changed": False, "needed": False, "reasons": []}
    if params["action"] == "request":
        return requested(one, bool(params["identity_path"]), module.check_mode)
    if module.check_mode:
        return {"changed": True, "needed": True, "reasons": [NOT_YET]}
    if bool(params["sealed"]) == bool(params["identity_path"]):
        raise PkiError(one.host, "exactly one of sealed and identity_path is needed", "give it")
    kubeadm.join(one, kubeadm.Credential(params["sealed"] or "", params["identity_path"] or ""),
                 kubeadm.Way(params["endpoint"], params["trusted"]),
                 {name: params[name] for name in ("registration", "advertise_address")},
                 ["timeout", str(params["timeout"]), params["kubeadm"]], runner(module))
    kubeadm.refuse_authority_keys(one, known)
    return {"changed": True, "needed": True, "reasons": [NOT_YET]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        answer = run(module)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
