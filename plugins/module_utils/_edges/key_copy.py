# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The four actions of pki_key_copy: each reads files and returns a plan; apply() is the only thing that writes."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _key_copy, _seal
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import batch_files, files
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.files import Target
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.keys import key_pem, new_key
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_key

TRANSPORT_ENDING = ".transport"
OTHERS = 0o007
_MODE = re.compile(r"0[0-7]{3}")
_ORDER = "run action=request on the destination, then action=seal on the authority host"


class Copy(t.NamedTuple):
    """One item of the module's list, checked."""

    item: str  # how messages name it
    destination: _seal.Destination
    key: Target
    public: Target | None  # None for a copy of the key alone
    options: t.Mapping[str, t.Any]

    @property
    def targets(self) -> list[Target]:
        """The files of the pair."""
        return [self.key, *([self.public] if self.public else [])]

    @property
    def public_path(self) -> str:
        """Where the public half is; empty for a copy of the key alone."""
        return self.public.path if self.public else ""

    @property
    def transport(self) -> Target:
        """The destination's transport key, beside the copy."""
        return Target(self.key.path + TRANSPORT_ENDING, files.KEY_MODE)


class Plan(t.NamedTuple):
    """What one item needs: files to write in this order, attributes to set, files to remove."""

    copy: Copy
    reasons: t.Sequence[str]
    facts: t.Mapping[str, t.Any]
    writes: t.Sequence[tuple[Target, bytes]] = ()
    attributes: t.Sequence[Target] = ()
    removes: t.Sequence[str] = ()
    pending: bool = False  # a write whose content only a run without check mode has
    before: t.Mapping[str, t.Any] = {}
    after: t.Mapping[str, t.Any] = {}

    @property
    def changed(self) -> bool:
        """Whether applying it does anything."""
        return bool(self.writes or self.attributes or self.removes or self.pending)

    @property
    def result(self) -> dict[str, t.Any]:
        """The module's result for the item."""
        name, host = self.copy.destination.name, self.copy.destination.host or None
        return {"name": name, "host": host, "changed": self.changed, "reasons": list(self.reasons), **self.facts}

    @property
    def diff(self) -> dict[str, t.Any]:
        """The item's diff; public facts only."""
        return {"before_header": self.copy.key.path, "after_header": self.copy.key.path,
                "before": dict(self.before), "after": dict(self.after)}


def from_options(options: t.Mapping[str, t.Any], action: str) -> Copy:
    """Return the copy that an item of the list describes; :raises PkiError: for a missing host or a bad mode."""
    name, host = options["name"].strip(), (options.get("host") or "").strip()
    if not name:
        raise PkiError("copies", "a copy has an empty name", "name it")
    if not host and action in ("seal", "install"):
        raise PkiError(name, f"has no host, which action={action} needs", "set it to the destination's name in the inventory")
    if not options.get("public_path") and action == "create":
        raise PkiError(name, "has no public_path, which action=create needs", "say where the public half shall be")
    destination = _seal.Destination(name, host)
    item = destination.item if host else name
    key_mode, public_mode = (_mode(options, option, item) for option in ("key_mode", "public_mode"))
    if key_mode & OTHERS:
        raise PkiError(item, f"key_mode {options['key_mode']} opens the private key to others", "use 0600 or 0640")
    owner, group = options.get("owner"), options.get("group")
    public = Target(options["public_path"], public_mode, owner, group) if options.get("public_path") else None
    return Copy(item, destination, Target(options["key_path"], key_mode, owner, group), public, options)


def check_distinct(copies: t.Sequence[Copy], writes: bool) -> None:
    """Refuse duplicates; :raises PkiError: for two items of one name and host, or, where files are written, a path used twice."""
    destinations, paths = set(), set()
    for copy in copies:
        if copy.destination in destinations:
            raise PkiError(copy.item, "is in the list twice", "remove one of the two")
        destinations.add(copy.destination)
        for path in (target.path for target in (*copy.targets, copy.transport) if writes):
            if os.path.normpath(path) in paths:
                raise PkiError(copy.item, f"{path}: is used twice in the list", "give every file a path of its own")
            paths.add(os.path.normpath(path))


def item_spec() -> dict[str, t.Any]:
    """Return the options of a copy, as a module declares them."""
    return {
        "name": {"type": "str", "required": True},
        "host": {"type": "str"},
        "key_path": {"type": "path", "required": True, "no_log": False},
        "public_path": {"type": "path"},
        "key_type": {"type": "str", "choices": list(_key_copy.KEY_TYPES), "default": "rsa-2048", "no_log": False},
        "wanted_public_sha256": {"type": "str"},
        "public_content": {"type": "str"},
        "transport_public_key": {"type": "str", "no_log": False},
        "sealed": {"type": "str", "no_log": True},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "key_mode": {"type": "str", "default": "0600", "no_log": False},
        "public_mode": {"type": "str", "default": "0644"},
    }


def plan(action: str, given: t.Iterable[t.Mapping[str, t.Any]], check_mode: bool) -> list[Plan]:
    """Return what one of ACTIONS does for every item, in their order; :raises PkiError: for bad input and unreadable files."""
    copies = [from_options(options, action) for options in given]
    check_distinct(copies, writes=action != "seal")
    return [ACTIONS[action](copy, check_mode) for copy in copies]


