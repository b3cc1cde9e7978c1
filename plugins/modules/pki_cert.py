#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_cert
short_description: Issue and renew the leaf certificates of a cluster, many in one call
version_added: 0.1.0
description:
  - This module keeps client and server certificates as they are described. What is fine is left alone; what is missing,
    differs or expires soon is issued anew, each with its reasons.
  - Where the key of the authority is on the same host, O(action=issue) does everything in one call.
  - Where it is not, three calls serve any number of hosts, and no private key ever leaves the host that uses it.
    O(action=request) on each host makes the keys and returns signing requests, O(action=sign) on the host of the authority
    signs them all in one batch, and O(action=install) on each host puts key and certificate into place.
  - The three calls carry copies of the authority host's key pairs as well, each sealed for the host that has asked for it. Give them
    as O(copies). V(sign) seals them. See M(rekey.kubernetes.pki_key_copy), which does the same for copies alone.
  - Everything in the batch is checked before the first byte is written. Bad input changes nothing.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._copies
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
    details:
      - The decisions are those of a real run. No key is made, so O(action=request) returns signing requests only for keys that
        exist, and O(action=sign) returns no certificates.
      - A directory or an authority that does not exist is no error in check mode, because an earlier task may be the one
        that would have made it.
  diff_mode:
    support: full
    details: Shows public facts of certificates only.
options:
  action:
    description:
      - What to do.
      - V(issue) decides, makes keys, signs and writes. It needs the key of the authority.
      - V(request) decides and makes, for each certificate that has to be issued, a key in a file named as O(certificates[].key_path)
        with C(.pending) appended. A pending key that is already there is used again. Wrong modes and owners of files that are
        otherwise fine are mended.
      - V(sign) signs the items that have O(certificates[].csr_content) and passes the others over. What is signed is what
        the item says. A request that asks for more is refused. This writes no file, so it never reports a change.
      - V(install) puts the items that have O(certificates[].certificate_content) into place, key first, and passes the others over.
        Run again after an interruption, it finishes what is half done.
    type: str
    choices: [issue, request, sign, install]
    default: issue
  authorities:
    description:
      - The authorities that the certificates refer to.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name that O(certificates[].authority) refers to.
        type: str
        required: true
      certificate_path:
        description: File with the certificate of the authority.
        type: path
      certificate_content:
        description:
          - The certificate of the authority in PEM, for hosts that do not have the file. Used rather than
            O(authorities[].certificate_path) if both are set.
        type: str
      key_path:
        description:
          - File with the unencrypted private key of the authority. Needed by O(action=issue) and O(action=sign), and read only
            when something has to be signed.
        type: path
      chain_path:
        description:
          - File with the certificates that a leaf of this authority presents after its own. It begins with the certificate of the
            authority. Needed for an intermediate authority only, as written by M(rekey.kubernetes.pki_ca).
        type: path
      chain_content:
        description:
          - The same in PEM, for hosts that do not have the file. Used rather than O(authorities[].chain_path) if both are set.
          - Give it to O(action=request) too, or certificates that carry a chain are taken for different.
        type: str
  private_directory:
    description:
      - A directory that is made with mode V(0700) where it is missing, for pairs that have a directory of their own.
        Its parent must exist. Every other directory must exist.
    type: path
  certificates:
    description:
      - The certificates, each with its key.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the item in messages and results. Must be unique for each O(certificates[].host).
        type: str
        required: true
      host:
        description: Free label for batches over many hosts. It is shown in messages and handed back in the results.
        type: str
      authority:
        description: Name of the authority that signs. Required unless O(action=install).
        type: str
      certificate_path:
        description: File of the certificate, followed by its chain if there is one. Required unless O(action=sign).
        type: path
      key_path:
        description: File of the private key. Required unless O(action=sign).
        type: path
      store:
        description:
          - How the pair is stored.
          - With V(files), certificate and key have a PEM file each.
          - With V(kubeconfig), both are inline in the kubeconfig that O(certificates[].certificate_path) and O(certificates[].key_path)
            name, with the user of its current context. The kubeconfig must exist. All else in it stays.
          - With V(kubelet), both are in one PEM file behind the symlink that the two paths name, as the kubelet keeps its own.
        type: str
        choices: [files, kubeconfig, kubelet]
        default: files
      common_name:
        description: Common name of the subject. For a client certificate it is the name of the user.
        type: str
        required: true
      organizations:
        description: Organizations of the subject. For a client certificate they are the groups of the user.
        type: list
        elements: str
        default: []
      sans:
        description: Subject alternative names by type. A server certificate needs at least one.
        type: dict
        default: {}
        suboptions:
          dns:
            description: DNS names.
            type: list
            elements: str
            default: []
          ip:
            description: IP addresses. An address among the DNS names is an error, because no client would accept it.
            type: list
            elements: str
            default: []
          uri:
            description: URIs.
            type: list
            elements: str
            default: []
      usages:
        description: What the certificate is for.
        type: list
        elements: str
        choices: [server_auth, client_auth]
        required: true
      validity:
        description:
          - How long a new certificate is valid, as a number and V(m), V(h), V(d) or V(w) for minutes, hours, days or weeks.
          - A certificate never outlives its authority. If it would, it is cut, and a warning says so.
        type: str
        default: 365d
      renew_before:
        description: Issue a certificate anew when it is valid for less than this. Must be shorter than O(certificates[].validity).
        type: str
        default: 30d
      key_type:
        description: Type of the private key.
        type: str
        choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096]
        default: ecdsa-p256
      rotate_key:
        description: Whether a certificate that is issued anew gets a new key. If V(false), the key in place is kept where its type fits.
        type: bool
        default: true
      csr_content:
        description: The signing request in PEM. Only used by O(action=sign).
        type: str
      certificate_content:
        description: The signed certificate in PEM, followed by its chain if there is one. Only used by O(action=install).
        type: str
      owner:
        description: Name of the user who owns both files. If not set, the user who runs the module, or who owns the file that is replaced.
        type: str
      group:
        description: Name of the group of both files.
        type: str
      key_mode:
        description: Mode of the private key, four octal digits in quotes. It cannot give rights to everyone.
        type: str
        default: '0600'
      certificate_mode:
        description: Mode of the certificate, four octal digits in quotes.
        type: str
        default: '0644'
