#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_workloads
short_description: Restart the workloads whose pods trust the cluster's root CA
version_added: 0.1.0
description:
  - Pods trust what the ConfigMap C(kube-root-ca.crt) held when their program last read it. Many read it only at their start. This module
    restarts, by a rolling update of their own kind, all workloads whose pods mount it, those of C(kube-system) first.
  - What has been started with O(mark) is not started again, so a run that was cut short goes on.
  - A workload that is annotated C(rekey.kubernetes/restart=never), one with the update strategy C(OnDelete), bare pods, and pods of
    Jobs are left alone and reported.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
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
  mark:
    description:
      - What the pods trust from now on, for example the names of the generations. It is put on the pod templates as annotation
        C(rekey.kubernetes/trusts), which is what starts the rolling update.
    type: str
    required: true
  policy:
    description:
      - With V(restart), restart. With V(report), only tell what would be restarted.
    type: str
    choices: [report, restart]
    default: restart
  batch:
    description:
      - How many workloads of a namespace are restarted side by side.
    type: int
    default: 5
  timeout:
    description:
      - How long one workload's rolling update may take, in seconds.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Restart what trusts the cluster's root CA
  rekey.kubernetes.pki_workloads:
    kubeconfig: /etc/kubernetes/admin.conf
    mark: kubernetes/20261122T170000Z
"""

RETURN = r"""
results:
  description: The workloads that were restarted, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Kind, namespace and name.
      type: str
      sample: Deployment kube-system/coredns
    changed:
      description: Whether it was restarted by this run.
      type: bool
left:
  description: What was left alone, and why.
  returned: success
  type: list
  elements: str
  sample: ["Pod default/debug: is a bare pod"]
waited_seconds:
  description: Seconds spent waiting for rolling updates.
  returned: success
  type: float
"""

import concurrent.futures
import itertools
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import workloads
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import MARK, ROLLING, Workload


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "mark": {"type": "str", "required": True},
        "policy": {"type": "str", "choices": ["report", "restart"], "default": "restart"},
        "batch": {"type": "int", "default": 5},
        "timeout": {"type": "int", "default": 600},
    }


def roll(kubectl: Kubectl, one: Workload, mark: str, timeout: int) -> None:
    """Start a workload's rolling update unless its template has the mark, and wait for its end."""
    kind = ROLLING[one.kind]
    if one.mark != mark:
        kubectl.patch(kind, one.name, {"spec": {"template": {"metadata": {"annotations": {MARK: mark}}}}}, one.namespace)
    kubectl.text(["rollout", "status", f"{kind}/{one.name}", f"--namespace={one.namespace}", f"--timeout={timeout}s"])


def roll_all(kubectl: Kubectl, found: t.Sequence[Workload], params: t.Mapping[str, t.Any]) -> None:
    """Update the workloads namespace by namespace, a batch at a time; :raises PkiError: for the first that does not come to its end."""
    for _namespace, group in itertools.groupby(found, key=lambda one: one.namespace):
        with concurrent.futures.ThreadPoolExecutor(params["batch"]) as pool:
            for done in [pool.submit(roll, kubectl, one, params["mark"], params["timeout"]) for one in group]:
                done.result()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    params = module.params
    kubectl = Kubectl(runner(module), params["kubectl"], params["kubeconfig"])
    begun = time.monotonic()
    try:
        controllers = [{"kind": kind, **one} for kind in (*ROLLING, "ReplicaSet") for one in kubectl.list(f"{kind.lower()}s")]
        found = workloads.concerned(kubectl.list("pods"), controllers)
        moved = [one for one in found if not one.left]
        if params["policy"] == "restart" and not module.check_mode:
            roll_all(kubectl, moved, params)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    results = [{"name": one.label, "changed": params["policy"] == "restart" and one.mark != params["mark"]} for one in moved]
    module.exit_json(changed=any(one["changed"] for one in results), results=results, waited_seconds=round(time.monotonic() - begun, 2),
                     left=[f"{one.label}: {one.left}" for one in found if one.left])


if __name__ == "__main__":
    main()