def apply(plans: t.Sequence[Plan]) -> None:
    """Carry the plans out. No transport key is removed before every key is in place.

    :raises PkiError: when a file cannot be written.
    """
    batch_files.apply([batch_files.Write(target, content) for one in plans for target, content in one.writes])
    for one in plans:
        for target in one.attributes:
            _set_attributes(target, one.copy.item)
    for one in plans:
        for path in one.removes:
            files.remove(path)


def plan_request(copy: Copy, check_mode: bool) -> Plan:
    """Say whether the destination needs the copy, and see to its transport key."""
    for target in (*copy.targets, copy.transport):
        files.check_target(target, copy.item, check_mode)
    public = _public_content(copy)
    found = _held(copy)
    wanted = _key_copy.wanted_sha256(copy.options.get("wanted_public_sha256"), public, copy.item)
    reasons = _key_copy.copy_reasons(found, copy.key.path, copy.public_path, wanted, public)
    reasons += _attribute_reasons(*copy.targets)
    facts: dict[str, t.Any] = {"needed": bool(reasons), "public_sha256": found.key_sha256, "transport_public_key": None}
    existing = files.read(copy.transport.path, copy.item)
    if not reasons:
        if existing is None:
            return Plan(copy, [], facts)
        return Plan(copy, [f"{copy.transport.path} is left over"], facts, removes=[copy.transport.path],
                    before={"transport_key": "present"}, after={"transport_key": "absent"})
    usable = _usable_transport_key(copy, existing)
    if usable:
        return Plan(copy, reasons, {**facts, "transport_public_key": usable})
    made = None if check_mode else _seal.new_transport_key()
    facts["transport_public_key"] = _seal.transport_public_key(made, copy.item) if made else None
    return Plan(copy, reasons, facts, writes=[(copy.transport, made)] if made else [], pending=True,
                before={"transport_key": "absent"}, after={"transport_key": "present"})


def plan_seal(copy: Copy, check_mode: bool) -> Plan:
    """Seal the authority host's key for one destination. In check mode what earlier calls would have made may be missing."""
    facts: dict[str, t.Any] = {"sealed": None, "public_content": None, "public_sha256": None}
    transport_public_key = copy.options.get("transport_public_key")
    if transport_public_key:
        _seal.check_transport_public_key(transport_public_key, copy.item)
    elif not check_mode:
        raise PkiError(copy.item, "has no transport_public_key", "run action=request on the destination first")
    if check_mode and not all(os.path.exists(target.path) for target in copy.targets):
        return Plan(copy, [], facts)
    key = load_key(files.require(copy.key.path, copy.item), f"{copy.item}: {copy.key.path}")
    public = _key_copy.public_key_half(key)
    if copy.public:
        public = _key_copy.public_half(files.require(copy.public.path, copy.item), f"{copy.item}: {copy.public.path}")
    _check_pair(copy, key, public)
    facts.update(public_content=public.pem, public_sha256=public.sha256)
    if transport_public_key:
        facts["sealed"] = _seal.seal(key_pem(key), transport_public_key, copy.destination)
    return Plan(copy, [], facts)


def plan_install(copy: Copy, check_mode: bool) -> Plan:
    """Open what was sealed and put the pair in place: the key first, then its public half; the transport key goes last."""
    for target in (*copy.targets, copy.transport):
        files.check_target(target, copy.item, check_mode)
    public = _public_content(copy)
    if public is None and not check_mode:
        raise PkiError(copy.item, "has no public_content", _ORDER)
    wanted = _key_copy.wanted_sha256(copy.options.get("wanted_public_sha256"), public, copy.item)
    found = _held(copy)
    reasons = _key_copy.copy_reasons(found, copy.key.path, copy.public_path, wanted, public)
    writes, kept = [], []
    if public and found.key_sha256 != public.sha256:
        writes += [(copy.key, content) for content in _opened(copy, public, check_mode)]
    else:
        kept.append(copy.key)
    if copy.public and public and (found.public is None or found.public.pem != public.pem):
        writes.append((copy.public, public.pem.encode("ascii")))
    elif copy.public:
        kept.append(copy.public)
    attributes = [target for target in kept if files.attribute_reasons(target)]
    removes = [copy.transport.path] if os.path.lexists(copy.transport.path) else []
    differences = _attribute_reasons(*attributes)
    if removes and not (reasons or differences):
        reasons = [f"{copy.transport.path} is left over"]
    facts = {"public_sha256": wanted or found.key_sha256}
    before = {"key": found.key_sha256, "public": found.public and found.public.sha256, "attributes": differences}
    after: dict[str, t.Any] = {"key": facts["public_sha256"], "public": facts["public_sha256"] if copy.public else None, "attributes": []}
    return Plan(copy, reasons + differences, facts, writes, attributes, removes, bool(reasons), before, after)