seealso:
  - module: rekey.kubernetes.pki_ca
  - plugin: rekey.kubernetes.pki_carry
    plugin_type: filter
  - module: rekey.kubernetes.pki_cert_info
"""

EXAMPLES = r"""
- name: Issue a server and a client certificate where the key of the authority is at hand
  rekey.kubernetes.pki_cert:
    authorities:
      - name: kubernetes
        certificate_path: /etc/rekey/pki/kubernetes/20261122T170000Z.crt
        key_path: /etc/rekey/pki/kubernetes/20261122T170000Z.key
    certificates:
      - name: apiserver
        authority: kubernetes
        certificate_path: /var/lib/kubernetes/kube-apiserver.crt
        key_path: /var/lib/kubernetes/kube-apiserver.key
        common_name: kube-apiserver
        sans:
          dns: [kubernetes, kubernetes.default.svc]
          ip: [10.96.0.1]
        usages: [server_auth]
      - name: admin
        authority: kubernetes
        certificate_path: /var/lib/kubernetes/admin.crt
        key_path: /var/lib/kubernetes/admin.key
        common_name: kubernetes-admin
        organizations: ["system:masters"]
        usages: [client_auth]

- name: (1/3) Make keys and signing requests on the node
  rekey.kubernetes.pki_cert:
    action: request
    authorities:
      - name: kubernetes
        certificate_content: "{{ kubernetes_ca_certificate }}"
    certificates: "{{ node_certificates }}"
  register: requested

- name: (2/3) Sign them on the host of the authority
  rekey.kubernetes.pki_cert:
    action: sign
    authorities:
      - name: kubernetes
        certificate_path: /etc/rekey/pki/kubernetes/20261122T170000Z.crt
        key_path: /etc/rekey/pki/kubernetes/20261122T170000Z.key
    certificates: "{{ node_certificates | rekey.kubernetes.pki_carry(requested.results, values={'csr': 'csr_content'}) }}"
  delegate_to: authority.example.com
  register: signed

- name: (3/3) Put keys and certificates into place
  rekey.kubernetes.pki_cert:
    action: install
    certificates: >-
      {{ node_certificates
         | rekey.kubernetes.pki_carry(signed.results, values={'certificate_content': 'certificate_content'}) }}
