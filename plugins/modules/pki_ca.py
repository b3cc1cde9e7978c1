#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_ca
short_description: Make, keep and adopt the generations of certificate authorities
version_added: 0.1.0
description:
  - This module keeps the key pair of one generation of an authority, or of many in one call. What is missing is made.
    What is there is validated and kept, whoever made it.
  - A certificate that is there must be a CA certificate that may sign certificates, be valid now, allow the path length, and
    belong to its key. If it does not, the module fails and says why.
  - A key that is there is never replaced. A new generation needs paths and a common name of its own.
  - Everything in the batch is checked before the first byte is written. Bad input changes nothing.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
    details: A directory that does not exist is no error in check mode, because an earlier task may be the one that would have made it.
  diff_mode:
    support: full
    details: Shows public facts of certificates only.
options:
  authorities:
    description:
      - The authorities. A parent that is made by the same call must come before its children.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the item in messages and results. Must be unique.
        type: str
        required: true
      certificate_path:
        description: File of the certificate.
        type: path
        required: true
      key_path:
        description:
          - File of the unencrypted private key. Required unless O(authorities[].external=true).
          - A key without a certificate is used for the new certificate.
        type: path
      chain_path:
        description:
          - File for the certificates that a leaf of an intermediate presents after its own. It begins with the authority, followed
            by its issuers without the root.
          - Cannot be used for a root.
        type: path
      common_name:
        description:
          - Common name of the subject. Required when the certificate has to be made.
          - A certificate that is there must have it, if it is set.
          - It must not be that of another authority, because OpenSSL finds issuers by name. So put the time into it at which the
            generation is made.
        type: str
      organizations:
        description: Organizations of the subject of a new certificate.
        type: list
        elements: str
        default: []
      key_type:
        description: Type of a new private key.
        type: str
        choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096]
        default: ecdsa-p256
      validity:
        description:
          - How long a new certificate is valid, as a number and V(m), V(h), V(d) or V(w) for minutes, hours, days or weeks.
          - An intermediate never outlives its parent. If it would, it is cut, and a warning says so.
        type: str
        default: 3650d
      renew_before:
        description:
          - Issue the certificate again when it is valid for less than this, or has expired. Key, subject, key identifier and limits
            stay, serial number and dates are new. What was signed with the key stays valid.
          - If not set, a certificate that is there is never overwritten.
          - Must be shorter than O(authorities[].validity).
        type: str
      path_length:
        description:
          - How many intermediate authorities may stand between this one and a leaf. No limit if not set.
          - A certificate that is there must allow as many.
        type: int
      external:
        description:
          - Whether the authority is kept elsewhere. Then the certificate must be there, is validated and is never written,
            and the key may be missing.
        type: bool
        default: false
      parent:
        description: The authority that signs this one. If not set, a new authority is a root.
        type: dict
        suboptions:
          certificate_path:
            description: File of the certificate.
            type: path
            required: true
          key_path:
            description: File of the private key. Read only when something has to be signed.
            type: path
          chain_path:
            description: File with the chain of the parent, if the parent is an intermediate itself.
            type: path
      cross_sign:
        description:
          - Make a cross-certificate, which is this authority signed by an older generation. Who trusts only the old generation trusts
            the new one's leaves too, if they present it.
          - Refused if the old generation has path length 0, because no verifier accepts it.
        type: dict
        suboptions:
          certificate_path:
            description: File of the old generation's certificate.
            type: path
            required: true
          key_path:
            description: File of the old generation's private key. Read only when something has to be signed.
            type: path
            required: true
          path:
            description: File for the cross-certificate.
            type: path
            required: true
      other_certificate_paths:
        description:
          - Files with certificates of authorities whose common names a new authority must not have. The certificates in the directory
            of O(authorities[].certificate_path) are looked at in any case.
        type: list
        elements: path
        default: []
      owner:
        description: Name of the user who owns the files. If not set, the user who runs the module, or who owns the file that is replaced.
        type: str
      group:
        description: Name of the group of the files.
        type: str
      key_mode:
        description: Mode of the private key, four octal digits in quotes. It cannot give rights to everyone.
        type: str
        default: '0600'
      certificate_mode:
        description: Mode of the certificates, four octal digits in quotes.
        type: str
        default: '0644'
seealso:
  - module: rekey.kubernetes.pki_cert
  - module: rekey.kubernetes.pki_cert_info
