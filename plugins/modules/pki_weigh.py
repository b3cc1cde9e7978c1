#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_weigh
short_description: Weigh who would be hurt by the rest of a rotation
version_added: 0.1.0
description:
  - This action divides those of whom M(rekey.kubernetes.pki_objects) and M(rekey.kubernetes.pki_workloads) have told into those who are
    accepted to be hurt and those who are left. It runs on the controller, asks nothing and changes nothing.
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
  stragglers:
    description:
      - The report, a list of C(kind) (V(certificate), V(configuration), V(server) or V(workload)), C(name), C(namespace), C(owner),
        C(reason) and C(remedy).
    type: list
    elements: dict
    required: true
  accept:
    description:
      - JMESPath expression over O(stragglers) that picks those who may be hurt, such as C([?namespace=='dev']). Empty, it picks nobody.
    type: str
    default: ""
requirements:
  - jmespath on the controller
"""

EXAMPLES = r"""
- name: Weigh those who would be hurt
  rekey.kubernetes.pki_weigh:
    stragglers: "{{ carried.stragglers }}"
    accept: "[?kind=='certificate']"
  register: weighed
"""

RETURN = r"""
left:
  description: Those who would be hurt and are not accepted.
  returned: success
  type: list
  elements: dict
accepted:
  description: Those whom O(accept) picks.
  returned: success
  type: list
  elements: dict
text:
  description: The same for people, a line each, and how to go on where somebody is left.
  returned: success
  type: list
  elements: str
"""
