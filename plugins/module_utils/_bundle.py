# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Trust bundles: read the anchors, merge by fingerprint, refuse what a verifier would misread. Needs no cryptography.

Certificates are read by a small DER reader (X.690, RFC 5280): a host needs nothing but Python to keep its bundles.
It reads what decides about a trust anchor (subject, key, key identifier, CA flag) and verifies no signature.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _kubeconfig, _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

PRESENT = "present"
ABSENT = "absent"
EXACT = "exact"

PEM = "pem"
BASE64 = "base64"
KUBECONFIG = "kubeconfig"
PUBLIC_KEYS = "public-keys"

_SEQUENCE, _BOOLEAN, _INTEGER, _OCTETS, _OID = 0x30, 0x01, 0x02, 0x04, 0x06
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_BASIC_CONSTRAINTS = bytes.fromhex("551d13")
_SUBJECT_KEY_ID = bytes.fromhex("551d0e")
_ATTRIBUTES = {
    "550403": "CN", "550406": "C", "550407": "L", "550408": "ST", "550409": "STREET", "55040a": "O", "55040b": "OU",
    "0992268993f22c640119": "DC", "0992268993f22c640101": "UID",
}
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_FINGERPRINT = re.compile(r"(?:sha256:)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})")
_WHOLE_LINE = re.compile(r"^-----(?:BEGIN|END) (?:CERTIFICATE|PUBLIC KEY)-----[ \t\r]*$", re.MULTILINE)

Name = tuple[tuple[tuple[str, str], ...], ...]