"""

EXAMPLES = r"""
- name: Keep the current generation of all authorities of a cluster
  rekey.kubernetes.pki_ca:
    authorities:
      - name: kubernetes
        common_name: kubernetes-ca@20261122T170000Z
        certificate_path: /etc/rekey/pki/kubernetes/20261122T170000Z.crt
        key_path: /etc/rekey/pki/kubernetes/20261122T170000Z.key
      - name: etcd
        common_name: etcd-ca@20261122T170000Z
        certificate_path: /etc/rekey/pki/etcd/20261122T170000Z.crt
        key_path: /etc/rekey/pki/etcd/20261122T170000Z.key
        key_type: rsa-4096
        validity: 1825d

- name: Adopt an authority whose key is kept elsewhere
  rekey.kubernetes.pki_ca:
    authorities:
      - name: company
        certificate_path: /etc/ssl/company-ca.crt
        external: true

- name: Keep an intermediate under the company's root
  rekey.kubernetes.pki_ca:
    authorities:
      - name: kubernetes
        common_name: kubernetes-ca@20261122T170000Z
        certificate_path: /etc/rekey/pki/kubernetes/20261122T170000Z.crt
        key_path: /etc/rekey/pki/kubernetes/20261122T170000Z.key
        chain_path: /etc/rekey/pki/kubernetes/20261122T170000Z.chain.crt
        path_length: 0
        parent:
          certificate_path: /etc/ssl/company-ca.crt
          key_path: /etc/ssl/private/company-ca.key

- name: Issue an authority again under the same key in its last year
  rekey.kubernetes.pki_ca:
    authorities:
      - name: front-proxy
        certificate_path: /etc/rekey/pki/front-proxy/20181122T170000Z.crt
        key_path: /etc/rekey/pki/front-proxy/20181122T170000Z.key
        renew_before: 365d
"""

RETURN = r"""
results:
  description: One entry for each item of O(authorities), in the same order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the item.
      type: str
      sample: kubernetes
    changed:
      description: Whether a file of the item was changed, or would be in check mode.
      type: bool
      sample: true
    reasons:
      description: Why the item was changed. Empty when there was nothing to do.
      type: list
      elements: str
      sample: ["certificate and key missing"]
    warnings:
      description: What should be known of the item although nothing failed.
      type: list
      elements: str
      sample: ["ends with its parent on 2036-11-19T17:00:00Z"]
    outcome:
      description: What happened to the certificate of the authority, or would in check mode.
      type: str
      sample: created
    certificate:
      description: Facts of the certificate that is in place.
      returned: not in check mode, or the certificate is kept
      type: dict
      contains: &facts
        subject:
          description: Its subject as in RFC 4514.
          type: str
          sample: CN=kubernetes-ca@20261122T170000Z
        common_name:
          description: Common name of the subject.
          type: str
          sample: kubernetes-ca@20261122T170000Z
        organizations:
          description: Organizations of the subject.
          type: list
          elements: str
          sample: []
        issuer:
          description: Subject of its issuer.
          type: str
          sample: CN=kubernetes-ca@20261122T170000Z
        serial_number:
          description: Its serial number in decimal digits.
          type: str
          sample: "674414311605604992450627907738435089713239118338"
        not_before:
          description: Start of its validity, ISO 8601 in UTC.
          type: str
          sample: "2026-11-22T16:00:00Z"
        not_after:
          description: End of its validity, ISO 8601 in UTC.
          type: str
          sample: "2036-11-19T17:00:00Z"
        remaining_days:
          description: Whole days of validity left.
          type: int
          sample: 3649
        sans:
          description: Subject alternative names by type.
          type: dict
          sample: {"dns": [], "ip": [], "uri": []}
        usages:
          description: Extended key usages.
          type: list
          elements: str
          sample: []
        is_ca:
          description: Whether it is a CA certificate.
          type: bool
          sample: true
        fingerprint_sha256:
          description: SHA-256 of the certificate in hexadecimal.
          type: str
          sample: 92dfda64f143b8bd1561bea01d27abe19b35ec401ca0657923ef64c80d002c54
        key_type:
          description: Type of its key.
          type: str
          sample: ecdsa-p256
        subject_key_id:
          description: Its subject key identifier in hexadecimal.
          type: str
          sample: 9b7a90e6fc3658ecb10d7f65c11c40fa7196fb26
        authority_key_id:
          description: Its authority key identifier in hexadecimal.
          type: str
          sample: 9b7a90e6fc3658ecb10d7f65c11c40fa7196fb26
        public_key_sha256:
          description: SHA-256 of its public key in hexadecimal.
          type: str
          sample: 1d98eba234c0698e51190c80dba91fc133d7bc90988b89e0d65680419ac8e0a9
    cross_certificate:
      description: Facts of the cross-certificate that is in place.
      returned: O(authorities[].cross_sign) is set, and not in check mode or the cross-certificate is kept
      type: dict
      contains: *facts
