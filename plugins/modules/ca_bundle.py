#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ca_bundle
short_description: Keep trust bundles by fingerprint, in files, kubeconfigs and Kubernetes objects
version_added: 0.1.0
description:
  - This module keeps any number of trust bundles in one call. A bundle is a PEM file, the inline CA data of a kubeconfig,
    or a field of a Kubernetes object.
  - Certificates are compared by their SHA-256 fingerprint. The order is kept as given, so give the generation that signs first.
    Some clients read only the first certificate.
  - A bundle is written in normal form. Every certificate ends with one newline, a certificate that is there twice is written once,
    and text around the certificates is dropped. It is read again after writing and compared by number and fingerprints.
  - The whole batch is read and checked before the first bundle is written. A bundle is refused when it would be empty,
    when it would hold a certificate that is no CA, or when it would hold two keys under one subject without distinct
    subject key identifiers, because OpenSSL then uses only the first of them.
    A bundle that holds anything but certificates, such as a private key, is refused as it is.
  - A file keeps its modification time when only its order or its text changes and its certificates do not.
    A process that is older than a file it reads only once can therefore be recognised by the two times.
  - The Python library C(cryptography) is not needed. PyYAML is needed only for kubeconfigs that are not JSON.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  bundles:
    description:
      - The bundles to keep.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of this item in results and messages. It must be unique in the batch.
        type: str
        required: true
      path:
        description:
          - The absolute path of the bundle file. It must not be a symbolic link.
          - Exactly one of O(bundles[].path), O(bundles[].kubeconfig_path) and O(bundles[].object) must be given.
        type: path
      kubeconfig_path:
        description:
          - The absolute path of a kubeconfig whose inline CA data (C(certificate-authority-data)) is the bundle.
          - Exactly one of O(bundles[].path), O(bundles[].kubeconfig_path) and O(bundles[].object) must be given.
        type: path
      cluster:
        description:
          - The name of the one cluster of the kubeconfig to change, in a file or in an object with O(bundles[].object.format=kubeconfig).
          - When it is not given, every cluster with inline CA data is changed. Clusters that name a CA file are left alone.
        type: str
      object:
        description:
          - The field of a Kubernetes object that holds the bundle. It is read and written through O(kubectl).
          - A write is refused by the API server when the object changed meanwhile. It is then read and decided again, at most five times.
          - Exactly one of O(bundles[].path), O(bundles[].kubeconfig_path) and O(bundles[].object) must be given.
        type: dict
        suboptions:
          kind:
            description:
              - The kind, as C(kubectl get) takes it.
            type: str
            required: true
          name:
            description:
              - The name of the object.
            type: str
            required: true
          namespace:
            description:
              - The namespace. Not needed for objects without one.
            type: str
            default: ""
          field:
            description:
              - The path of the field, with names joined by dots, positions in brackets,
                and names that contain dots quoted in brackets.
              - For example V(data["ca.crt"]) or V(webhooks[0].clientConfig.caBundle).
              - A field that is absent is made when the mapping that shall hold it is there.
            type: str
            required: true
          format:
            description:
              - How the field holds the certificates.
              - With V(base64), as base64 of PEM, as every C(caBundle) does.
              - With V(kubeconfig), as the inline CA data of a kubeconfig, as the ConfigMap C(cluster-info) does.
            type: str
            choices: [pem, base64, kubeconfig]
            default: pem
      state:
        description:
          - With V(present), the bundle begins with the given certificates in the given order, and others stay behind them.
          - With V(exact), the bundle holds the given certificates in the given order and no others.
          - With V(absent), the bundle does not hold the given certificates and fingerprints. A bundle is never emptied.
        type: str
        choices: [present, absent, exact]
        default: present
      certificates:
        description:
          - The certificates as PEM. An element may hold several.
        type: list
        elements: str
        default: []
      certificate_paths:
        description:
          - Absolute paths of PEM files on the host. Their certificates come after those of O(bundles[].certificates).
        type: list
        elements: path
        default: []
      fingerprints:
        description:
          - The SHA-256 fingerprints of certificates to remove, in hexadecimal digits, with or without colons.
          - They are for O(bundles[].state=absent) only.
        type: list
        elements: str
        default: []
      missing:
        description:
          - What to do when the object, or the kubeconfig, does not exist. A bundle file that does not exist is made.
        type: str
        choices: [error, skip]
        default: error
      owner:
        description:
          - The owner of the file.
        type: str
      group:
        description:
          - The group of the file.
        type: str
      mode:
        description:
          - The mode of the file, four octal digits in quotes.
          - When it is not given, a bundle file has V(0644) and a kubeconfig has V(0600).
        type: str
  kubectl:
    description:
      - The kubectl command to reach objects with. Needed on the host only for O(bundles[].object).
    type: str
    default: kubectl
  kubeconfig:
    description:
      - The path of the kubeconfig to reach objects with. When it is not given, kubectl chooses.
    type: path
  request_timeout:
    description:
      - How long one request of kubectl may take, in seconds.
    type: int
    default: 10
