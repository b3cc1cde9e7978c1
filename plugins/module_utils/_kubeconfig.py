# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Kubeconfigs as dictionaries: parse, merge what is wanted into what is there, compare by meaning, describe without secrets.

Source of the format: kubernetes/kubernetes staging/src/k8s.io/client-go/tools/clientcmd/api/v1/types.go, v1.37.2.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import posixpath
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

Document = dict[str, t.Any]

KINDS = {"clusters": "cluster", "users": "user", "contexts": "context"}
RESTORE = "restore the kubeconfig, or remove it to have it made anew"
AUTHORITY_FILE, AUTHORITY_DATA = "certificate-authority", "certificate-authority-data"

_PUBLIC = frozenset({
    "server", AUTHORITY_FILE, "tls-server-name", "insecure-skip-tls-verify", "client-certificate", "client-key", "tokenFile",
    "cluster", "user", "namespace",
})
_PATHS = frozenset({AUTHORITY_FILE, "client-certificate", "client-key"})
_CERTIFICATES = frozenset({AUTHORITY_DATA, "client-certificate-data"})
_DATA = _CERTIFICATES | {"client-key-data"}


class Entry(t.NamedTuple):
    """A cluster, user or context as wanted: its fields, and the fields that would contradict them."""

    kind: str  # clusters, users, contexts
    name: str
    fields: t.Mapping[str, str]
    displaced: tuple[str, ...] = ()
    present: bool = True


class Wanted(t.NamedTuple):
    """What a kubeconfig shall say; ``exact`` leaves nothing else in it."""

    entries: tuple[Entry, ...]
    current_context: str | None = None
    exact: bool = False


def parse(text: str, source: str) -> Document:
    """Return a kubeconfig's content.

    :raises PkiError: for text that is neither JSON nor YAML, that repeats a key or a name, or whose shape is no kubeconfig's.
        Messages never quote the text: it may be a key.
    """
    document = load(text, source) if text.strip() else None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise PkiError(source, "is not a mapping", RESTORE)
    try:
        json.dumps(document)
    except (TypeError, ValueError, RecursionError) as exc:
        raise PkiError(source, "holds something that JSON cannot say", "a kubeconfig is JSON or its YAML form") from exc
    if document.get("kind") not in (None, "Config"):
        raise PkiError(source, f"is a {document['kind']!r}, not a kubeconfig", "check the path")
    for kind, inner in KINDS.items():
        _check_entries(document.get(kind), kind, inner, source)
    return t.cast(Document, document)


def dump(document: Document) -> str:
    """Return the text to write: YAML where PyYAML is there, else JSON, which every YAML reader takes."""
    if not HAS_YAML:
        return json.dumps(document, indent=2) + "\n"
    return str(yaml.dump(document, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=1 << 20))


def merge(current: Document | None, wanted: Wanted, directory: str, source: str) -> Document:
    """Return what the kubeconfig shall say; where that means the same as *current*, it says it in the same words.

    Unless exact, all that is not wanted stays: other entries, other fields, unknown top-level keys.

    :param directory: the kubeconfig's own; relative paths in it start there.
    :raises PkiError: when a wanted cluster has no server, or a context names what is not there.
    """
    named = [(entry.kind, entry.name) for entry in wanted.entries]
    for kind, name in named:
        if named.count((kind, name)) > 1:
            raise PkiError(source, f"{kind} asks for {name} more than once", "ask once")
    old = current or {}
    result: Document = {} if wanted.exact or not old else copy.deepcopy(old)
    if not result:
        result.update({"apiVersion": "v1", "kind": "Config", **{kind: [] for kind in KINDS}, "current-context": ""})
    for entry in wanted.entries:
        _put(result, entry)
    names = _names(result, "contexts")
    if wanted.current_context is not None:
        result["current-context"] = wanted.current_context
    elif result.get("current-context") not in names and result.get("current-context") in _names(old, "contexts"):
        result["current-context"] = ""
    _check_references(result, wanted, source)
    return _in_old_words(old, result, directory)


def reasons(current: Document | None, result: Document) -> tuple[str, ...]:
    """Say in sentences without secrets how *result* differs in meaning; empty when it does not."""
    if current is None:
        return ("missing",)
    old, new = meaning(current), meaning(result)
    told = []
    for kind, inner in KINDS.items():
        before, after = old.pop(kind, {}), new.pop(kind, {})
        told += [f"adds {inner} {name}" for name in after if name not in before]
        told += [f"removes {inner} {name}" for name in before if name not in after]
        for name in before:
            if name in after:
                told += [f"{inner} {name}: {text}" for text in _field_reasons(_fields(before[name], inner), _fields(after[name], inner))]
    if old.get("current-context") != new.get("current-context"):
        told.append(f"current-context: {old.pop('current-context', '')!r} becomes {new.pop('current-context', '')!r}")
    told += [f"{'changes' if key in new else 'removes'} {key}" for key in old if old[key] != new.get(key)]
    return tuple(told + [f"adds {key}" for key in new if key not in old])


