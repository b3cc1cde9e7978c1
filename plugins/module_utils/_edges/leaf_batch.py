# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Leaves of one call in one of four ways: issued here, requested, signed, installed. Decided first, written in one go."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import x509
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import authorities, batch_files, files, leaf_files, leaf_stores
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import decide, issue
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import iso8601, leaf_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import Item, checked_items
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.keys import KEY_TYPES, key_pem, new_keys
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import require_certificates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import pair_matches

Result = dict[str, t.Any]


def item_spec() -> dict[str, t.Any]:
    """Return the options of one certificate."""
    names = {"type": "list", "elements": "str", "default": []}
    return {
        "name": {"type": "str", "required": True},
        "host": {"type": "str"},
        "authority": {"type": "str"},
        "certificate_path": {"type": "path"},
        "key_path": {"type": "path"},
        "store": {"type": "str", "choices": list(leaf_stores.STORES), "default": leaf_stores.FILES},
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
        for item in self.items:
            if item.in_one_file and any(step.target.path == item.key_path for step in self.steps):
                files.remove(item.pending_path)
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
    if item.in_one_file:
        batch.steps += leaf_stores.together(item, key_pem(key), _pem(certificates))
        return
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
        if item.in_one_file:
            same = decide.same_certificates(found.certificates, delivered)
            return [] if same else leaf_stores.together(item, key_pem(found.key), _pem(delivered))
        return [] if decide.same_certificates(found.certificates, delivered) else [certificate]
    pending = leaf_files.read_pending(item)
    if pending is not None and pair_matches(pending, delivered[0]) and item.in_one_file:
        return leaf_stores.together(item, key_pem(pending), _pem(delivered))
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


ACTIONS: dict[str, t.Callable[[Batch], list[Result]]] = {"issue": issue_here, "request": request, "sign": sign, "install": install}