seealso:
  - module: rekey.kubernetes.kubeconfig
  - module: rekey.kubernetes.pki_ca
"""

EXAMPLES = r"""
- name: Trust the new generation beside the old one
  rekey.kubernetes.ca_bundle:
    bundles:
      - name: kubernetes
        path: /var/lib/kubernetes/ca.crt
        certificates:
          - "{{ old_generation_pem }}"
          - "{{ new_generation_pem }}"
        state: exact

- name: Remove a generation from a file, a kubeconfig and two objects
  rekey.kubernetes.ca_bundle:
    kubeconfig: /etc/kubernetes/admin.conf
    bundles:
      - name: etcd
        path: /etc/etcd/ca.crt
        state: absent
        fingerprints: "{{ old_fingerprints }}"
      - name: kubelet
        kubeconfig_path: /var/lib/kubelet/kubeconfig
        state: absent
        fingerprints: "{{ old_fingerprints }}"
      - name: cluster-info
        object:
          kind: configmap
          namespace: kube-public
          name: cluster-info
          field: data.kubeconfig
          format: kubeconfig
        missing: skip
        state: absent
        fingerprints: "{{ old_fingerprints }}"
      - name: metrics
        object:
          kind: apiservice
          name: v1beta1.metrics.k8s.io
          field: spec.caBundle
          format: base64
        state: absent
        fingerprints: "{{ old_fingerprints }}"
"""

RETURN = r"""
results:
  description: What became of every bundle, in the order of O(bundles).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the item.
      type: str
      sample: kubernetes
    target:
      description: The file, or the object and its field.
      type: str
      sample: /var/lib/kubernetes/ca.crt
    changed:
      description: Whether it was changed, or would be in check mode.
      type: bool
    trust_changed:
      description: Whether a process that loaded the bundle before trusts other certificates than one that loads it now.
      type: bool
    skipped:
      description: Whether there is no such object or kubeconfig, with O(bundles[].missing=skip).
      type: bool
    reasons:
      description: Why it was changed.
      type: list
      elements: str
      sample: ["adds kubernetes-ca@20261122T170000Z sha256:0123456789ab"]
    fingerprints_before:
      description: The SHA-256 fingerprints that were found, in their order.
      type: list
      elements: str
    fingerprints_after:
      description: The SHA-256 fingerprints that it holds now, in their order.
      type: list
      elements: str
    subjects:
      description: The subjects of the certificates that it holds now, in their order.
      type: list
      elements: str
      sample: ["CN=kubernetes-ca@20261122T170000Z"]
"""

import contextlib
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils import _bundle
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import kubectl as kubectl_edge
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

ATTEMPTS = 5
DEFAULT_MODE = {_bundle.PEM: "0644", _bundle.KUBECONFIG: "0600"}
NOTHING = _bundle.Decision((), (), None, False, False, ())


class Item(t.NamedTuple):
    """One bundle as asked for: where it is (a file or an object's field) and what it shall hold."""

    name: str
    target: files.Target | None
    object: t.Mapping[str, str]
    encoding: str
    cluster: str | None
    wanted: _bundle.Wanted
    skip_missing: bool

    @property
    def place(self) -> str:
        """The file, or the object and its field."""
        if self.target:
            return self.target.path
        name = "/".join(filter(None, (self.object["namespace"], self.object["name"])))
        return f"{self.object['kind']} {name} {self.object['field']}"

    @property
    def source(self) -> str:
        """The item and its place, for messages."""
        return f"{self.name}: {self.place}"


class Plan(t.NamedTuple):
    """What becomes of an item; ``content`` is the object as it was read."""

    item: Item
    decision: _bundle.Decision
    attribute_reasons: tuple[str, ...] = ()
    content: kubectl_edge.Object | None = None
    skipped: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return self.decision.changed or bool(self.attribute_reasons)


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    place = {
        "kind": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "default": ""},
        "field": {"type": "str", "required": True},
        "format": {"type": "str", "choices": [_bundle.PEM, _bundle.BASE64, _bundle.KUBECONFIG], "default": _bundle.PEM},
    }
    bundle = {
        "name": {"type": "str", "required": True},
        "path": {"type": "path"},
        "kubeconfig_path": {"type": "path"},
        "cluster": {"type": "str"},
        "object": {"type": "dict", "options": place},
        "state": {"type": "str", "choices": [_bundle.PRESENT, _bundle.ABSENT, _bundle.EXACT], "default": _bundle.PRESENT},
        "certificates": {"type": "list", "elements": "str", "default": []},
        "certificate_paths": {"type": "list", "elements": "path", "default": []},
        "fingerprints": {"type": "list", "elements": "str", "default": []},
        "missing": {"type": "str", "choices": ["error", "skip"], "default": "error"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "str"},
    }
    return {
        "bundles": {"type": "list", "elements": "dict", "required": True, "options": bundle},
        "kubectl": {"type": "str", "default": "kubectl"},
        "kubeconfig": {"type": "path"},
        "request_timeout": {"type": "int", "default": 10},
    }