def plan_create(copy: Copy, check_mode: bool) -> Plan:
    """Make a key pair where there is none; a key that is there is kept, and its missing public half is written."""
    for target in copy.targets:
        files.check_target(target, copy.item, check_mode)
    private, public_pem = (files.read(target.path, copy.item) for target in copy.targets)
    if private is None and public_pem is not None:
        raise PkiError(copy.item, f"{copy.public_path}: its private key {copy.key.path} is missing",
                       "restore the key, or remove the public half to have a new pair made")
    if private is None:
        return _created(copy, check_mode)
    key = load_key(private, f"{copy.item}: {copy.key.path}")
    public = _key_copy.public_key_half(key)
    if public_pem is not None:
        public = _key_copy.public_half(public_pem, f"{copy.item}: {copy.public_path}")
    _check_pair(copy, key, public)
    missing = [f"{copy.public_path} is missing"] if public_pem is None else []
    writes = [(copy.targets[-1], public.pem.encode("ascii"))] if missing else []
    attributes = [target for target in copy.targets if files.attribute_reasons(target)]
    differences = _attribute_reasons(*attributes)
    before = {"key": public.sha256, "public": None if missing else public.sha256, "attributes": differences}
    after: dict[str, t.Any] = {"key": public.sha256, "public": public.sha256, "attributes": []}
    return Plan(copy, missing + differences, _created_facts(public), writes, attributes, before=before, after=after)


def _created(copy: Copy, check_mode: bool) -> Plan:
    reasons = [f"{target.path} is missing" for target in copy.targets]
    kind = copy.options["key_type"]
    before: dict[str, t.Any] = {"key": None, "public": None}
    if check_mode:
        facts = {"public_sha256": None, "public_content": None, "key_type": kind}
        return Plan(copy, reasons, facts, pending=True, before=before, after={"key": f"new {kind}", "public": f"new {kind}"})
    key = new_key(kind)
    public = _key_copy.public_key_half(key)
    writes = list(zip(copy.targets, (key_pem(key), public.pem.encode("ascii"))))
    return Plan(copy, reasons, _created_facts(public), writes, before=before, after={"key": public.sha256, "public": public.sha256})


def _created_facts(public: _key_copy.PublicHalf) -> dict[str, t.Any]:
    return {"public_sha256": public.sha256, "public_content": public.pem, "key_type": public.key_type}


def _opened(copy: Copy, public: _key_copy.PublicHalf, check_mode: bool) -> list[bytes]:
    """Return the key to write, nothing in check mode where an earlier call would have had to make something first."""
    sealed, transport_key = copy.options.get("sealed"), files.read(copy.transport.path, copy.item)
    if check_mode and not (sealed and transport_key):
        return []
    if not sealed:
        raise PkiError(copy.item, f"{copy.key.path}: the wanted key is not in place, and none is given in sealed", _ORDER)
    if transport_key is None:
        raise PkiError(copy.item, f"{copy.transport.path}: no such file, so sealed cannot be opened", _ORDER)
    key = load_key(_seal.unseal(sealed, transport_key, copy.destination), f"{copy.item}: the sealed key")
    if _key_copy.public_key_half(key).sha256 != public.sha256:
        raise PkiError(copy.item, "the sealed key and public_content do not match", _ORDER)
    return [key_pem(key)]


def _usable_transport_key(copy: Copy, existing: bytes | None) -> str | None:
    """Return the public half of a transport key that is there, None where another must be made: none, damaged, seen by others."""
    if existing is None or stat.S_IMODE(os.stat(copy.transport.path).st_mode) != files.KEY_MODE:
        return None
    try:
        return _seal.transport_public_key(existing, copy.item)
    except PkiError:
        return None


def _public_content(copy: Copy) -> _key_copy.PublicHalf | None:
    content = copy.options.get("public_content")
    return _key_copy.public_half(content.encode("utf-8"), f"{copy.item}: public_content") if content else None


def _held(copy: Copy) -> _key_copy.Held:
    private, public_pem = (files.read(path, copy.item) if path else None for path in (copy.key.path, copy.public_path))
    return _key_copy.held(copy.key.path, private, copy.public_path, public_pem)


def _set_attributes(target: Target, item: str) -> None:
    try:
        files.set_attributes(target)
    except OSError as exc:
        raise PkiError(item, f"{target.path}: owner or mode cannot be set: {exc.strerror}", "run as its owner or as root") from exc


def _attribute_reasons(*targets: Target) -> list[str]:
    return [reason for target in targets for reason in files.attribute_reasons(target)]


def _check_pair(copy: Copy, key: t.Any, public: _key_copy.PublicHalf) -> None:
    if _key_copy.public_key_half(key).sha256 != public.sha256:
        raise PkiError(copy.item, f"{copy.key.path} and {copy.public_path} do not match", "restore the pair")


def _mode(options: t.Mapping[str, t.Any], option: str, item: str) -> int:
    if not _MODE.fullmatch(options[option]):
        raise PkiError(item, f"{option} {options[option]!r} is not a mode", 'give four octal digits as a string, for example "0600"')
    return int(options[option], 8)


ACTIONS = {"create": plan_create, "install": plan_install, "request": plan_request, "seal": plan_seal}