"""

import datetime
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography, x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import authority_files, batch_files, files
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.authorities import read_key_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import authority, issue
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.authority_items import AuthorityItem, checked_authorities
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import certificate_facts, iso8601
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.keys import KEY_TYPES, key_pem, new_key
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.names import subject_name
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import ca_problems, pair_matches

Result = dict[str, t.Any]


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    pair = {"certificate_path": {"type": "path", "required": True}, "key_path": {"type": "path"}}
    return {
        "authorities": {"type": "list", "elements": "dict", "required": True, "options": {
            "name": {"type": "str", "required": True},
            "certificate_path": {"type": "path", "required": True},
            "key_path": {"type": "path"},
            "chain_path": {"type": "path"},
            "common_name": {"type": "str"},
            "organizations": {"type": "list", "elements": "str", "default": []},
            "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "ecdsa-p256"},
            "validity": {"type": "str", "default": "3650d"},
            "renew_before": {"type": "str"},
            "path_length": {"type": "int"},
            "external": {"type": "bool", "default": False},
            "parent": {"type": "dict", "options": {**pair, "chain_path": {"type": "path"}}},
            "cross_sign": {"type": "dict", "options": {
                **pair, "key_path": {"type": "path", "required": True}, "path": {"type": "path", "required": True}}},
            "other_certificate_paths": {"type": "list", "elements": "path", "default": []},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "key_mode": {"type": "str", "default": "0600", "no_log": False},
            "certificate_mode": {"type": "str", "default": "0644"},
        }},
    }


class Made(t.NamedTuple):
    """An authority as it will be after the call; the key is None where it is not here."""

    certificate: x509.Certificate
    key: t.Any
    chain: list[x509.Certificate]


class Plan:
    """What one call does, worked out in memory: nothing is written before all of it is known to be right."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now
        self.made: dict[str, Made] = {}
        self.steps: list[batch_files.Step] = []
        self.mend: list[files.Target] = []
        self.diffs: list[Result] = []

    def write(self) -> None:
        """Carry it out."""
        batch_files.apply(self.steps)
        for target in self.mend:
            files.set_attributes(target)

    def put(self, result: Result, target: files.Target, content: str | bytes, before: Result, after: Result) -> None:
        """Note a file that has to be written."""
        result["changed"] = True
        self.steps.append(batch_files.Write(target, content if isinstance(content, bytes) else content.encode("ascii")))
        self.diffs.append({"before_header": target.path, "after_header": target.path, "before": before, "after": after})

    def term(self, item: AuthorityItem, result: Result, *issuers: x509.Certificate) -> authority.Term:
        """Return the dates of a certificate that outlives none of its issuers."""
        start, end, cut = issue.period(self.now, item.validity, issuers[0] if issuers else None)
        for issuer in issuers[1:]:
            latest = issue.period(self.now, item.validity, issuer)
            start, end = max(start, latest[0]), min(end, latest[1])
        if cut:
            result["warnings"].append(f"ends with its parent on {iso8601(end)}")
        return authority.Term(start, end, x509.random_serial_number())

    def parent(self, item: AuthorityItem) -> Made | None:
        """Return the parent of an intermediate; :raises PkiError: unless it may sign one now."""
        if item.parent is None:
            return None
        path = item.parent.certificate_path
        known = self.made.get(os.path.normpath(path))
        if known is None:
            certificate = authority_files.require_certificate(path, item.name, "make the parent first, or list it before its children")
            chain = authority_files.read_chain(item.parent.chain_path, item.name) if item.parent.chain_path else None
            known = Made(certificate, None, chain or ([] if authority.is_self_issued(certificate) else [certificate]))
        problems = ca_problems(known.certificate, self.now, depth=1 + (item.path_length or 0))
        if problems:
            raise PkiError(item.name, f"parent {path} {' and '.join(problems)}", "give a parent that may sign this authority")
        return known

    def issuer(self, item: AuthorityItem, parent: Made | None) -> issue.Issuer | None:
        """Return what signs the item's certificate, None for a root; the parent's key is read here."""
        if parent is None or item.parent is None:
            return None
        if parent.key is None and not item.parent.key_path:
            raise PkiError(item.name, "parent.key_path is missing", "set it, and sign on the host that keeps the parent's key")
        key = parent.key or read_key_of(item.parent.key_path, parent.certificate, item.name)
        return issue.issuer_of(parent.certificate, key)