def items(bundles: t.Sequence[t.Mapping[str, t.Any]]) -> list[Item]:
    """Return the items asked for; :raises PkiError: for options that contradict each other and inputs that are no certificates."""
    found = [_item(options) for options in bundles]
    for index, one in enumerate(found):
        for earlier in found[:index]:
            if earlier.name == one.name:
                raise PkiError(one.name, "two bundles have this name", "give each its own")
            if earlier.place == one.place and (earlier.cluster == one.cluster or None in (earlier.cluster, one.cluster)):
                raise PkiError(one.source, f"is asked for twice, by {earlier.name} too", "ask once")
    return found


def _item(options: t.Mapping[str, t.Any]) -> Item:
    name = options["name"]
    kinds = [kind for kind in ("path", "kubeconfig_path", "object") if options[kind]]
    if len(kinds) != 1:
        raise PkiError(name, "needs exactly one of path, kubeconfig_path and object", "give one")
    place = options["object"] or {}
    encoding = {"path": _bundle.PEM, "kubeconfig_path": _bundle.KUBECONFIG}.get(kinds[0]) or place["format"]
    if options["cluster"] is not None and encoding != _bundle.KUBECONFIG:
        raise PkiError(name, "cluster is for kubeconfigs", "remove it")
    target = None if place else _target(options, options[kinds[0]], encoding)
    if place:
        kubectl_edge.field_parts(place["field"], name)
    return Item(name, target, place, encoding, options["cluster"], _wanted(options), options["missing"] == "skip")


def _target(options: t.Mapping[str, t.Any], path: str, encoding: str) -> files.Target:
    mode = options["mode"] or DEFAULT_MODE[encoding]
    if not re.fullmatch(r"0[0-7]{3}", mode):
        raise PkiError(options["name"], f"mode {mode!r} is not four octal digits", "write it like '0644', in quotes")
    if not os.path.isabs(path):
        raise PkiError(options["name"], f"{path}: is not an absolute path", "begin it with /")
    return files.Target(os.path.normpath(path), int(mode, 8), options["owner"], options["group"])


def _wanted(options: t.Mapping[str, t.Any]) -> _bundle.Wanted:
    name, state = options["name"], options["state"]
    texts = [(f"{name}: certificates[{index}]", text) for index, text in enumerate(options["certificates"])]
    texts += [(f"{name}: {path}", files.require(path, name).decode("utf-8", "replace")) for path in options["certificate_paths"]]
    anchors: tuple[_bundle.Anchor, ...] = ()
    for source, text in texts:
        found = _bundle.anchors(text, source)
        if not found:
            raise PkiError(source, "holds no PEM certificate", "give CERTIFICATE blocks")
        anchors += found
    if options["fingerprints"] and state != _bundle.ABSENT:
        raise PkiError(name, f"fingerprints do not go with state {state}", "give the certificates")
    if not anchors and not options["fingerprints"]:
        raise PkiError(name, "names no certificate", "give certificates or certificate_paths, or fingerprints with state absent")
    if state != _bundle.ABSENT:
        _bundle.check(anchors, name)
    return _bundle.Wanted(state, anchors, frozenset(_bundle.fingerprint(text, name) for text in options["fingerprints"]))


def plan(item: Item, kubectl: kubectl_edge.Kubectl) -> Plan:
    """Read the bundle and decide; :raises PkiError: when it cannot be read, understood or written."""
    return _plan_file(item) if item.target else _plan_object(item, kubectl)


def _plan_file(item: Item) -> Plan:
    target = t.cast(files.Target, item.target)
    files.check_target(target, item.name)
    content = files.read(target.path, item.name)
    if content is None and item.encoding == _bundle.KUBECONFIG:
        return _missing(item)
    value = None if content is None else content.decode("utf-8", "replace")
    decision = _bundle.decide_encoded(value, item.encoding, item.cluster, item.wanted, item.source)
    return Plan(item, decision, tuple(files.attribute_reasons(target)))