def meaning(document: Document) -> Document:
    """Return the document without what says nothing: the order of entries, and empty or null top-level values."""
    result = {key: value for key, value in document.items() if value not in (None, "", [], {})}
    for kind, inner in KINDS.items():
        if kind in result:
            result[kind] = {one["name"]: {**one, inner: one.get(inner) or {}} for one in result[kind]}
    return result


def summary(document: Document | None) -> list[str]:
    """Describe a kubeconfig in lines for a diff: names, paths, fingerprints; that a secret is there, never the secret."""
    lines = []
    for kind, inner in KINDS.items():
        for one in (document or {}).get(kind) or []:
            lines.append(f"{inner} {one['name']}")
            lines += [f"  {key}: {_shown(key, value)}" for key, value in sorted((one.get(inner) or {}).items())]
    return [*lines, f"current-context: {document.get('current-context') or ''}"] if document is not None else lines


def authority_data(document: Document, cluster: str | None, source: str) -> dict[str, str]:
    """Return the inline CA data (base64) of one cluster ("" where it has none), or of every cluster that has some.

    :raises PkiError: when there is none, or when the cluster names a file instead.
    """
    found = {one["name"]: one.get("cluster") or {} for one in document.get("clusters") or []}
    if cluster is None:
        data = {name: fields[AUTHORITY_DATA] for name, fields in found.items() if fields.get(AUTHORITY_DATA)}
        if not data:
            raise PkiError(source, "no cluster has inline CA data", f"name the cluster, or keep the file that its {AUTHORITY_FILE} names")
        return data
    if cluster not in found:
        raise PkiError(source, f"has no cluster {cluster!r}", "check the name")
    if found[cluster].get(AUTHORITY_FILE) or found[cluster].get("insecure-skip-tls-verify"):
        raise PkiError(source, f"cluster {cluster!r} has a CA file or verifies nothing", "keep that file instead")
    return {cluster: found[cluster].get(AUTHORITY_DATA) or ""}


def with_authority_data(document: Document, data: t.Mapping[str, str]) -> Document:
    """Return a copy whose named clusters have this CA data (base64)."""
    result = copy.deepcopy(document)
    for one in result["clusters"]:
        if one["name"] in data:
            one["cluster"] = {**(one.get("cluster") or {}), AUTHORITY_DATA: data[one["name"]]}
    return result