def plan_authority(plan: Plan, item: AuthorityItem) -> Result:
    """Work out what happens to one authority."""
    result: Result = {"name": item.name, "changed": False, "reasons": [], "warnings": [], "outcome": "kept"}
    certificate = authority_files.read_certificate(item.certificate_path, item.name)
    key = authority_files.read_key(item.key_path, item.name)
    parent = plan.parent(item)
    if certificate is None:
        certificate, key = _create(plan, item, parent, key, result)
    else:
        certificate = _adopt(plan, item, parent, certificate, key, result)
    result["certificate"] = certificate_facts(certificate, plan.now)
    chain = _chain(plan, item, parent, certificate, result)
    plan.made[os.path.normpath(item.certificate_path)] = Made(certificate, key, chain)
    if item.cross_sign is not None:
        _cross_sign(plan, item, certificate, result)
    _mend(plan, item, result)
    return result


def _create(plan: Plan, item: AuthorityItem, parent: Made | None, key: t.Any, result: Result) -> tuple[x509.Certificate, t.Any]:
    if item.external:
        raise PkiError(item.name, f"{item.certificate_path}: no such file", "put the external authority's certificate there")
    if not item.common_name:
        raise PkiError(item.name, f"common_name is missing, and {item.certificate_path} does not exist", "set it, or correct the path")
    reason = "certificate missing, made for the key that is there" if key else "certificate and key missing"
    result.update(outcome="created", reasons=[reason])
    if key is None:
        key = new_key(item.key_type)
        plan.put(result, authority_files.key_target(item), key_pem(key), {}, {"key_type": item.key_type})
    others = authority_files.namesakes(item) + [(path, made.certificate) for path, made in plan.made.items()]
    others += [(item.parent.certificate_path, parent.certificate)] if parent and item.parent else []
    authority.refuse_namesake(item.name, item.common_name, key.public_key(), others)
    path_length = authority.child_path_length(item.path_length, parent.certificate, item.name) if parent else item.path_length
    certificate = authority.new_authority(
        subject_name(item.common_name, item.organizations), path_length, key, plan.issuer(item, parent),
        plan.term(item, result, *([parent.certificate] if parent else [])))
    target = authority_files.public_target(item, item.certificate_path)
    plan.put(result, target, issue.certificate_pem(certificate), {}, _shown(certificate))
    return certificate, key


def _adopt(
    plan: Plan, item: AuthorityItem, parent: Made | None, certificate: x509.Certificate, key: t.Any, result: Result
) -> x509.Certificate:
    if key is None and not item.external:
        raise PkiError(item.name, f"{item.key_path}: no such file, and {item.certificate_path} exists",
                       "restore the key, or set external if it is kept elsewhere")
    if key is not None and not pair_matches(key, certificate):
        raise PkiError(item.name, f"{item.key_path} does not belong to {item.certificate_path}", "restore the pair that belongs together")
    again: list[str] = []
    if item.renew_before is not None and not item.external:
        again, late = authority.renewal(certificate, item.renew_before, parent.certificate if parent else None, plan.now)
        result["warnings"] += late
    found = certificate
    if again:
        certificate = _reissue(plan, item, parent, found, key, result)
        result.update(outcome="reissued", reasons=[*again, "issued again under the same key"])
    problems = authority.adoption_problems(
        certificate, item.common_name, item.path_length or 0, parent.certificate if parent else None, plan.now)
    if problems:
        raise PkiError(item.name, f"{item.certificate_path} {' and '.join(problems)}",
                       "make a new generation under other paths, or set renew_before if only its time is over")
    if again:
        target = authority_files.public_target(item, item.certificate_path)
        plan.put(result, target, issue.certificate_pem(certificate), _shown(found), _shown(certificate))
    result["warnings"] += authority.adoption_warnings(certificate)
    return certificate


