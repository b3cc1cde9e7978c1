# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Asking an API server through kubectl: arguments are names and paths, contents go through standard input."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

FIELD_MANAGER = "rekey.kubernetes"

Object = dict[str, t.Any]
Objects = list[Object]

_FIELD_PART = re.compile(r"""\.?([^.\[\]"']+)|\[(\d+)\]|\["([^"]+)"\]|\['([^']+)'\]""")
_REMEDIES = (
    ("the object has been modified", "run again; something else writes this object"),
    ("forbidden", "give the kubeconfig's user the right to do this"),
    ("unauthorized", "the API server refused the kubeconfig's credentials; give a kubeconfig it accepts"),
    ("must be logged in", "the API server refused the kubeconfig's credentials; give a kubeconfig it accepts"),
    ("x509:", "the kubeconfig's certificate authority does not fit what the API server serves"),
    (" refused", "check that the API server runs and that the kubeconfig names its address"),
    ("timeout", "check that the API server is healthy and that the kubeconfig names its address"),
    ("doesn't have a resource type", "check the kind, or whether its definition is installed"),
)


class Conflict(PkiError):
    """The object changed between reading and writing."""


class Kubectl:
    """One kubectl binary with one kubeconfig.

    :param run: runs argv with a text on standard input; raises OSError where the binary cannot be started.
    :param kubeconfig: path; "" leaves the choice to kubectl.
    :param request_timeout: seconds for one request.
    """

    def __init__(self, run: Run, binary: str = "kubectl", kubeconfig: str = "", request_timeout: int = 10) -> None:
        self._run = run
        self._command = [binary, f"--request-timeout={request_timeout}s"]
        if kubeconfig:
            self._command.append(f"--kubeconfig={kubeconfig}")

    def text(self, arguments: t.Sequence[str], stdin: str = "") -> str:
        """Return what kubectl prints.

        :raises Conflict: when the API server refuses an old resourceVersion.
        :raises PkiError: for every other failure, with kubectl's return code and message.
        """
        try:
            code, output, message = self._run([*self._command, *arguments], stdin)
        except OSError as exc:
            raise PkiError(self._command[0], f"cannot be run: {exc.strerror}", "install kubectl, or give its path") from exc
        if code == 0:
            return output
        problem = f"{' '.join(arguments)}: exit status {code}: {message.strip() or 'no message'}"
        remedy = next((remedy for sign, remedy in _REMEDIES if sign in message.lower()), "run the same command by hand to see more")
        raise (Conflict if "the object has been modified" in message else PkiError)(self._command[0], problem, remedy)

    def json(self, arguments: t.Sequence[str], stdin: str = "") -> Object | None:
        """Return what kubectl prints with ``-o json``, None where it prints nothing (``--ignore-not-found``)."""
        output = self.text([*arguments, "-o", "json"], stdin)
        if not output.strip():
            return None
        try:
            return t.cast(Object, json.loads(output))
        except ValueError as exc:
            raise PkiError(self._command[0], f"{' '.join(arguments)}: the answer is not JSON", "check that this is kubectl") from exc

    def write(self, arguments: t.Sequence[str], content: Object) -> Object:
        """Give kubectl an object on standard input (``["create", "-f", "-"]``) and return the object that it answers."""
        return self.json(arguments, json.dumps(content)) or {}

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """Return one object, None where it does not exist."""
        return self.json(["get", kind, name, "--ignore-not-found", *_in(namespace)])

    def list(self, kind: str, namespace: str = "", field_selector: str = "", label_selector: str = "") -> Objects:
        """Return the objects of a kind, of all namespaces where none is given."""
        selectors = [f"--field-selector={field_selector}"] if field_selector else []
        selectors += [f"--selector={label_selector}"] if label_selector else []
        answer = self.json(["get", kind, *(_in(namespace) or ["--all-namespaces"]), *selectors]) or {}
        return t.cast(Objects, answer.get("items") or [])

    def create(self, content: Object) -> Object:
        """Create an object and return it as stored."""
        return self.write(["create", f"--field-manager={FIELD_MANAGER}", "-f", "-"], content)

    def replace(self, content: Object) -> Object:
        """Replace an object, resourceVersion and all, and return it as stored; :raises Conflict: when it changed meanwhile."""
        return self.write(["replace", f"--field-manager={FIELD_MANAGER}", "-f", "-"], content)

    def apply(self, content: Object) -> Object:
        """Apply server-side the fields that *content* names and return the object as stored; another owner's field is an error."""
        return self.write(["apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-"], content)

    def patch(self, kind: str, name: str, change: Object, namespace: str = "") -> Object:
        """Merge *change* into an object (RFC 7386) and return it as stored."""
        options = ["--type=merge", f"--field-manager={FIELD_MANAGER}", "--patch-file=/dev/stdin"]
        return self.write(["patch", kind, name, *_in(namespace), *options], change)

    def approve(self, name: str) -> None:
        """Approve a CertificateSigningRequest."""
        self.text(["certificate", "approve", name])

    def deny(self, name: str) -> None:
        """Deny a CertificateSigningRequest."""
        self.text(["certificate", "deny", name])


def field_value(content: Object, field: str, source: str) -> str | None:
    """Return the text in a field, None where its last part is absent.

    :param field: ``data["ca.crt"]``, ``webhooks[0].clientConfig.caBundle``.
    :raises PkiError: for a path that is malformed or leads through something absent.
    """
    parent, last = _locate(content, field, source)
    try:
        value = parent[last]
    except KeyError:
        return None
    if value is not None and not isinstance(value, str):
        raise PkiError(source, f"{field} is not a text", "name the field that holds the bundle")
    return value


def with_field(content: Object, field: str, value: str, source: str) -> Object:
    """Return a copy of the object with another text in the field; errors as :func:`field_value`."""
    changed = t.cast(Object, json.loads(json.dumps(content)))
    parent, last = _locate(changed, field, source)
    parent[last] = value
    return changed


def field_parts(field: str, source: str) -> list[str | int]:
    """Return a field path's parts, names as text and positions as numbers; :raises PkiError: for a malformed path."""
    parts: list[str | int] = []
    end = 0
    while end < len(field):
        match = _FIELD_PART.match(field, end)
        if match is None or (end == 0 and field.startswith(".")):
            raise PkiError(source, f"{field!r} is not a field path", 'write it like data["ca.crt"] or webhooks[0].clientConfig.caBundle')
        name, position, *quoted = match.groups()
        parts.append(int(position) if position else name or "".join(filter(None, quoted)))
        end = match.end()
    if not parts or isinstance(parts[-1], int):
        raise PkiError(source, f"{field!r} names no field", "end it with the field that holds the bundle")
    return parts


def _locate(content: Object, field: str, source: str) -> tuple[t.Any, str | int]:
    *path, last = field_parts(field, source)
    parent: t.Any = content
    for part in path:
        parent = _child(parent, part)
    if not isinstance(parent, dict):
        raise PkiError(source, f"the object has nothing to hold {field}", "check the field and the object")
    return parent, last


def _child(parent: t.Any, part: str | int) -> t.Any:
    try:
        return parent[part]
    except (KeyError, IndexError, TypeError):
        return None


def _in(namespace: str) -> list[str]:
    return [f"--namespace={namespace}"] if namespace else []