"""

RETURN = r"""
results:
  description: One entry for each item of O(certificates), in the same order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the item.
      type: str
      sample: apiserver
    host:
      description: Label of the host as it was given.
      type: str
      sample: controller-0
    changed:
      description: Whether a file of the item was changed, or would be in check mode.
      type: bool
      sample: true
    reasons:
      description: Why the item was changed or has to be issued. Empty when there is nothing to do.
      type: list
      elements: str
      sample: ["expires in 12 d", "SAN missing: 10.96.0.1"]
    warnings:
      description: What should be known of the item although nothing failed.
      type: list
      elements: str
      sample: ["ends with its CA on 2027-11-22T00:00:00Z"]
    needed:
      description: Whether the certificate has to be issued.
      returned: O(action=request)
      type: bool
      sample: true
    csr:
      description: The signing request in PEM for O(certificates[].csr_content).
      returned: O(action=request) and the certificate has to be issued
      type: str
      sample: "-----BEGIN CERTIFICATE REQUEST-----..."
    signed:
      description: Whether the item was signed, or would be in check mode.
      returned: O(action=sign)
      type: bool
      sample: true
    certificate_content:
      description: The signed certificate in PEM, followed by its chain if the authority has one, for O(certificates[].certificate_content).
      returned: O(action=sign), the item was signed, and not in check mode
      type: str
      sample: "-----BEGIN CERTIFICATE-----..."
    certificate:
      description: The certificate that is in place now, or was signed. M(rekey.kubernetes.pki_cert_info) tells all of it.
      returned: there is one
      type: dict
      contains:
        serial_number:
          description: Its serial number in decimal digits.
          type: str
          sample: "674414311605604992450627907738435089713239118338"
        not_after:
          description: End of its validity, ISO 8601 in UTC.
          type: str
          sample: "2027-11-22T17:00:00Z"
        fingerprint_sha256:
          description: SHA-256 of the certificate in hexadecimal.
          type: str
          sample: 92dfda64f143b8bd1561bea01d27abe19b35ec401ca0657923ef64c80d002c54
copies:
  description: One result for each of O(copies), in their order, as M(rekey.kubernetes.pki_key_copy) returns them.
  returned: success
  type: list
  elements: dict
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files, key_copy, leaf_batch
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import Item

COPY_ACTIONS = {"request": "request", "sign": "seal", "install": "install"}


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "action": {"type": "str", "choices": list(leaf_batch.ACTIONS), "default": "issue"},
        "authorities": {"type": "list", "elements": "dict", "default": [], "options": {
            "name": {"type": "str", "required": True},
            "certificate_path": {"type": "path"},
            "certificate_content": {"type": "str"},
            "key_path": {"type": "path"},
            "chain_path": {"type": "path"},
            "chain_content": {"type": "str"},
        }},
        "copies": {"type": "list", "elements": "dict", "default": [], "options": key_copy.item_spec()},
        "private_directory": {"type": "path"},
        "certificates": {"type": "list", "elements": "dict", "required": True, "options": leaf_batch.item_spec()},
    }


def _warn(module: AnsibleModule, items: t.Iterable[Item], results: t.Iterable[leaf_batch.Result]) -> None:
    labels: dict[str, list[str]] = {}
    for item, result in zip(items, results):
        for warning in result["warnings"]:
            labels.setdefault(warning, []).append(item.label)
    for warning, named in labels.items():
        module.warn(f"{', '.join(named)}: {warning}")


def plan_copies(params: t.Mapping[str, t.Any], check_mode: bool) -> list[key_copy.Plan]:
    """Return what the action does for the copies; :raises PkiError: with an action that knows none."""
    if not params["copies"]:
        return []
    if params["action"] not in COPY_ACTIONS:
        raise PkiError("copies", f"action={params['action']} makes none", "use request, sign and install, or pki_key_copy")
    return key_copy.plan(COPY_ACTIONS[params["action"]], params["copies"], check_mode)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    directory = module.params["private_directory"]
    try:
        made = bool(directory) and files.make_private_directory(directory, module.check_mode)
        batch = leaf_batch.Batch(module.params, datetime.datetime.now(datetime.timezone.utc), module.check_mode)
        copies = plan_copies(module.params, module.check_mode)
        results = leaf_batch.ACTIONS[module.params["action"]](batch)
        if not module.check_mode:
            key_copy.apply(copies)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    _warn(module, batch.items, results)
    extra: dict[str, t.Any] = {"diff": [*batch.diffs, *(plan.diff for plan in copies if plan.changed)]} if module._diff else {}
    if module._verbosity < 3:
        # Ansible would hand all arguments back, which is most of the answer for a large batch, and show them only from -vvv on.
        extra["invocation"] = {"module_args": {"action": module.params["action"]}}
    module.exit_json(changed=made or any(one["changed"] for one in results) or any(plan.changed for plan in copies), results=results,
                     copies=[plan.result for plan in copies], **extra)


if __name__ == "__main__":
    main()