def _reissue(
    plan: Plan, item: AuthorityItem, parent: Made | None, old: x509.Certificate, key: t.Any, result: Result
) -> x509.Certificate:
    if parent is None and not authority.is_self_issued(old):
        raise PkiError(item.name, f"{item.certificate_path} was issued by {old.issuer.rfc4514_string()}", "set parent to issue it again")
    term = plan.term(item, result, *([parent.certificate] if parent else []))
    return authority.reissued_authority(old, key, plan.issuer(item, parent), term)


def _chain(
    plan: Plan, item: AuthorityItem, parent: Made | None, certificate: x509.Certificate, result: Result
) -> list[x509.Certificate]:
    root = authority.is_self_issued(certificate)
    chain = [] if root else [certificate, *(parent.chain if parent else [])]
    if not item.chain_path:
        return chain
    if root:
        raise PkiError(item.name, "chain_path is set, and the authority is a root", "leave it out: leaves of a root present no chain")
    found = authority_files.read_chain(item.chain_path, item.name)
    target = authority_files.public_target(item, item.chain_path)
    if found != chain:
        result["reasons"].append("chain missing" if found is None else "chain differs")
        shown = [[one.subject.rfc4514_string() for one in certificates or []] for certificates in (found, chain)]
        plan.put(result, target, "".join(map(issue.certificate_pem, chain)), {"chain": shown[0]}, {"chain": shown[1]})
    return chain


def _cross_sign(plan: Plan, item: AuthorityItem, certificate: x509.Certificate, result: Result) -> None:
    cross = item.cross_sign
    if cross is None:
        return
    made = plan.made.get(os.path.normpath(cross.certificate_path))
    remedy = "give the old generation's certificate"
    old = made.certificate if made else authority_files.require_certificate(cross.certificate_path, item.name, remedy)
    problems = ca_problems(old, plan.now, depth=1)
    if problems:
        raise PkiError(item.name, f"old generation {cross.certificate_path} {' and '.join(problems)}", "leave out cross_sign")
    found = authority_files.read_certificate(cross.path, item.name)
    reasons = authority.cross_reasons(found, certificate, old, plan.now)
    if reasons or found is None:
        key = made.key if made and made.key else read_key_of(cross.key_path, old, item.name)
        before = _shown(found) if found is not None else {}
        found = authority.cross_certificate(certificate, old, key, plan.term(item, {"warnings": []}, old, certificate))
        result["reasons"] += reasons
        plan.put(result, authority_files.public_target(item, cross.path), issue.certificate_pem(found), before, _shown(found))
    result["cross_certificate"] = certificate_facts(found, plan.now)


def _mend(plan: Plan, item: AuthorityItem, result: Result) -> None:
    others = [item.chain_path, item.cross_sign.path if item.cross_sign else ""]
    written = {step.target for step in plan.steps}
    for target in authority_files.own_targets(item) + [authority_files.public_target(item, path) for path in others if path]:
        deviations = files.attribute_reasons(target) if target not in written else []
        if deviations:
            result.update(changed=True, reasons=result["reasons"] + deviations)
            plan.mend.append(target)
            plan.diffs.append({"before_header": target.path, "after_header": target.path,
                               "before": {"attributes": deviations}, "after": {"attributes": []}})


def _shown(certificate: x509.Certificate) -> Result:
    facts = certificate_facts(certificate, issue.not_before(certificate))
    return {name: facts[name] for name in ("subject", "issuer", "key_type", "not_after")}


def _without_foretold(result: Result, check_mode: bool) -> Result:
    # What check mode worked out has serial numbers and keys that will never exist.
    if check_mode and result["outcome"] != "kept":
        result.pop("certificate")
    if check_mode and any(reason.startswith("cross-certificate") for reason in result["reasons"]):
        result.pop("cross_certificate")
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        items = checked_authorities(module.params["authorities"])
        authority_files.check_targets(items, module.check_mode)
        plan = Plan(datetime.datetime.now(datetime.timezone.utc))
        results = [_without_foretold(plan_authority(plan, item), module.check_mode) for item in items]
        if not module.check_mode:
            plan.write()
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    for result in results:
        for warning in result["warnings"]:
            module.warn(f"{result['name']}: {warning}")
    difference = {"diff": plan.diffs} if module._diff else {}
    module.exit_json(changed=any(result["changed"] for result in results), results=results, **difference)


if __name__ == "__main__":
    main()
