#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_key_copy
short_description: Bring copies of the authority host's key pairs to other hosts, sealed
version_added: 0.1.0
description:
  - Some key pairs of the authority host are needed elsewhere. C(kube-controller-manager) signs with a CA key, and API servers and
    controller managers share the key pair of the service accounts. This module brings copies of them to other hosts.
  - The private key never appears in clear in an argument, a result or a log, and never on the controller. The destination makes a
    transport key, the authority host encrypts the private key for that transport key, and the destination opens it.
  - A copy takes three calls. V(request) runs on every destination, V(seal) once on the authority host for all of them,
    V(install) on every destination. Only the host that made the transport key can open what was sealed for it, and only for the
    copy's O(copies[].name) and O(copies[].host).
  - V(create) makes a key pair on the authority host, for the service accounts.
  - The whole list is checked before the first file is written.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._copies
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
    details: What an earlier call would have made in a run without check mode may be missing.
  diff_mode:
    support: full
    details: Shows fingerprints of public keys only.
options:
  action:
    description:
      - V(request), on the destination, says which copies are needed and makes a transport key for each of them,
        C(<key_path>.transport), which others cannot read. A transport key that is there already is used again.
      - V(seal), on the authority host, encrypts the private key for the transport key. It changes nothing on disk.
      - V(install), on the destination, opens what was sealed, checks that key and public half match, writes the key, then the
        public half, and removes the transport key.
      - V(create), on the authority host, makes a key pair where there is none. It never replaces a key.
    type: str
    choices: [create, install, request, seal]
    required: true
seealso:
  - module: rekey.kubernetes.pki_ca
  - module: rekey.kubernetes.pki_cert
"""

EXAMPLES = r"""
- name: Make the key pair of the service accounts
  rekey.kubernetes.pki_key_copy:
    action: create
    copies:
      - name: service-accounts
        key_path: /etc/rekey/pki/service-accounts.key
        public_path: /etc/rekey/pki/service-accounts.pub
  delegate_to: authority.example.com
  run_once: true

- name: Ask for a copy where it is needed
  rekey.kubernetes.pki_key_copy:
    action: request
    copies:
      - name: service-accounts
        host: "{{ inventory_hostname }}"
        key_path: /var/lib/kubernetes/service-accounts.key
        public_path: /var/lib/kubernetes/service-accounts.pub
  register: requested

- name: Seal the key for every host that needs it
  rekey.kubernetes.pki_key_copy:
    action: seal
    copies:
      - name: service-accounts
        host: "{{ inventory_hostname }}"
        key_path: /etc/rekey/pki/service-accounts.key
        public_path: /etc/rekey/pki/service-accounts.pub
        transport_public_key: "{{ requested.results[0].transport_public_key }}"
  delegate_to: authority.example.com
  register: sealed
  when: requested.results[0].needed

- name: Install the copy
  rekey.kubernetes.pki_key_copy:
    action: install
    copies:
      - name: service-accounts
        host: "{{ inventory_hostname }}"
        key_path: /var/lib/kubernetes/service-accounts.key
        public_path: /var/lib/kubernetes/service-accounts.pub
        sealed: "{{ sealed.results[0].sealed }}"
        public_content: "{{ sealed.results[0].public_content }}"
  when: requested.results[0].needed
"""

RETURN = r"""
results:
  description: One result for each of O(copies), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the copy.
      type: str
      sample: signer
    host:
      description: Label of the destination, null where none was given.
      type: str
      sample: cp1.example.com
    changed:
      description: Whether files were written or removed, or would be in check mode.
      type: bool
    reasons:
      description: Why the copy is needed, or why something was changed.
      type: list
      elements: str
      sample: [/var/lib/kubernetes/signing-ca.key is missing]
    public_sha256:
      description:
        - SHA-256 of the key's SubjectPublicKeyInfo. With O(action=request) of the key that is there now.
        - Null where there is none yet.
      type: str
      sample: 5f0b4a6f8d1d2c7f93b1c8fd3ac3e9a7f3a2f1a0d9c8b7a6f5e4d3c2b1a09f8e
    needed:
      description: Whether a copy must be sealed and installed.
      returned: with O(action=request)
      type: bool
    transport_public_key:
      description: Public half of the transport key as PEM. Null where no copy is needed, and in check mode where there is none yet.
      returned: with O(action=request)
      type: str
      sample: "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n"
    sealed:
      description: The sealed private key. Null in check mode where the pair or O(copies[].transport_public_key) is not there yet.
      returned: with O(action=seal)
      type: str
    public_content:
      description: The public half as PEM. Null in check mode where there is none yet.
      returned: with O(action=seal) and O(action=create)
      type: str
      sample: "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n"
    key_type:
      description: Kind of the key.
      returned: with O(action=create)
      type: str
      sample: rsa-2048
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import key_copy
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "action": {"type": "str", "choices": sorted(key_copy.ACTIONS), "required": True},
        "copies": {"type": "list", "elements": "dict", "default": [], "options": key_copy.item_spec()},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        plans = key_copy.plan(module.params["action"], module.params["copies"], module.check_mode)
        if not module.check_mode:
            key_copy.apply(plans)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    diff = [plan.diff for plan in plans if plan.changed]
    module.exit_json(changed=bool(diff), results=[plan.result for plan in plans], **({"diff": diff} if module._diff and diff else {}))


if __name__ == "__main__":
    main()
