# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in memory behind kubectl's command line, for tests of modules that ask a whole cluster. Other commands are run as they are."""

from __future__ import annotations

import json
import subprocess
import typing as t

KUBECTL = "kubectl"
Object = dict[str, t.Any]


class FakeCluster:
    """Objects by kind, namespace and name. ``run`` is what the edges are given to run commands by."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.calls: list[list[str]] = []
        self.unserved: set[str] = set()
        self.unserved_message = 'error: the server doesn\'t have a resource type "{}"'
        self.logs = ""
        self.stuck = False

    def put(self, kind: str, name: str, namespace: str = "", metadata: t.Mapping[str, t.Any] | None = None, **fields: t.Any) -> None:
        """Store an object."""
        head = {"name": name, **({"namespace": namespace} if namespace else {}), **(metadata or {})}
        self.objects[kind.lower(), namespace, name] = {"kind": kind, "apiVersion": "v1", "metadata": head, **fields}

    def get(self, kind: str, name: str, namespace: str = "") -> t.Any:
        """Return an object, None where it is not there."""
        return self.objects.get((kind, namespace, name))

    def run(self, argv: t.Sequence[str], stdin: str = "") -> tuple[int, str, str]:
        """Answer as kubectl does."""
        if argv[0] != KUBECTL:
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        given = [one for one in argv[1:] if not one.startswith(("--request", "--kubeconfig"))]
        self.calls.append(given)
        form = given[given.index("-o") + 1] if "-o" in given else ""
        flags = dict(one[2:].partition("=")[::2] for one in given if one.startswith("--"))
        verb, *words = [one for one in given if not one.startswith("-") and one != form]
        answer = {"get": self._get, "logs": self._logs, "rollout": self._rollout}.get(verb, self._write)
        try:
            return 0, answer(verb, words, flags, form, stdin), ""
        except ValueError as exc:
            return 1, "", str(exc)

    def _get(self, _verb: str, words: list[str], flags: dict[str, str], form: str, _stdin: str) -> str:
        kinds = words[0].split(",")
        unknown = next((one for one in kinds if one in self.unserved), "")
        if unknown:
            raise ValueError(self.unserved_message.format(unknown))
        found = [one for (kind, _namespace, _name), one in self.objects.items() if {kind, f"{kind}s"} & {*kinds} and _is_meant(one, flags)]
        if len(words) > 1:
            found = [one for one in found if one["metadata"]["name"] == words[1]]
            return "" if not found else json.dumps(found[0]["metadata"] if form.startswith("jsonpath") else found[0])
        if form.startswith("jsonpath"):
            return "".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}\n" for one in found)
        return json.dumps({"items": found})

    def _logs(self, *_given: t.Any) -> str:
        return self.logs

    def _rollout(self, *_given: t.Any) -> str:
        if self.stuck:
            raise ValueError("error: timed out waiting for the condition")
        return ""

    def _write(self, verb: str, words: list[str], flags: dict[str, str], _form: str, stdin: str) -> str:
        content = json.loads(stdin) if stdin else {}
        kind, name = words[:2] if words else (content["kind"].lower(), content["metadata"]["name"])
        namespace = flags.get("namespace", content.get("metadata", {}).get("namespace", ""))
        if verb == "create":
            if (kind, namespace, name) in self.objects:
                raise ValueError(f'Error from server (AlreadyExists): {kind} "{name}" already exists')
            self.objects[kind, namespace, name] = content
            return json.dumps(content)
        if verb == "delete":
            del self.objects[kind, namespace, name]
            return ""
        self.objects[kind, namespace, name] = content if verb == "replace" else _merged(self.objects[kind, namespace, name], content)
        return json.dumps(self.objects[kind, namespace, name])


def _is_meant(content: Object, flags: dict[str, str]) -> bool:
    field, _equals, wanted = flags.get("field-selector", "").partition("=")
    label, _equals, labelled = flags.get("selector", "").partition("=")
    value: t.Any = content
    for part in filter(None, field.split(".")):
        value = value.get(part, {})
    return ((not field or value == wanted) and (not label or (content["metadata"].get("labels") or {}).get(label) == labelled)
            and flags.get("namespace", "") in ("", content["metadata"].get("namespace", "")))


def _merged(old: Object, new: Object) -> Object:
    return {**old, **{key: _merged(old.get(key) or {}, one) if isinstance(one, dict) else one for key, one in new.items()}}
