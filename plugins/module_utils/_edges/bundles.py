# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Trust bundles of one call, in files and in fields of objects: all decided first, then written, then read again."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _bundle
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import kubectl as kubectl_edge
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

ATTEMPTS = 5
DEFAULT_MODE = {_bundle.PEM: "0644", _bundle.PUBLIC_KEYS: "0644", _bundle.KUBECONFIG: "0600"}
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


class Objects:
    """Objects of one call, each read once before it is written. What a replacement answers counts as read."""

    def __init__(self, kubectl: kubectl_edge.Kubectl) -> None:
        self._kubectl = kubectl
        self._read: dict[tuple[str, str, str], kubectl_edge.Object | None] = {}

    def get(self, place: t.Mapping[str, str]) -> kubectl_edge.Object | None:
        """Return the object, None where it does not exist."""
        key = (place["kind"], place["name"], place["namespace"])
        if key not in self._read:
            self._read[key] = self._kubectl.get(*key)
        return self._read[key]

    def replace(self, place: t.Mapping[str, str], content: kubectl_edge.Object) -> None:
        """Replace the object; :raises Conflict: when it changed since it was read, and forgets what was read."""
        key = (place["kind"], place["name"], place["namespace"])
        del self._read[key]
        self._read[key] = self._kubectl.replace(content)

    def forget(self) -> None:
        """Have everything read again."""
        self._read.clear()


def item_spec() -> dict[str, t.Any]:
    """Return the options of one bundle."""
    place = {
        "kind": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "default": ""},
        "field": {"type": "str", "required": True},
        "format": {"type": "str", "choices": [_bundle.PEM, _bundle.BASE64, _bundle.KUBECONFIG], "default": _bundle.PEM},
    }
    return {
        "name": {"type": "str", "required": True},
        "path": {"type": "path"},
        "format": {"type": "str", "choices": [_bundle.PEM, _bundle.PUBLIC_KEYS], "default": _bundle.PEM},
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
    encoding = {"path": options["format"], "kubeconfig_path": _bundle.KUBECONFIG}.get(kinds[0]) or place["format"]
    if options["cluster"] is not None and encoding != _bundle.KUBECONFIG:
        raise PkiError(name, "cluster is for kubeconfigs", "remove it")
    target = None if place else _target(options, options[kinds[0]], encoding)
    if options["format"] != _bundle.PEM and kinds[0] != "path":
        raise PkiError(name, "format is for path", "remove it")
    if place:
        kubectl_edge.field_parts(place["field"], name)
    return Item(name, target, place, encoding, options["cluster"], _wanted(options, encoding), options["missing"] == "skip")


def _target(options: t.Mapping[str, t.Any], path: str, encoding: str) -> files.Target:
    mode = options["mode"] or DEFAULT_MODE[encoding]
    if not re.fullmatch(r"0[0-7]{3}", mode):
        raise PkiError(options["name"], f"mode {mode!r} is not four octal digits", "write it like '0644', in quotes")
    if not os.path.isabs(path):
        raise PkiError(options["name"], f"{path}: is not an absolute path", "begin it with /")
    return files.Target(os.path.normpath(path), int(mode, 8), options["owner"], options["group"])


def _wanted(options: t.Mapping[str, t.Any], encoding: str) -> _bundle.Wanted:
    holds = _bundle.PUBLIC_KEYS if encoding == _bundle.PUBLIC_KEYS else _bundle.PEM
    name, state = options["name"], options["state"]
    texts = [(f"{name}: certificates[{index}]", text) for index, text in enumerate(options["certificates"])]
    texts += [(f"{name}: {path}", files.require(path, name).decode("utf-8", "replace")) for path in options["certificate_paths"]]
    anchors: tuple[_bundle.Anchor, ...] = ()
    for source, text in texts:
        found = _bundle.anchors(text, source, holds)
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


def plan(item: Item, objects: Objects, check_mode: bool = False) -> Plan:
    """Read the bundle and decide; :raises PkiError: when it cannot be read, understood or written."""
    return _plan_file(item, check_mode) if item.target else _plan_object(item, objects)


def _plan_file(item: Item, check_mode: bool = False) -> Plan:
    target = t.cast(files.Target, item.target)
    files.check_target(target, item.name, check_mode)
    content = files.read(target.path, item.name)
    if content is None and item.encoding == _bundle.KUBECONFIG:
        return _missing(item)
    value = None if content is None else content.decode("utf-8", "replace")
    decision = _bundle.decide_encoded(value, item.encoding, item.cluster, item.wanted, item.source)
    return Plan(item, decision, tuple(files.attribute_reasons(target)))


def _plan_object(item: Item, objects: Objects) -> Plan:
    with _naming(item):
        content = objects.get(item.object)
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


def apply(plans: t.Iterable[Plan], objects: Objects) -> None:
    """Write what is planned, then read all of it again and compare; :raises PkiError: when that fails or differs."""
    written = []
    for planned in plans:
        if planned.decision.changed:
            decision = _write_file(planned.item) if planned.item.target else _write_object(planned.item, objects)
            written.append((planned.item, decision))
        elif planned.attribute_reasons:
            files.set_attributes(t.cast(files.Target, planned.item.target))
    objects.forget()
    for item, decision in written:
        found = plan(item, objects).decision
        if found.before != decision.after:
            raise PkiError(
                item.source, f"holds {len(found.before)} certificates after writing {len(decision.after)}, or others",
                "find out what else writes it, and run again")


def _write_file(item: Item) -> _bundle.Decision:
    # Decided anew: another item of the batch may have changed another cluster of the same kubeconfig.
    decision, target = _plan_file(item).decision, t.cast(files.Target, item.target)
    old = os.stat(target.path) if os.path.exists(target.path) else None
    files.write(target, (decision.text or "").encode("utf-8"), item.name)
    if old is not None and not decision.trust_changed:
        os.utime(target.path, ns=(old.st_atime_ns, old.st_mtime_ns))
    return decision


def _write_object(item: Item, objects: Objects) -> _bundle.Decision:
    for attempt in range(1, ATTEMPTS + 1):
        # Decided anew: another item of the batch, or somebody else, may have changed the object since.
        planned = _plan_object(item, objects)
        if not planned.decision.changed:
            break
        content = kubectl_edge.with_field(planned.content or {}, item.object["field"], planned.decision.text or "", item.source)
        try:
            with _naming(item):
                objects.replace(item.object, content)
        except kubectl_edge.Conflict:
            if attempt == ATTEMPTS:
                raise
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
