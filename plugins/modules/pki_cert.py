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
  - Everything in the batch is checked before the first byte is written. Bad input changes nothing.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
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
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography, x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import authorities, batch_files, files, leaf_files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import decide, issue
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import iso8601, leaf_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import Item, checked_items
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.keys import KEY_TYPES, key_pem, new_keys
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import require_certificates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import pair_matches

Result = dict[str, t.Any]


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    names = {"type": "list", "elements": "str", "default": []}
    return {
        "action": {"type": "str", "choices": list(ACTIONS), "default": "issue"},
        "authorities": {"type": "list", "elements": "dict", "default": [], "options": {
            "name": {"type": "str", "required": True},
            "certificate_path": {"type": "path"},
            "certificate_content": {"type": "str"},
            "key_path": {"type": "path"},
            "chain_path": {"type": "path"},
            "chain_content": {"type": "str"},
        }},
        "certificates": {"type": "list", "elements": "dict", "required": True, "options": {
            "name": {"type": "str", "required": True},
            "host": {"type": "str"},
            "authority": {"type": "str"},
            "certificate_path": {"type": "path"},
            "key_path": {"type": "path"},
            "common_name": {"type": "str", "required": True},
            "organizations": names,
            "sans": {"type": "dict", "default": {}, "options": {"dns": names, "ip": names, "uri": names}},
            "usages": {"type": "list", "elements": "str", "choices": ["server_auth", "client_auth"], "required": True},
            "validity": {"type": "str", "default": "365d"},
            "renew_before": {"type": "str", "default": "30d"},
            "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "ecdsa-p256"},
            "rotate_key": {"type": "bool", "default": True},
            "csr_content": {"type": "str"},
            "certificate_content": {"type": "str"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "key_mode": {"type": "str", "default": "0600", "no_log": False},
            "certificate_mode": {"type": "str", "default": "0644"},
        }},
    }


class Batch:
    """The items of one call with their authorities, and what came of them."""

    def __init__(self, params: t.Mapping[str, t.Any], now: datetime.datetime, check_mode: bool) -> None:
        action = params["action"]
        self.now, self.check_mode = now, check_mode
        self.items = checked_items(params["certificates"], needs_paths=action != "sign", needs_authority=action != "install")
        self._options = {option["name"]: option for option in params["authorities"]}
        if len(self._options) < len(params["authorities"]):
            raise PkiError("authorities", "two have the same name", "name each authority once")
        wanted = dict.fromkeys(item.authority for item in self.items if action != "install" or item.authority in self._options)
        self.authorities = {name: self._authority(name) for name in wanted}
        self._issuers: dict[str, issue.Issuer] = {}
        if action != "sign":
            leaf_files.check_targets(self.items, check_mode)
        self.steps: list[batch_files.Step] = []
        self.diffs: list[Result] = []
        self._mend: list[files.Target] = []

    def _authority(self, name: str) -> decide.Authority | None:
        if name not in self._options:
            users = ", ".join(item.label for item in self.items if item.authority == name)
            raise PkiError(users, f"authority {name} is not in authorities", "add it there")
        return authorities.read_authority(self._options[name], self.now, may_be_absent=self.check_mode)

    def issuer(self, authority: decide.Authority) -> issue.Issuer:
        """Return the issuer of an authority; its key is read the first time."""
        if authority.name not in self._issuers:
            self._issuers[authority.name] = authorities.read_issuer(self._options[authority.name], authority)
        return self._issuers[authority.name]

    def sign(self, item: Item, authority: decide.Authority, public_key: t.Any) -> tuple[list[x509.Certificate], list[str]]:
        """Return an item's new certificate with its chain, and warnings."""
        start, end, cut = issue.period(self.now, item.validity, authority.certificate)
        leaf = issue.sign_leaf(self.issuer(authority), item.profile, public_key, start, end, x509.random_serial_number())
        return [leaf, *authority.chain], [f"ends with its CA on {iso8601(end)}"] * cut

    def keep(self, item: Item, result: Result, *targets: files.Target) -> None:
        """Note wrong modes and owners of files that are otherwise left as they are."""
        for target in targets:
            deviations = files.attribute_reasons(target)
            if deviations:
                result.update(changed=True, reasons=result["reasons"] + deviations)
                self.differ(target.path, {"attributes": deviations}, {"attributes": []})
                self._mend.append(target)

    def differ(self, path: str, before: Result, after: Result) -> None:
        """Note a change for diff mode."""
        self.diffs.append({"before_header": path, "after_header": path, "before": before, "after": after})

    def write(self) -> None:
        """Carry out what was decided, unless in check mode."""
        if self.check_mode:
            return
        batch_files.apply(self.steps)
        for target in self._mend:
            files.set_attributes(target)


def issue_here(batch: Batch) -> list[Result]:
    """Decide, make keys, sign and write: for hosts that have the authority's key."""
    seen = [(item, leaf_files.observe(item)) for item in batch.items]
    decisions = [decide.decide(item, found, batch.authorities[item.authority], batch.now) for item, found in seen]
    due = [(item, found) for (item, found), decision in zip(seen, decisions) if decision.reasons]
    for authority in {item.authority: batch.authorities[item.authority] for item, _found in due}.values():
        if authority is not None:
            batch.issuer(authority)
    fresh = [item for item, found in due if not decide.keeps_key(item, found)]
    keys = iter([] if batch.check_mode else new_keys([item.key_type for item in fresh]))
    results = []
    for (item, found), decision in zip(seen, decisions):
        result = _result(item, decision, found.certificates)
        if decision.reasons:
            key = found.key if decide.keeps_key(item, found) else next(keys, None)
            _issue_one(batch, item, found, key, result)
        else:
            batch.keep(item, result, *leaf_files.targets(item))
        results.append(result)
    batch.write()
    return results


def _issue_one(batch: Batch, item: Item, found: decide.Found, key: t.Any, result: Result) -> None:
    result["changed"] = True
    authority = batch.authorities[item.authority]
    batch.differ(item.certificate_path, _facts(found.certificates), decide.outlook(item, authority))
    if decide.keeps_key(item, found):
        batch.keep(item, result, leaf_files.key_target(item))
    if batch.check_mode or authority is None:
        return
    certificates, warnings = batch.sign(item, authority, key.public_key())
    result["warnings"] += warnings
    result["certificate"] = leaf_facts(certificates[0])
    if key is not found.key:
        batch.steps.append(batch_files.Write(leaf_files.key_target(item), key_pem(key)))
    batch.steps.append(batch_files.Write(leaf_files.certificate_target(item), _pem(certificates).encode("ascii")))


def request(batch: Batch) -> list[Result]:
    """Decide, and make keys and signing requests for what has to be issued."""
    seen = [(item, leaf_files.observe(item)) for item in batch.items]
    results, waiting = [], []
    for item, found in seen:
        decision = decide.decide(item, found, batch.authorities[item.authority], batch.now)
        result = {**_result(item, decision, found.certificates), "needed": bool(decision.reasons)}
        results.append(result)
        if not decision.reasons:
            batch.keep(item, result, *leaf_files.targets(item))
            continue
        key = found.key if decide.keeps_key(item, found) else leaf_files.usable_pending(item)
        if key is None:
            waiting.append((item, result))
            result["changed"] = True
            batch.differ(item.pending_path, {"key": None}, {"key": item.key_type})
        else:
            result["csr"] = issue.make_request(key, item.profile)
    if not batch.check_mode:
        for (item, result), key in zip(waiting, new_keys([item.key_type for item, _result in waiting])):
            batch.steps.append(batch_files.Write(leaf_files.pending_target(item), key_pem(key)))
            result["csr"] = issue.make_request(key, item.profile)
    batch.write()
    return results


def sign(batch: Batch) -> list[Result]:
    """Sign what has a request; everything else is passed over."""
    public_keys = [decide.checked_request(item) if item.csr_content else None for item in batch.items]
    results = []
    for item, public_key in zip(batch.items, public_keys):
        result = {**_result(item, decide.Decision([], []), ()), "signed": public_key is not None}
        results.append(result)
        authority = batch.authorities[item.authority]
        if public_key is None or authority is None:
            continue
        batch.issuer(authority)
        if not batch.check_mode:
            certificates, result["warnings"] = batch.sign(item, authority, public_key)
            result.update(certificate=leaf_facts(certificates[0]), certificate_content=_pem(certificates))
    return results


def install(batch: Batch) -> list[Result]:
    """Put what was signed into place; everything else is passed over."""
    results = []
    for item in batch.items:
        if not item.certificate_content:
            results.append(_result(item, decide.Decision([], []), ()))
            continue
        delivered = require_certificates(item.certificate_content, f"{item.label}: certificate_content")
        decide.check_delivery(item, delivered, batch.authorities.get(item.authority), batch.now)
        found = leaf_files.observe(item)
        steps = _installation(item, found, delivered)
        result = _result(item, decide.Decision([], []), delivered)
        if steps:
            result.update(changed=True, reasons=["new certificate" if len(steps) == 1 else "new key and certificate"])
            batch.differ(item.certificate_path, _facts(found.certificates), _facts(delivered))
            batch.steps += steps
        written = {step.target for step in steps}
        batch.keep(item, result, *(target for target in leaf_files.targets(item) if target not in written))
        results.append(result)
    batch.write()
    return results


def _installation(item: Item, found: decide.Found, delivered: t.Sequence[x509.Certificate]) -> list[batch_files.Step]:
    certificate = batch_files.Write(leaf_files.certificate_target(item), _pem(delivered).encode("ascii"))
    # First the key in place: an interrupted run may have moved it already.
    if found.key is not None and pair_matches(found.key, delivered[0]):
        return [] if decide.same_certificates(found.certificates, delivered) else [certificate]
    pending = leaf_files.read_pending(item)
    if pending is not None and pair_matches(pending, delivered[0]):
        return [batch_files.Move(item.pending_path, leaf_files.key_target(item)), certificate]
    raise PkiError(item.label, f"certificate_content belongs neither to {item.pending_path} nor to {item.key_path}",
                   "request, sign and install again")


def _result(item: Item, decision: decide.Decision, certificates: t.Sequence[x509.Certificate]) -> Result:
    result = {"name": item.name, "host": item.host or None, "changed": False, "reasons": decision.reasons, "warnings": decision.warnings}
    return {**result, "certificate": leaf_facts(certificates[0])} if certificates else result


def _facts(certificates: t.Sequence[x509.Certificate]) -> Result:
    return decide.description(certificates[0]) if certificates else {}


def _pem(certificates: t.Iterable[x509.Certificate]) -> str:
    return "".join(issue.certificate_pem(certificate) for certificate in certificates)


def _warn(module: AnsibleModule, items: t.Iterable[Item], results: t.Iterable[Result]) -> None:
    labels: dict[str, list[str]] = {}
    for item, result in zip(items, results):
        for warning in result["warnings"]:
            labels.setdefault(warning, []).append(item.label)
    for warning, named in labels.items():
        module.warn(f"{', '.join(named)}: {warning}")


ACTIONS: dict[str, t.Callable[[Batch], list[Result]]] = {"issue": issue_here, "request": request, "sign": sign, "install": install}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        batch = Batch(module.params, datetime.datetime.now(datetime.timezone.utc), module.check_mode)
        results = ACTIONS[module.params["action"]](batch)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    _warn(module, batch.items, results)
    extra: dict[str, t.Any] = {"diff": batch.diffs} if module._diff else {}
    if module._verbosity < 3:
        # Ansible would hand all arguments back, which is most of the answer for a large batch, and show them only from -vvv on.
        extra["invocation"] = {"module_args": {"action": module.params["action"]}}
    module.exit_json(changed=any(result["changed"] for result in results), results=results, **extra)


if __name__ == "__main__":
    main()
