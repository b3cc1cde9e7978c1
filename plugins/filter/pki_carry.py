# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry a value from the results of one call to the items of the next."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pki_carry
short_description: Carry a value from the results of one call to the items of the next
version_added: 0.1.0
description:
  - Requests made on many hosts are signed in one call on the authority host, and what was signed is installed on the hosts again.
    This filter joins the items with the results of the call before, by name and host.
positional: results
options:
  _input:
    description: Items of M(rekey.kubernetes.pki_cert) or M(rekey.kubernetes.pki_key_copy), each with C(name) and C(host).
    type: list
    elements: dict
    required: true
  results:
    description: Results of the call before.
    type: list
    elements: dict
    required: true
  values:
    description: Key of the result to option of the item. An item is left out unless its result has all of them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Sign what all hosts have requested
  rekey.kubernetes.pki_cert:
    action: sign
    authorities: "{{ authorities }}"
    certificates: "{{ items | rekey.kubernetes.pki_carry(requested, values={'csr': 'csr_content'}) }}"
"""

RETURN = r"""
_value:
  description: The items whose results have the values, with the values as options.
  type: list
  elements: dict
"""

import typing as t

Item = dict[str, t.Any]


def pki_carry(items: list[Item], results: list[Item], values: dict[str, str]) -> list[Item]:
    """Return the items whose result holds every key of *values*, with those values as options of the item."""
    found = {(result.get("host"), result["name"]): result for result in results}
    carried = []
    for item in items:
        result = found.get((item.get("host"), item["name"]), {})
        if all(result.get(key) for key in values):
            carried.append({**item, **{option: result[key] for key, option in values.items()}})
    return carried


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return name → filter."""
        return {"pki_carry": pki_carry}
