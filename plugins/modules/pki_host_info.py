#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_host_info
short_description: Observe the certificates, processes and TLS endpoints of a control plane host
version_added: 0.1.0
description:
  - This module observes one host. It tells which generation of each authority the host's bundles hold and its leaves were issued by,
    which processes run and since when, what every TLS endpoint serves, which client CAs it offers, and whether it accepts the
    canaries that are on the host.
  - Every question is asked by a fresh handshake at the endpoint itself. Health checks and open connections outlive a broken trust.
  - The command C(openssl) must be on the host.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
  - rekey.kubernetes._host
attributes:
  check_mode:
    support: full
    details: This module changes nothing.
  diff_mode:
    support: N/A
    details: This module changes nothing.
options:
  generations:
    description:
      - The known generations, name to CA certificate (or public key of service accounts) as PEM. A name is C(<authority>/<stamp>).
    type: dict
    default: {}
  objects:
    description:
      - Asks with the host's C(kubectl) which generations the cluster's objects hold and which nodes it has, too. One host of a cluster
        is enough.
    type: dict
    suboptions:
      kubectl:
        description: Name or path of the command.
        type: path
        default: kubectl
      kubeconfig:
        description: Kubeconfig of a cluster administrator.
        type: path
        required: true
  look_at:
    description:
      - V(files) reads the host's files alone, V(everything) its processes and endpoints, too.
    type: str
    choices: [everything, files]
    default: everything
"""

EXAMPLES = r"""
- name: Observe a control plane host
  rekey.kubernetes.pki_host_info:
    host:
      name: cp1
      address: 192.0.2.11
      groups: [etcd, kube_control_plane]
      kubernetes_dir: /var/lib/kubernetes
      etcd_dir: /etc/etcd
    generations:
      kubernetes/20261122T170000Z: "{{ lookup('ansible.builtin.file', 'kubernetes-ca.crt') }}"
  register: observed
"""

RETURN = r"""
observation:
  description: What was seen last.
  returned: success
  type: dict
  contains:
    clock:
      description: The host's time in seconds since the epoch.
      type: float
    pairs:
      description: Leaf to path, generation that issued it, expiry, and what is wrong with it.
      type: dict
    bundles:
      description: Bundle to path, generations in their order, and time of its last change of content.
      type: dict
    copies:
      description: Copy of a pair of the authority host to path and generation.
      type: dict
    reloads:
      description: Program of a node to how often it has taken over a changed CA since its start, by its own count.
      type: dict
    processes:
      description: Process to whether it runs, its process id and its start in seconds since the epoch.
      type: dict
    endpoints:
      description: Endpoint to what it serves and offers, whether it is ready, and how it answered each canary.
      type: dict
    tokens:
      description: Path of each token of a service account in a pod's volume to the generation whose key signed it.
      type: dict
    etcd_leader:
      description: Whether the etcd member of the host leads.
      type: bool
    version:
      description: Version of the host's API server.
      type: str
objects:
  description: Object to the generations that it holds, as M(rekey.kubernetes.pki_cluster_info) returns it.
  returned: when O(objects) is set
  type: dict
nodes:
  description: Names of the cluster's nodes.
  returned: when O(objects) is set
  type: list
  elements: str
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import managers
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.objects import everything, nodes
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.observe import Observer
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._host_argument_spec import host_argument_spec
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        **host_argument_spec(),
        "generations": {"type": "dict", "default": {}},
        "objects": {"type": "dict", "options": {"kubectl": {"type": "path", "default": "kubectl"},
                                                "kubeconfig": {"type": "path", "required": True}}},
        "look_at": {"type": "str", "choices": ["everything", "files"], "default": "everything"},
    }


def kubectl(module: AnsibleModule) -> Kubectl:
    """Return kubectl with the kubeconfig that the options name."""
    options = module.params["objects"]
    return Kubectl(runner(module), options["kubectl"], options["kubeconfig"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    params, manager = module.params, module.params["manager"]
    try:
        generations = Generations(params["generations"])
        on = hosts.host(params["host"])
        eye = Observer(on, generations, tuple(params["generations"]), managers.manager(manager, on, runner(module)),
                       manager["service_names"], runner(module))
        seen = eye.observe(datetime.datetime.now(datetime.timezone.utc), params["look_at"] == "everything")
        asked = {"objects": everything(kubectl(module), generations), "nodes": nodes(kubectl(module))} if params["objects"] else {}
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, observation=seen, **asked)


if __name__ == "__main__":
    main()
