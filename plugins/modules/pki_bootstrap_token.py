#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_bootstrap_token
short_description: Make short-lived bootstrap tokens, one for each joining node, and remove them
version_added: 0.1.0
description:
  - A bootstrap token lets a new node ask for its client certificate. This module makes one for each node, seals it for that node alone,
    and removes it again. No argument, result or log ever holds a token.
  - The node makes the key for which its token is sealed, and opens it, with M(rekey.kubernetes.pki_kubeadm_join).
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
seealso:
  - module: rekey.kubernetes.pki_kubeadm_join
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
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
  state:
    description:
      - With V(present), make a new token for each of O(nodes). No token is used twice, so every run makes new ones.
      - With V(absent), remove the tokens with these O(ids).
    type: str
    choices: [absent, present]
    default: present
  nodes:
    description:
      - The nodes that join. Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the host. The token is sealed for it.
        type: str
        required: true
      transport_public_key:
        description:
          - The public key for which the token is sealed, as M(rekey.kubernetes.pki_kubeadm_join) returned it. Required but in check mode.
        type: str
  ids:
    description:
      - The public halves of the tokens to remove. Required with O(state=absent).
    type: list
    elements: str
  validity_minutes:
    description:
      - How long a token is valid if nobody removes it.
    type: int
    default: 15
"""

EXAMPLES = r"""
- name: Make a token for a node
  rekey.kubernetes.pki_bootstrap_token:
    kubeconfig: /etc/kubernetes/admin.conf
    nodes: ["{{ requested.request }}"]
  register: tokens

- name: Remove it
  rekey.kubernetes.pki_bootstrap_token:
    kubeconfig: /etc/kubernetes/admin.conf
    state: absent
    ids: "{{ tokens.results | map(attribute='id') }}"
"""

RETURN = r"""
results:
  description: The tokens, in the order of O(nodes) or O(ids).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the host. Only with O(state=present).
      type: str
    changed:
      description: Whether the token was made or removed.
      type: bool
    id:
      description: The public half of the token. Null in check mode.
      type: str
    sealed:
      description: The token, sealed for the host. Only with O(state=present), null in check mode.
      type: str
"""

import datetime
import secrets
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils import _seal
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import joining
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

Result = dict[str, t.Any]
_PURPOSE = "rekey.kubernetes: joining {}"


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    node = {"name": {"type": "str", "required": True}, "transport_public_key": {"type": "str", "no_log": False}}
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
        "nodes": {"type": "list", "elements": "dict", "options": node},
        "ids": {"type": "list", "elements": "str"},
        "validity_minutes": {"type": "int", "default": 15},
    }


def check(nodes: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Refuse the batch before any token is made; :raises PkiError: for a node for which none can be sealed."""
    for node in nodes:
        if not node["transport_public_key"]:
            raise PkiError(node["name"], "transport_public_key is missing", "run pki_kubeadm_join with action=request on it")
        _seal.check_transport_public_key(node["transport_public_key"], node["name"])


def make(kubectl: Kubectl, node: t.Mapping[str, t.Any], validity_minutes: int) -> Result:
    """Make a token and return it sealed."""
    token = joining.Token(*("".join(secrets.choice(joining.ALPHABET) for _place in range(length))
                            for length in (joining.ID_LENGTH, joining.SECRET_LENGTH)))
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=validity_minutes)
    kubectl.create(joining.token_secret(token, expires, _PURPOSE.format(node["name"])))
    sealed = _seal.seal(str(token).encode("ascii"), node["transport_public_key"], _seal.Destination(joining.SEALED_TOKEN, node["name"]))
    return {"name": node["name"], "changed": True, "id": token.id, "sealed": sealed}


def remove(kubectl: Kubectl, token_id: str, check_mode: bool) -> Result:
    """Remove a token, where it is still there."""
    name = f"{joining.SECRET_PREFIX}{token_id}"
    there = kubectl.text(["get", "secret", name, f"--namespace={joining.NAMESPACE}", "--ignore-not-found", "-o", "name"]).strip()
    if there and not check_mode:
        kubectl.text(["delete", "secret", name, f"--namespace={joining.NAMESPACE}", "--ignore-not-found"])
    return {"changed": bool(there), "id": token_id}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True,
                           required_if=[("state", "present", ["nodes"]), ("state", "absent", ["ids"])])
    require_cryptography(module)
    params, nodes = module.params, module.params["nodes"]
    kubectl = Kubectl(runner(module), params["kubectl"], params["kubeconfig"])
    try:
        if params["state"] == "absent":
            results = [remove(kubectl, one, module.check_mode) for one in params["ids"]]
        elif module.check_mode:
            results = [{"name": node["name"], "changed": True, "id": None, "sealed": None} for node in nodes]
        else:
            check(nodes)
            results = [make(kubectl, node, params["validity_minutes"]) for node in nodes]
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=any(one["changed"] for one in results), results=results)


if __name__ == "__main__":
    main()
