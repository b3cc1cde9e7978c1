# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Locks: a file on the authority host, and a Lease in the cluster, either made in one step or not at all."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Conflict, Kubectl, Object
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.lock import Holder, holder

LEASE, NAMESPACE = "rekey-kubernetes-rotation", "kube-system"
_ANNOTATION = "rekey.kubernetes/"
_TAKEN = "run again: it says who was faster"


class Lock(t.Protocol):
    """A place that one run at a time can hold."""

    place: str

    def read(self) -> Holder | None:
        """Return who holds it."""

    def write(self, ours: Holder, found: Holder | None) -> None:
        """Take it from whom :meth:`read` found; :raises PkiError: when somebody else was faster."""

    def drop(self) -> None:
        """Let go of it."""


class FileLock:
    """A lock in a file."""

    def __init__(self, path: str) -> None:
        self.place = path

    def read(self) -> Holder | None:
        """Return who holds it; of a file that is no record of ours nobody knows."""
        content = files.read(self.place)
        if content is None:
            return None
        try:
            given = json.loads(content)
        except ValueError:
            given = {}
        return holder(given if isinstance(given, dict) else {})

    def write(self, ours: Holder, found: Holder | None) -> None:
        """Take it: a new one by a link, which fails where there is one."""
        content = json.dumps(ours._asdict()).encode()
        if found is not None:
            files.write(files.Target(self.place, files.KEY_MODE), content)
            return
        try:
            with tempfile.NamedTemporaryFile(prefix=files.TEMPORARY, dir=os.path.dirname(self.place)) as made:
                made.write(content)
                made.flush()
                os.link(made.name, self.place)
        except FileExistsError as exc:
            raise PkiError(self.place, "another run has taken the lock just now", _TAKEN) from exc
        except OSError as exc:
            raise PkiError(self.place, f"cannot be written: {exc.strerror}", "check space, owner and mount") from exc

    def drop(self) -> None:
        """Remove it."""
        files.remove(self.place)


class LeaseLock:
    """A lock in a Lease (coordination.k8s.io/v1), as leader elections have theirs."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.place = f"Lease {NAMESPACE}/{LEASE}"
        self._kubectl = kubectl
        self._seen: Object = {}

    def read(self) -> Holder | None:
        """Return who holds it, and remember which version of it that was."""
        self._seen = self._kubectl.get("lease", LEASE, NAMESPACE) or {}
        if not self._seen:
            return None
        said = self._seen["metadata"].get("annotations") or {}
        return holder({"run": self._seen["spec"].get("holderIdentity"),
                       **{name: said.get(_ANNOTATION + name) for name in ("operator", "controller", "since")}})

    def write(self, ours: Holder, found: Holder | None) -> None:
        """Create or replace it; either fails where another one was faster."""
        told = {_ANNOTATION + name: getattr(ours, name) for name in ("operator", "controller", "since")}
        version = {"resourceVersion": self._seen["metadata"]["resourceVersion"]} if found else {}
        content = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                   "metadata": {"name": LEASE, "namespace": NAMESPACE, "annotations": told, **version},
                   "spec": {"holderIdentity": ours.run, "acquireTime": ours.since.replace("Z", ".000000Z")}}
        try:
            (self._kubectl.replace if found else self._kubectl.create)(content)
        except PkiError as exc:
            if isinstance(exc, Conflict) or "already exists" in exc.problem:
                raise PkiError(self.place, "another run has taken the lock just now", _TAKEN) from exc
            raise

    def drop(self) -> None:
        """Delete it."""
        self._kubectl.text(["delete", "lease", LEASE, f"--namespace={NAMESPACE}", "--ignore-not-found"])