class Anchor(t.NamedTuple):
    """A certificate of a bundle and what decides how verifiers use it; or a bare public key, which is used as it is."""

    block: _pem.Block
    subject: str  # RFC 4514
    common_name: str
    canonical_subject: Name  # equal for two names that OpenSSL holds for one
    key: str  # SHA-256 of the SubjectPublicKeyInfo
    key_id: bytes  # SubjectKeyIdentifier; empty where there is none
    is_ca: bool

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, lower-case hex."""
        return self.block.fingerprint

    @property
    def label(self) -> str:
        """The certificate in a sentence: its common name and the start of its fingerprint."""
        return f"{self.common_name or self.subject} sha256:{self.fingerprint[:12]}"


class Wanted(t.NamedTuple):
    """What a bundle shall hold (``present``, ``exact``) or not hold (``absent``)."""

    state: str
    anchors: tuple[Anchor, ...] = ()
    unwanted: frozenset[str] = frozenset()  # fingerprints


class Decision(t.NamedTuple):
    """What becomes of a bundle; ``text`` is None where there is and shall be no bundle."""

    before: tuple[Anchor, ...]
    after: tuple[Anchor, ...]
    text: str | None
    changed: bool
    trust_changed: bool  # False when a process that loaded the bundle before need not load it again
    reasons: tuple[str, ...]


def anchors(text: str, source: str, encoding: str = PEM) -> tuple[Anchor, ...]:
    """Return the anchors of a bundle's text in their order, duplicates included.

    :raises PkiError: for damaged PEM, anything but certificates (public keys), and text that holds none (a DER file, a wrong field).
    """
    if encoding == PUBLIC_KEYS:
        return _public_keys(text, source)
    blocks = _pem.certificates(text, source)
    if text.strip() and not blocks:
        raise PkiError(source, "holds no PEM certificate", "give a file or field with CERTIFICATE blocks")
    return tuple(anchor(block, source) for block in blocks)


def _public_keys(text: str, source: str) -> tuple[Anchor, ...]:
    blocks = _pem.split(text, source)
    for block in blocks:
        if block.label != "PUBLIC KEY":
            raise PkiError(source, f"holds a {block.label} where only public keys belong", "remove it")
    if text.strip() and not blocks:
        raise PkiError(source, "holds no PEM public key", "give a file with PUBLIC KEY blocks")
    return tuple(Anchor(block, "public key", "public key", ((("key", block.fingerprint),),), block.fingerprint, b"", True)
                 for block in blocks)


def anchor(block: _pem.Block, source: str) -> Anchor:
    """Read one certificate; :raises PkiError: when its DER is damaged or is no certificate."""
    try:
        return _read_certificate(block)
    except _Unusable as exc:
        raise PkiError(source, f"certificate sha256:{block.fingerprint[:12]} {exc}", "replace it") from exc
    except (ValueError, IndexError) as exc:
        raise PkiError(source, f"certificate sha256:{block.fingerprint[:12]} is no X.509 certificate", "replace it") from exc


def fingerprint(text: str, source: str) -> str:
    """Return a SHA-256 fingerprint, with or without colons and prefix, as lower-case hex; :raises PkiError: for anything else."""
    match = _FINGERPRINT.fullmatch(text.strip().lower())
    if match is None:
        raise PkiError(source, f"{text!r} is not a SHA-256 fingerprint", "give 64 hexadecimal digits")
    return match.group(1).replace(":", "")


def unique(found: t.Iterable[Anchor]) -> tuple[Anchor, ...]:
    """Return the anchors without repetitions; the first one stays."""
    first: dict[str, Anchor] = {}
    for one in found:
        first.setdefault(one.fingerprint, one)
    return tuple(first.values())


def merge(current: t.Sequence[Anchor], wanted: Wanted) -> tuple[Anchor, ...]:
    """Return the anchors that the bundle shall hold, in order.

    ``exact``: those given. ``present``: those given, then the others in their old order. ``absent``: the others.
    """
    given = unique(wanted.anchors)
    if wanted.state == EXACT:
        return given
    named = {one.fingerprint for one in given} | wanted.unwanted
    others = tuple(one for one in unique(current) if one.fingerprint not in named)
    return others if wanted.state == ABSENT else given + others


def check(result: t.Sequence[Anchor], source: str) -> None:
    """Refuse a bundle that some verifier would not use as it is meant.

    :raises PkiError: for an empty bundle; for a certificate that is no CA; for two keys under one subject without distinct
        key identifiers: OpenSSL then tries the first one only, in either order, and reports a bad signature (measured with 3.0).
    """
    if not result:
        raise PkiError(source, "the bundle would be empty", "nobody would be trusted; give at least one")
    for one in result:
        if not one.is_ca:
            raise PkiError(source, f"{one.label} is not a CA certificate (BasicConstraints)", "give the CA, not the leaf")
    by_subject: dict[Name, list[Anchor]] = {}
    for one in result:
        for other in by_subject.setdefault(one.canonical_subject, []):
            if one.key != other.key and not (one.key_id and other.key_id and one.key_id != other.key_id):
                raise PkiError(
                    source, f"{other.label} and {one.label} have one subject ({one.subject}), two keys and no distinct key identifiers",
                    "OpenSSL would use the first alone; give each generation a subject of its own")
        by_subject[one.canonical_subject].append(one)


def decide(current: str | None, wanted: Wanted, source: str, encoding: str = PEM) -> Decision:
    """Return what becomes of a bundle whose text is *current* (None where it does not exist).

    :raises PkiError: as :func:`anchors` for the present text and as :func:`check` for the result.
    """
    before = anchors(current or "", source, encoding)
    after = merge(before, wanted)
    if not after and not before and wanted.state == ABSENT:
        return Decision(before, after, current, False, False, ())
    check(after, source)
    text = _pem.join(one.block for one in after)
    reasons = _reasons(current, before, after) if text != current else ()
    same_trust = {one.fingerprint for one in before} == {one.fingerprint for one in after} and _is_legible(current or "", before)
    return Decision(before, after, text, text != current, not same_trust, reasons)


def decide_encoded(value: str | None, encoding: str, cluster: str | None, wanted: Wanted, source: str) -> Decision:
    """Return what becomes of a bundle that a file or field holds in an encoding; ``text`` is the file's or field's new content.

    :param encoding: ``pem``; ``public-keys``: PEM, too; ``base64`` of PEM (caBundle); ``kubeconfig``: the inline CA data of its
        clusters, or of *cluster* alone.
    :raises PkiError: as :func:`decide`, and for a value that is not what its encoding says.
    """
    if encoding in (PEM, PUBLIC_KEYS):
        return decide(value, wanted, source, encoding)
    if encoding == BASE64:
        decision = decide(_kubeconfig.decode(value, source) if value else None, wanted, source)
        return decision._replace(text=_kubeconfig.encode(decision.text or "")) if decision.changed else decision._replace(text=value)
    document = _kubeconfig.parse(value or "", source)
    fields = _kubeconfig.authority_data(document, cluster, source)
    decisions = {
        name: decide_encoded(data or None, BASE64, None, wanted, f"{source}: cluster {name}") for name, data in fields.items()
    }
    changed = {name: decision.text or "" for name, decision in decisions.items() if decision.changed}
    return Decision(
        before=unique(one for decision in decisions.values() for one in decision.before),
        after=unique(one for decision in decisions.values() for one in decision.after),
        text=_kubeconfig.dump(_kubeconfig.with_authority_data(document, changed)) if changed else value,
        changed=bool(changed),
        trust_changed=any(decision.trust_changed for decision in decisions.values()),
        reasons=tuple(f"cluster {name}: {reason}" for name, decision in decisions.items() for reason in decision.reasons),
    )


def _reasons(current: str | None, before: tuple[Anchor, ...], after: tuple[Anchor, ...]) -> tuple[str, ...]:
    old, new = [one.fingerprint for one in before], [one.fingerprint for one in after]
    reasons = ["missing"] if current is None else []
    reasons += [f"adds {one.label}" for one in after if one.fingerprint not in old]
    reasons += [f"removes {one.label}" for one in unique(before) if one.fingerprint not in new]
    reasons += [f"drops a duplicate of {one.label}" for one in unique(before) if old.count(one.fingerprint) > 1]
    kept = [one for one in new if one in old]
    if kept != [one for one in dict.fromkeys(old) if one in new]:
        reasons.append(f"order: {after[0].label} comes first")
    return tuple(reasons or ["text around or inside the certificates is not in normal form"])


def _is_legible(text: str, found: t.Sequence[Anchor]) -> bool:
    # Go and OpenSSL pass over blocks that are glued together without a newline: what they loaded is not what the text holds.
    return len(_WHOLE_LINE.findall(text)) == 2 * len(found)


class _Unusable(ValueError):
    """What is wrong with a certificate, as the end of a sentence."""


class _Element(t.NamedTuple):
    tag: int
    content: bytes
    encoded: bytes


def _elements(data: bytes) -> list[_Element]:
    elements = []
    start = 0
    while start < len(data):
        tag, length, content = data[start], data[start + 1], start + 2
        if tag & 0x1F == 0x1F or length == 0x80:
            raise _Unusable("is not DER")
        if length > 0x80:
            content += length - 0x80
            length = int.from_bytes(data[start + 2:content], "big")
        end = content + length
        if end > len(data):
            raise _Unusable("is cut short")
        elements.append(_Element(tag, data[content:end], data[start:end]))
        start = end
    return elements


def _only(data: bytes, tag: int) -> bytes:
    elements = _elements(data)
    if [element.tag for element in elements] != [tag]:
        raise _Unusable("is no X.509 certificate")
    return elements[0].content


def _read_certificate(block: _pem.Block) -> Anchor:
    parts = _elements(_only(block.der, _SEQUENCE))
    if len(parts) != 3 or parts[0].tag != _SEQUENCE:
        raise _Unusable("is no X.509 certificate")
    fields = [field for field in _elements(parts[0].content) if field.tag != _VERSION]
    if [field.tag for field in fields[:6]] != [_INTEGER] + 5 * [_SEQUENCE]:
        raise _Unusable("is no X.509 certificate")
    subject, public_key = fields[4], fields[5]
    if fields[0].content[0] & 0x80:
        raise _Unusable("has a negative serial number, so Go passes over it")
    extensions = _extensions(fields[6:])
    names = _names(subject.content)
    constraints = extensions.get(_BASIC_CONSTRAINTS)
    flags = _elements(_only(constraints, _SEQUENCE)) if constraints is not None else []
    key_id = extensions.get(_SUBJECT_KEY_ID)
    return Anchor(
        block=block,
        subject=",".join("+".join(f"{kind}={_escaped(value)}" for kind, value in together) for together in reversed(names)),
        common_name=next((value for together in names for kind, value in together if kind == "CN"), ""),
        canonical_subject=tuple(
            tuple(sorted((kind, " ".join(value.split()).lower()) for kind, value in together)) for together in names),
        key=hashlib.sha256(public_key.encoded).hexdigest(),
        key_id=_only(key_id, _OCTETS) if key_id is not None else b"",
        is_ca=bool(flags) and flags[0].tag == _BOOLEAN and flags[0].content != b"\x00",
    )


def _extensions(fields: t.Sequence[_Element]) -> dict[bytes, bytes]:
    found = {}
    for field in fields:
        if field.tag == _EXTENSIONS:
            for extension in _elements(_only(field.content, _SEQUENCE)):
                parts = _elements(extension.content)
                found[parts[0].content] = parts[-1].content
    return found


def _names(subject: bytes) -> list[list[tuple[str, str]]]:
    names: list[list[tuple[str, str]]] = []
    for together in _elements(subject):
        names.append([])
        for attribute in _elements(together.content):
            kind, value = _elements(attribute.content)
            encoding = _ENCODINGS.get(value.tag)
            text = value.content.decode(encoding, "replace") if encoding else f"#{value.encoded.hex()}"
            names[-1].append((_ATTRIBUTES.get(kind.content.hex()) or _dotted(kind.content), text))
    return names


def _dotted(oid: bytes) -> str:
    numbers = [0]
    for byte in oid:
        numbers[-1] = numbers[-1] << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(0)
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in [first, numbers[0] - 40 * first, *numbers[1:-1]])


def _escaped(value: str) -> str:
    escaped = re.sub(r'([\\,+"<>;])', r"\\\1", value)
    if escaped[:1] in ("#", " "):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if escaped.endswith(" ") and len(value) > 1 else escaped
