# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which workloads trust what kube-root-ca.crt holds, and which of them a rotation restarts. Pure.

A pod reads the ConfigMap from a projected volume. Whether its program reads a changed file again nobody can see from outside:
CoreDNS, for one, does not, and stays Running and Ready while every watch of it fails (docs/design.md). So all are restarted.
"""

from __future__ import annotations

import typing as t

ROOT_CA = "kube-root-ca.crt"
MARK = "rekey.kubernetes/trusts"  # on the pod template: what the pods trusted when they started
OPT_OUT = "rekey.kubernetes/restart"  # on the workload; "never" leaves it alone
FIRST_NAMESPACE = "kube-system"
ROLLING = {"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset"}

Object = t.Mapping[str, t.Any]


class Workload(t.NamedTuple):
    """A workload whose pods trust kube-root-ca.crt; ``left`` says why nothing restarts it, empty where something does."""

    kind: str
    namespace: str
    name: str
    mark: str
    left: str

    @property
    def label(self) -> str:
        """Its name for messages."""
        return f"{self.kind} {self.namespace}/{self.name}"


def concerned(pods: t.Iterable[Object], controllers: t.Iterable[Object]) -> list[Workload]:
    """Return the workloads whose living pods trust kube-root-ca.crt: kube-system's first, each once.

    :param controllers: every Deployment, StatefulSet, DaemonSet and ReplicaSet.
    """
    known = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in controllers}
    found = {}
    for pod in pods:
        if pod["status"].get("phase") in ("Succeeded", "Failed") or not _reads_root_ca(pod):
            continue
        kind, name = _owner(pod)
        if kind == "ReplicaSet":
            kind, name = _owner(known.get((kind, pod["metadata"]["namespace"], name), {"metadata": {}}), (kind, name))
        key = (kind, pod["metadata"]["namespace"], name or pod["metadata"]["name"])
        found[key] = _workload(*key, known.get(key), pod)
    return sorted(found.values(), key=lambda one: (one.namespace != FIRST_NAMESPACE, one.namespace, one.kind, one.name))


def _workload(kind: str, namespace: str, name: str, content: Object | None, pod: Object) -> Workload:
    if kind not in ROLLING or content is None:
        left = "is a bare pod" if kind == "Pod" else f"belongs to a {kind}, which replaces no running pod"
        return Workload(kind, namespace, name, "", left)
    template = content["spec"]["template"]["metadata"].get("annotations") or {}
    strategy = (content["spec"].get("updateStrategy") or {}).get("type", "")
    left = "its update strategy is OnDelete" if strategy == "OnDelete" else ""
    if (content["metadata"].get("annotations") or {}).get(OPT_OUT) == "never":
        left = f"is annotated {OPT_OUT}: never"
    return Workload(kind, namespace, name, template.get(MARK, ""), left)


def _owner(content: Object, otherwise: tuple[str, str] = ("Pod", "")) -> tuple[str, str]:
    owners = [one for one in content["metadata"].get("ownerReferences") or [] if one.get("controller")]
    return (owners[0]["kind"], owners[0]["name"]) if owners else otherwise


def _reads_root_ca(pod: Object) -> bool:
    sources = [source for volume in pod["spec"].get("volumes") or [] for source in (volume.get("projected") or {}).get("sources") or []]
    named = [(volume.get("configMap") or {}).get("name") for volume in pod["spec"].get("volumes") or []]
    return ROOT_CA in [*((source.get("configMap") or {}).get("name") for source in sources), *named]
