#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_plan
short_description: Plan what a host's PKI needs, for provisioning and for every phase of a rotation
version_added: 0.1.0
description:
  - This action computes on the controller what is to be done, from what M(rekey.kubernetes.pki_host_info),
    M(rekey.kubernetes.pki_cluster_info) and M(rekey.kubernetes.pki_authority_info) have seen. It asks nothing and changes nothing.
  - The plan that is shown before a rotation, every phase of the run and a resumed run are computed by the same function.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
attributes:
  check_mode:
    support: full
    details: This action changes nothing.
  diff_mode:
    support: N/A
    details: This action changes nothing.
options:
  purpose:
    description:
      - With V(adopt), return where O(hosts) keep the pairs of their authorities.
      - With V(join), return which of O(hosts) join the cluster, whom they trust, and which certificate may be issued to each.
      - With V(provision), return what every host holds, of the newest generation of each authority.
      - With V(rotate), return the whole plan of a rotation, its checks, and what is staged before the first phase.
      - With V(phase), return what O(phase) does on every host, and its gates.
      - With V(report), return which endpoint accepts and refuses which generation, as a table.
    type: str
    choices: [adopt, join, phase, provision, report, rotate]
    default: rotate
  hosts:
    description:
      - The hosts, as the role P(rekey.kubernetes.pki#role) describes each in C(pki_host).
    type: list
    elements: dict
    required: true
  cluster:
    description:
      - The cluster, as the role P(rekey.kubernetes.pki#role) describes it in C(pki_cluster).
    type: dict
    required: true
  observations:
    description:
      - Name of the host to its observation.
    type: dict
    required: true
  objects:
    description:
      - The cluster's objects and the generations that they hold.
    type: dict
    default: {}
  nodes:
    description:
      - Names of the cluster's nodes, as M(rekey.kubernetes.pki_host_info) returns them. A rotation refuses to start while one of them is
        not in O(hosts).
    type: list
    elements: str
    default: []
  join:
    description:
      - The hosts that are asked to join. Every host with a kubelet that is no node of the cluster if empty.
    type: list
    elements: str
    default: []
  generations:
    description:
      - The generations that the authority host keeps, oldest first.
    type: dict
    required: true
  authorities:
    description:
      - The authorities to provision or to rotate. With V(service-accounts) the key pair of the service accounts is rotated, too.
    type: list
    elements: str
    choices: [etcd, front-proxy, kubernetes, service-accounts]
    default: [kubernetes, etcd, front-proxy]
  phase:
    description:
      - The phase to plan. Required with O(purpose=phase).
    type: str
    choices: [distrust, distrust-clients, distrust-tokens, issue, renew-tokens, serve, trust, trust-clients]
  rotation:
    description:
      - The old and the new generation of each authority, as the first plan returned them. Required with V(phase) and V(report).
    type: dict
  again:
    description:
      - Whether to rotate an authority whose generation is younger than O(minimum_age_days), too.
    type: bool
    default: false
  back:
    description:
      - Whether to roll pending rotations back. Then their new generation counts as the old one, and the old one as the new.
    type: bool
    default: false
  minimum_age_days:
    description:
      - An authority whose generation is younger has been rotated already and is left alone. A pending rotation always goes on,
        that of the service accounts' key pair even where O(authorities) does not name it.
    type: int
    default: 30
  drains:
    description:
      - Whether a command keeps clients away from an API server before it is stopped. It is only told of in the plan.
    type: bool
    default: false
  before:
    description:
      - Node to its C(reloads) and C(volumes) as M(rekey.kubernetes.pki_host_info) has seen them before the CA in its pods' volumes began to
        change. What has counted since then how often it has read its CA need not be restarted or waited for.
    type: dict
    default: {}
  nodes_at_a_time:
    description:
      - How many workers are brought to a phase side by side where their kubelets restart, once a first one alone has been proved.
    type: int
    default: 1
  graceful_shutdown:
    description:
      - Whether API servers that are static pods get the shutdown flags that they lack, with their next start.
    type: bool
    default: false
  observed_since:
    description:
      - The controller's time before the hosts were observed, in seconds since the epoch. The hosts' clocks are compared with it.
    type: float
  stragglers:
    description:
      - Whom M(rekey.kubernetes.pki_objects) and M(rekey.kubernetes.pki_workloads) have told of. The report repeats it.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Plan the rotation
  rekey.kubernetes.pki_plan:
    hosts: "{{ groups['all'] | map('extract', hostvars, 'pki_host') }}"
    cluster: "{{ pki_cluster }}"
    observations: "{{ observations }}"
    generations: "{{ known.generations }}"
  register: plan

- name: Show it
  ansible.builtin.debug:
    var: plan.text
"""

RETURN = r"""
text:
  description: The plan for people, a line each.
  returned: when O(purpose) is V(rotate), V(provision) or V(report)
  type: list
  elements: str
problems:
  description: What forbids to start, one sentence each. Empty when nothing does.
  returned: when O(purpose=rotate)
  type: list
  elements: str
nothing_to_do:
  description: Whether every authority is younger than O(minimum_age_days) and none is pending.
  returned: when O(purpose=rotate)
  type: bool
mint:
  description: The authorities whose new generation is not made yet.
  returned: when O(purpose=rotate)
  type: list
  elements: str
stamp:
  description: The stamp of generations made now.
  returned: when O(purpose=rotate)
  type: str
  sample: 20261122T170000Z
rotation:
  description: Authority to its old and its new generation.
  returned: when O(purpose=rotate)
  type: dict
phases:
  description: Names of the phases in their order.
  returned: when O(purpose=rotate)
  type: list
  elements: str
workloads:
  description:
    - With O(purpose=rotate), whether pods trust what is rotated.
    - With O(purpose=phase), the mark of what pods trust after the phase, empty where that does not change.
  returned: when O(purpose) is V(rotate) or V(phase)
  type: raw
workloads_since:
  description: Pods that started later trust what they shall after the phase, in seconds since the epoch.
  returned: when O(purpose=phase)
  type: float
stragglers:
  description: What O(stragglers) holds.
  returned: when O(purpose=report)
  type: list
  elements: dict
stands_at:
  description: The first phase that has something to do on a host.
  returned: when O(purpose=rotate)
  type: str
  sample: trust
prepared_before:
  description: The phase before which nobody has been hurt.
  returned: when O(purpose=rotate)
  type: str
  sample: serve
document:
  description: The plan for programs, as C(docs/plan.schema.json) describes it. Empty when nothing is to do.
  returned: when O(purpose=rotate)
  type: dict
fingerprints:
  description: Generation to the SHA-256 of its certificate or public key, of those in the rotation that are made already.
  returned: when O(purpose=rotate)
  type: dict
stage:
  description: Host to what is requested and installed before the first phase.
  returned: when O(purpose=rotate) and every generation is made
  type: dict
sources:
  description: The pairs that the first host keeps, as M(rekey.kubernetes.pki_key_copy) takes them to seal.
  returned: when O(purpose=adopt)
  type: list
  elements: dict
authority_of:
  description: Name of the pair to its authority, empty for that of the service accounts.
  returned: when O(purpose=adopt)
  type: dict
joining:
  description: The hosts that are no nodes of the cluster yet, of those asked for.
  returned: when O(purpose=join)
  type: list
  elements: str
members:
  description: The hosts that are nodes of the cluster, or should be.
  returned: when O(purpose=join)
  type: list
  elements: str
trusted:
  description: The CA certificates that a joining node trusts, in PEM.
  returned: when O(purpose=join)
  type: list
  elements: str
identities:
  description: Host to what may be issued to it.
  returned: when O(purpose=join)
  type: dict
provision:
  description: Host to what it holds.
  returned: when O(purpose=provision) and every generation is made
  type: dict
authorities:
  description: Certificates of the authorities, as M(rekey.kubernetes.pki_cert) takes them to compare with.
  returned: when O(purpose) is V(rotate), V(join) or V(provision) and every generation is made
  type: list
  elements: dict
signers:
  description: Where the authorities are on the authority host, as M(rekey.kubernetes.pki_cert) takes them to sign.
  returned: when O(purpose) is V(rotate), V(join) or V(provision) and every generation is made
  type: list
  elements: dict
todo:
  description: Host to what the phase does there and to its gate.
  returned: when O(purpose=phase)
  type: dict
phase:
  description: Name, purpose and number of the phase.
  returned: when O(purpose=phase)
  type: dict
proof:
  description: Endpoint to what its canaries have shown.
  returned: when O(purpose=report)
  type: dict
waves:
  description: Hosts in groups, each brought to the phase and proved before the next. No group has two hosts with restarts.
  returned: when O(purpose=phase)
  type: list
  elements: list
objects:
  description: What the phase does to the cluster's objects, and its gate there.
  returned: when O(purpose=phase)
  type: dict
"""
