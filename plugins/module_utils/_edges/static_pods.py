# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Static pods: the kubelet runs what lies in its manifests directory, and starts a changed manifest as a new pod.

A stopped pod's manifest is parked in our own directory on the host, where a run that was cut short finds it again. The kubelet
passes over names that begin with a dot (pkg/kubelet/config/file_linux.go).
"""

from __future__ import annotations

import datetime
import os
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files, processes
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.services import Manager, Service
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

try:
    import yaml
except ImportError:  # pragma: no cover
    yaml = None  # type: ignore[assignment]

RESTARTED_AT = "rekey.kubernetes/restarted-at"
STOP_SECONDS = 150  # twice what kubeadm's defaults take (terminationGracePeriodSeconds 30, measured 49 s)
_MANIFEST_MODE = 0o600


class StaticPods:
    """The control plane's pods of a kubeadm host; its kubelet is a service of the host's own manager."""

    def __init__(self, kubernetes_dir: str, state_dir: str, host_manager: Manager) -> None:
        self._kubernetes_dir = kubernetes_dir
        self._parked = f"{state_dir}/manifests"
        self._host_manager = host_manager

    def look(self, name: str) -> Service:
        """Return the process of the pod's one container."""
        if name == "kubelet":
            return self._host_manager.look(name)
        pid = processes.find(name, self._kubernetes_dir)
        return Service(pid, processes.started(pid) if pid else None)

    def stop(self, name: str) -> None:
        """Park the manifest and wait until the process is gone; :raises PkiError: when it is not within STOP_SECONDS."""
        if name == "kubelet":
            self._host_manager.stop(name)
            return
        if os.path.exists(self._path(name)):
            files.make_private_directory(self._parked)
            os.replace(self._path(name), self._parked_path(name))
            files.sync_directory(self._parked)

        def look() -> tuple[list[str], None]:
            return (["runs"] if self.look(name).running else []), None

        if until(look, STOP_SECONDS, time.monotonic, time.sleep)[0]:
            raise PkiError(name, f"still runs {STOP_SECONDS} s after its manifest was taken away", "look at the kubelet's log")

    def start(self, name: str) -> None:
        """Put the parked manifest back as one that the kubelet takes for a new pod."""
        if name == "kubelet":
            self._host_manager.start(name)
        elif os.path.exists(self._parked_path(name)):
            pod = self._pod(self._parked_path(name))
            now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
            pod["metadata"].setdefault("annotations", {})[RESTARTED_AT] = now
            self._write(self._path(name), pod)
            files.remove(self._parked_path(name))

    def flags(self, name: str) -> dict[str, str]:
        """Return the flags with a value that the pod's command has; nothing where there is no manifest."""
        path = self._manifest(name)
        words = [str(word).partition("=") for word in self._container(self._pod(path), path).get("command") or []] if path else []
        return {flag: value for flag, equals, value in words if equals and flag.startswith("--")}

    def check_flags(self, name: str, wanted: t.Mapping[str, str]) -> None:
        """Refuse where the flags could not be set; :raises PkiError: for a manifest whose command is not the program and its flags."""
        path = self._manifest(name)
        if not path:
            raise PkiError(name, f"{self._path(name)}: no such manifest", "restore it")
        container = self._container(self._pod(path), path)
        program, *flags = [str(word) for word in container.get("command") or [""]]
        if os.path.basename(program) != name or container.get("args") or not all(flag.startswith("--") for flag in flags):
            raise PkiError(path, f"its command is not {name} and --flag=value alone, so {', '.join(wanted)} cannot be set in it",
                           "write it as kubeadm does, without a shell and without args")

    def set_flags(self, name: str, wanted: t.Mapping[str, str]) -> bool:
        """Give the pod's command these flags; say whether it had others. Takes effect with the pod's next start."""
        self.check_flags(name, wanted)
        path = self._manifest(name)
        before = self.flags(name)
        if all(before.get(flag) == value for flag, value in wanted.items()):
            return False
        pod = self._pod(path)
        container = self._container(pod, path)
        kept = [word for word in container["command"] if word.partition("=")[0] not in wanted]
        container["command"] = [*kept, *(f"{flag}={value}" for flag, value in wanted.items())]
        self._write(path, pod)
        return True

    def _path(self, name: str) -> str:
        return f"{self._kubernetes_dir}/manifests/{name}.yaml"

    def _parked_path(self, name: str) -> str:
        return f"{self._parked}/{name}.yaml"

    def _manifest(self, name: str) -> str:
        # A run that was killed while it put one back left both: the kubelet's is the newer one.
        return next((path for path in (self._path(name), self._parked_path(name)) if os.path.exists(path)), "")

    def _pod(self, path: str) -> dict[str, t.Any]:
        if yaml is None:
            raise PkiError(path, "PyYAML is not installed on this host", "install the python3-yaml package")
        try:
            pod: dict[str, t.Any] = yaml.safe_load(files.require(path))
        except yaml.YAMLError as exc:
            raise PkiError(path, "is not YAML", "restore it") from exc
        return pod

    def _container(self, pod: t.Mapping[str, t.Any], path: str) -> dict[str, t.Any]:
        try:
            container: dict[str, t.Any] = pod["spec"]["containers"][0]
        except (KeyError, IndexError, TypeError) as exc:
            raise PkiError(path, "is not the manifest of a pod", "restore it") from exc
        return container

    def _write(self, path: str, pod: t.Mapping[str, t.Any]) -> None:
        files.write(files.Target(path, _MANIFEST_MODE), yaml.safe_dump(dict(pod), sort_keys=False).encode("utf-8"))