def _plan_object(item: Item, kubectl: kubectl_edge.Kubectl) -> Plan:
    with _naming(item):
        content = kubectl.get(item.object["kind"], item.object["name"], item.object["namespace"])
    if content is None:
        return _missing(item)
    value = kubectl_edge.field_value(content, item.object["field"], item.source)
    decision = _bundle.decide_encoded(value, item.encoding, item.cluster, item.wanted, item.source)
    return Plan(item, decision, content=content)


@contextlib.contextmanager
def _naming(item: Item) -> t.Iterator[None]:
    try:
        yield
    except PkiError as exc:
        raise type(exc)(f"{item.name}: {exc.subject}", exc.problem, exc.remedy) from exc


def _missing(item: Item) -> Plan:
    if not item.skip_missing:
        raise PkiError(item.source, "does not exist", "make it first, or say missing: skip")
    return Plan(item, NOTHING, skipped=True)


def apply(planned: Plan, kubectl: kubectl_edge.Kubectl) -> None:
    """Write what is planned, read it again and compare; :raises PkiError: when that fails or differs."""
    if planned.decision.changed:
        decision = _write_file(planned.item) if planned.item.target else _write_object(planned, kubectl)
        found = plan(planned.item, kubectl).decision
        if found.before != decision.after:
            raise PkiError(
                planned.item.source, f"holds {len(found.before)} certificates after writing {len(decision.after)}, or others",
                "find out what else writes it, and run again")
    elif planned.attribute_reasons:
        files.set_attributes(t.cast(files.Target, planned.item.target))


def _write_file(item: Item) -> _bundle.Decision:
    # Decided anew: another item of the batch may have changed another cluster of the same kubeconfig.
    decision, target = _plan_file(item).decision, t.cast(files.Target, item.target)
    old = os.stat(target.path) if os.path.exists(target.path) else None
    files.write(target, (decision.text or "").encode("utf-8"), item.name)
    if old is not None and not decision.trust_changed:
        os.utime(target.path, ns=(old.st_atime_ns, old.st_mtime_ns))
    return decision


def _write_object(planned: Plan, kubectl: kubectl_edge.Kubectl) -> _bundle.Decision:
    for attempt in range(1, ATTEMPTS + 1):
        content = kubectl_edge.with_field(
            planned.content or {}, planned.item.object["field"], planned.decision.text or "", planned.item.source)
        try:
            with _naming(planned.item):
                kubectl.replace(content)
        except kubectl_edge.Conflict:
            if attempt == ATTEMPTS:
                raise
            planned = _plan_object(planned.item, kubectl)
            if not planned.decision.changed:
                break
        else:
            break
    return planned.decision


def result(planned: Plan) -> dict[str, t.Any]:
    """Return what the module tells of an item."""
    return {
        "name": planned.item.name,
        "target": planned.item.place,
        "changed": planned.changed,
        "trust_changed": planned.decision.trust_changed,
        "skipped": planned.skipped,
        "reasons": [*planned.decision.reasons, *planned.attribute_reasons],
        "fingerprints_before": [one.fingerprint for one in planned.decision.before],
        "fingerprints_after": [one.fingerprint for one in planned.decision.after],
        "subjects": [one.subject for one in planned.decision.after],
    }


def diff(planned: Plan) -> dict[str, str]:
    """Return the diff of an item: subjects and fingerprints, and attributes that are to change."""
    before = [f"{one.subject} sha256:{one.fingerprint}" for one in planned.decision.before]
    after = [f"{one.subject} sha256:{one.fingerprint}" for one in planned.decision.after]
    return {
        "before_header": planned.item.place,
        "after_header": planned.item.place,
        "before": "".join(f"{line}\n" for line in [*before, *planned.attribute_reasons]),
        "after": "".join(f"{line}\n" for line in after),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)

    def run(argv: list[str], stdin: str) -> tuple[int, str, str]:
        return t.cast("tuple[int, str, str]", module.run_command(argv, data=stdin, handle_exceptions=False))

    kubectl = kubectl_edge.Kubectl(run, module.params["kubectl"], module.params["kubeconfig"] or "", module.params["request_timeout"])
    try:
        plans = [plan(item, kubectl) for item in items(module.params["bundles"])]
        if not module.check_mode:
            for planned in plans:
                apply(planned, kubectl)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=any(planned.changed for planned in plans),
        results=[result(planned) for planned in plans],
        diff=[diff(planned) for planned in plans if planned.changed],
    )


if __name__ == "__main__":
    main()