def decode(data: str, source: str) -> str:
    """Return the text in a base64 field; :raises PkiError: when it is not base64."""
    try:
        return base64.b64decode("".join(data.split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as exc:
        raise PkiError(source, "is not base64", "check the field") from exc


def encode(text: str) -> str:
    """Return a text as a base64 field holds it."""
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def load(text: str, source: str) -> t.Any:
    """Return what JSON or YAML says; :raises PkiError: for text that is neither."""

    def without_repetition(pairs: list[tuple[str, t.Any]]) -> Document:
        if len({key for key, value in pairs}) != len(pairs):
            raise PkiError(source, "repeats a key", "keep one of them")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=without_repetition)
    except (ValueError, RecursionError) as exc:
        if not HAS_YAML:
            raise PkiError(source, "is not JSON, and this Python has no PyYAML to read YAML",
                           "install PyYAML for it (python3-yaml), or convert the file to JSON") from exc
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        line = getattr(getattr(exc, "problem_mark", None), "line", None)
        place = "" if line is None else f" (line {line + 1})"
        raise PkiError(source, f"is not YAML, or repeats a key{place}", RESTORE) from exc


def _check_entries(entries: t.Any, kind: str, inner: str, source: str) -> None:
    if entries is None:
        return
    if not isinstance(entries, list):
        raise PkiError(source, f"{kind} is not a list", "check the path")
    names = []
    for one in entries:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not isinstance(one.get(inner) or {}, dict):
            raise PkiError(source, f"{kind} has an entry without a name or with a wrong {inner}", "mend it")
        names.append(one["name"])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise PkiError(source, f"{kind} has the name {', '.join(repeated)} more than once", "keep one of them; kubectl refuses such a file")


def _put(document: Document, entry: Entry) -> None:
    entries = document.get(entry.kind) or []
    found = next((one for one in entries if one["name"] == entry.name), None)
    if not entry.present:
        entries = [one for one in entries if one is not found]
    elif found is None:
        entries = [*entries, {"name": entry.name, KINDS[entry.kind]: dict(entry.fields)}]
    else:
        kept = {key: value for key, value in (found.get(KINDS[entry.kind]) or {}).items() if key not in entry.displaced}
        found[KINDS[entry.kind]] = {**kept, **entry.fields}
    document[entry.kind] = entries


def _names(document: Document, kind: str) -> list[str]:
    return [one["name"] for one in document.get(kind) or []]


def _check_references(document: Document, wanted: Wanted, source: str) -> None:
    for entry in wanted.entries:
        fields = next((one[KINDS[entry.kind]] for one in document[entry.kind] if one["name"] == entry.name and entry.present), None)
        if fields is None:
            continue
        if entry.kind == "clusters" and not fields.get("server"):
            raise PkiError(source, f"cluster {entry.name} would have no server", "give its server")
        for kind, inner in (("clusters", "cluster"), ("users", "user")) if entry.kind == "contexts" else ():
            if fields.get(inner) not in _names(document, kind):
                problem = f"context {entry.name} names the {inner} {fields.get(inner)!r}, which is not there"
                raise PkiError(source, problem, f"add the {inner}")
    if wanted.current_context and wanted.current_context not in _names(document, "contexts"):
        raise PkiError(source, f"current_context {wanted.current_context!r} is not there", "add the context")


def _in_old_words(old: Document, new: Document, directory: str) -> Document:
    for kind, inner in KINDS.items():
        before = {one["name"]: one.get(inner) or {} for one in old.get(kind) or []}
        for one in new.get(kind) or []:
            fields = one.get(inner) or {}
            for key, value in before.get(one["name"], {}).items():
                if key in fields and _same(key, value, fields[key], directory):
                    fields[key] = value
    return new


def _same(key: str, old: t.Any, new: t.Any, directory: str) -> bool:
    if old == new or not (isinstance(old, str) and isinstance(new, str)):
        return bool(old == new)
    if key in _PATHS:
        return posixpath.normpath(posixpath.join(directory, old)) == posixpath.normpath(posixpath.join(directory, new))
    blocks = _blocks(old) if key in _DATA else None
    return blocks is not None and blocks == _blocks(new)


def _blocks(data: t.Any) -> list[_pem.Block] | None:
    try:
        return _pem.split(decode(data, ""), "") or None
    except PkiError:
        return None


def _fields(entry: Document, inner: str) -> Document:
    return {**{key: value for key, value in entry.items() if key not in ("name", inner)}, **entry[inner]}


def _field_reasons(before: Document, after: Document) -> t.Iterator[str]:
    for key in sorted({*before, *after}):
        if key not in after:
            yield f"removes {key}"
        elif before.get(key) != after[key]:
            shown = _shown(key, after[key])
            yield f"{key} becomes {shown}" if key in before else f"adds {key} {shown}"


def _shown(key: str, value: t.Any) -> str:
    if key in _PUBLIC:
        return str(value)
    blocks = _blocks(value) if key in _CERTIFICATES and isinstance(value, str) else None
    if blocks and all(block.label == "CERTIFICATE" for block in blocks):
        return ", ".join(f"sha256:{block.fingerprint}" for block in blocks)
    return "(not shown)"


if HAS_YAML:
    class _Loader(yaml.SafeLoader):
        """Knows JSON's types only, as client-go does, and refuses repeated keys."""

        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: t.Any, deep: bool = False) -> t.Any:
            """Construct a mapping; :raises yaml.YAMLError: when a key is repeated."""
            keys = [key.value for key, value in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) != len(keys):
                raise yaml.constructor.ConstructorError(None, None, "a key is repeated", node.start_mark)
            return super().construct_mapping(node, deep)

    class _Dumper(yaml.SafeDumper):
        """Quotes what some YAML reader could take for something other than text (1e3, y), and writes no aliases."""

        def ignore_aliases(self, data: t.Any) -> bool:
            """Write everything out."""
            return True

        def represent_str(self, data: str) -> t.Any:
            """Represent text, plain only where it is text for every reader."""
            plain = re.fullmatch(r"[A-Za-z/][A-Za-z0-9 ._/@:+=-]*", data) and data not in ("y", "Y", "n", "N")
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')

    _Dumper.add_representer(str, _Dumper.represent_str)
