#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_workloads
short_description: Have the workloads trust the cluster's root CA as it is now
version_added: 0.1.0
description:
  - Pods trust what the ConfigMap C(kube-root-ca.crt) held when their program last read it. Many read it only at their start. This module
    restarts, by a rolling update of their own kind, all workloads whose pods have it from a volume, a legacy token's Secret, a
    ClusterTrustBundle, a variable, or from C(/etc/kubernetes) on their node, those of C(kube-system) first.
  - A workload annotated C(rekey.kubernetes/reloads=5m) reads a changed file within that time. It is waited for instead, unless its pods
    have the CA by C(subPath) or from a variable, which never follows.
  - What has been started or waited for with O(mark) is not started again, so a run that was cut short goes on.
  - A rolling update asks no PodDisruptionBudget, so this module does. A workload whose update takes more pods down at a time than a budget
    allows is not restarted. It is waited for O(disruption_timeout), and then reported.
  - A workload that is annotated C(rekey.kubernetes/restart=never) or paused, one with the update strategy C(OnDelete) or a partition,
    bare pods, static pods of others than kubeadm, and pods of Jobs are left alone and reported.
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
      - With V(auto), restart, and wait for those that say, or are known, to reload. With V(restart), restart these as well.
        With V(report), only tell what would be restarted.
    type: str
    choices: [auto, report, restart]
    default: auto
  reloaded:
    description:
      - Programs, by the names of their images, that have been seen to have read the CA again. Workloads that run nothing else are not
        waited for.
    type: list
    elements: str
    default: []
  since:
    description:
      - Pods that started later trust what they shall. They are not reported, once O(since) is set. In seconds since the epoch.
    type: float
    default: 0.0
  batch:
    description:
      - How many workloads of a namespace are restarted side by side. Those that a budget protects are restarted one at a time.
    type: int
    default: 5
  timeout:
    description:
      - How long one workload's rolling update may go without one more new or available pod, in seconds.
    type: int
    default: 600
  disruption_timeout:
    description:
      - How long to wait for a PodDisruptionBudget to allow a workload's update, in seconds.
    type: int
    default: 120
seealso:
  - module: rekey.kubernetes.pki_objects
  - module: rekey.kubernetes.pki_cluster_info
"""

EXAMPLES = r"""
- name: Restart what trusts the cluster's root CA
  rekey.kubernetes.pki_workloads:
    kubeconfig: /etc/kubernetes/admin.conf
    mark: kubernetes/20261122T170000Z
"""

RETURN = r"""
results:
  description: The workloads that were restarted or waited for, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Kind, namespace and name.
      type: str
      sample: Deployment kube-system/coredns
    changed:
      description: Whether this run started it anew or waited for it.
      type: bool
    fate:
      description: V(restarted) or V(waited for).
      type: str
stragglers:
  description: What was left alone. Each with C(kind), C(name), C(owner), C(reason), C(remedy), and all of it as C(text).
  returned: success
  type: list
  elements: dict
  sample:
    - kind: workload
      name: Pod default/debug
      owner: service account default/default
      reason: is a bare pod
      remedy: restart it once the phase trust-clients is over, and once more at the end
      text: "Pod default/debug (of service account default/default): is a bare pod (restart it once the phase trust-clients is over, ...)"
waited_seconds:
  description: Seconds spent waiting for rolling updates.
  returned: success
  type: float
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.rollouts import Limits, Rollouts, running
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import stragglers
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import LEFT, Workload, concerned


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "mark": {"type": "str", "required": True},
        "policy": {"type": "str", "choices": ["auto", "report", "restart"], "default": "auto"},
        "reloaded": {"type": "list", "elements": "str", "default": []},
        "since": {"type": "float", "default": 0.0},
        "batch": {"type": "int", "default": 5},
        "timeout": {"type": "int", "default": 600},
        "disruption_timeout": {"type": "int", "default": 120},
    }


def carry_out(kubectl: Kubectl, moved: t.Sequence[Workload], params: t.Mapping[str, t.Any], acts: bool) -> dict[str, str]:
    """Restart and wait for the workloads; return the labels of those that are hindered, with the reason."""
    limits = Limits(params["batch"], params["timeout"], params["disruption_timeout"])
    rollouts = Rollouts(kubectl, params["mark"], limits)
    return rollouts.carry_out(moved) if acts else rollouts.hindered_now(moved)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    params = module.params
    kubectl = Kubectl(runner(module), params["kubectl"], params["kubeconfig"])
    begun = time.monotonic()
    acts = params["policy"] != "report"
    try:
        found = concerned(running(kubectl), params["since"], params["policy"] != "restart", params["reloaded"])
        moved = [one for one in found if one.fate != LEFT]
        hindered = carry_out(kubectl, moved, params, acts and not module.check_mode)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    told = [stragglers.workload(one).told() for one in found if one.fate == LEFT]
    told += [stragglers.workload(one, hindered[one.label]).told() for one in moved if one.label in hindered]
    results = [{"name": one.label, "changed": acts and one.mark != params["mark"], "fate": one.fate}
               for one in moved if one.label not in hindered]
    module.exit_json(changed=any(one["changed"] for one in results), results=results, stragglers=told,
                     waited_seconds=round(time.monotonic() - begun, 2))


if __name__ == "__main__":
    main()
