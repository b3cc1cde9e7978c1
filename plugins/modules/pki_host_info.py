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
  - With O(expect) it asks again until all that is expected is seen, or until O(timeout) has passed.
    Every question is asked by a fresh handshake at the endpoint itself. Health checks and open connections outlive a broken trust.
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
      - The known generations, name to CA certificate as PEM. A name is C(<authority>/<stamp>).
    type: dict
    default: {}
  expect:
    description:
      - What must be seen, as M(rekey.kubernetes.pki_plan) returns it for a host and phase.
    type: list
    elements: dict
    default: []
  timeout:
    description:
      - How long to wait for what is expected, in seconds.
    type: int
    default: 180
  look_at:
    description:
      - V(files) reads the host's files alone, V(everything) its processes and endpoints, too.
    type: str
    choices: [everything, files]
    default: everything
  command:
    description:
      - A command and its arguments that must succeed before the host counts as ready, for example one that asks a balancer
        whether it sends requests to the host's API server again.
    type: list
    elements: str
    default: []
  scan:
    description:
      - Whether to look for generations in every file below the directories of the host, too.
    type: bool
    default: false
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

- name: Wait until the API server accepts a client of the new generation
  rekey.kubernetes.pki_host_info:
    host: "{{ pki_host }}"
    generations: "{{ pki_generations }}"
    expect:
      - ask: accepts
        endpoint: kube-apiserver
        generation: kubernetes/20261122T170000Z
    timeout: 60
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
    processes:
      description: Process to whether it runs, its process id and its start in seconds since the epoch.
      type: dict
    endpoints:
      description: Endpoint to what it serves and offers, whether it is ready, and how it answered each canary.
      type: dict
    etcd_leader:
      description: Whether the etcd member of the host leads.
      type: bool
    version:
      description: Version of the host's API server.
      type: str
    files:
      description: Path to the generations found in it. Only with O(scan=true).
      type: dict
waited_seconds:
  description:
    - Seconds spent waiting for what is expected, 0 when the first look shows it.
    - Where processes were restarted shortly before, they count from the start of the youngest.
  returned: success
  type: float
  sample: 0.4
unmet:
  description: What of O(expect) was not seen.
  returned: always
  type: list
  elements: str
"""

import datetime
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import services
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.observe import Observer
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.scan import scan
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._host_argument_spec import host_argument_spec
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations

RESTARTED_SECONDS = 30


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        **host_argument_spec(),
        "generations": {"type": "dict", "default": {}},
        "expect": {"type": "list", "elements": "dict", "default": []},
        "timeout": {"type": "int", "default": 180},
        "look_at": {"type": "str", "choices": ["everything", "files"], "default": "everything"},
        "command": {"type": "list", "elements": "str", "default": []},
        "scan": {"type": "bool", "default": False},
    }


def observer(params: t.Mapping[str, t.Any]) -> Observer:
    """Return the observer of the host that the options describe."""
    manager = params["manager"]
    return Observer(
        hosts.host(params["host"]), Generations(params["generations"]), tuple(params["generations"]),
        services.manager(manager["kind"], manager["config_path"] or ""), manager["service_names"])


def head_start(seen: t.Mapping[str, t.Any], begun: float) -> float:
    """Return how many seconds before *begun* (since the epoch) the youngest process started, 0.0 when that was not just now."""
    youngest = max((process["started"] for process in seen["processes"].values()), default=0.0)
    return begun - youngest if 0.0 < begun - youngest < RESTARTED_SECONDS else 0.0


def command_unmet(module: AnsibleModule) -> list[str]:
    """Run the command that must succeed, where there is one; say so when it does not."""
    argv = module.params["command"]
    if not argv:
        return []
    code, output, message = module.run_command(argv)
    return [f"{' '.join(argv)}: exit status {code}: {(message or output).strip()}"] if code else []


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        eye = observer(module.params)

        def look() -> tuple[list[str], dict[str, t.Any]]:
            seen = eye.observe(datetime.datetime.now(datetime.timezone.utc), module.params["look_at"] == "everything")
            if module.params["scan"]:
                seen["files"] = scan((eye.on.kubernetes_dir, eye.on.etcd_dir), eye.on.state_dir, eye.generations)
            return gates.unmet(module.params["expect"], seen) + command_unmet(module), seen

        begun = time.time()
        unmet, seen, waited = until(look, module.params["timeout"], time.monotonic, time.sleep)
    except PkiError as exc:
        module.fail_json(msg=str(exc), unmet=[])
    if unmet:
        module.fail_json(msg=f"not proved within {module.params['timeout']} s: " + "; ".join(unmet), observation=seen, unmet=unmet)
    module.exit_json(changed=False, observation=seen, waited_seconds=round(waited + head_start(seen, begun) if waited else 0.0, 2),
                     unmet=[])


if __name__ == "__main__":
    main()
