# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which workloads trust what kube-root-ca.crt holds, and what a rotation does about each. Pure.

A pod reads the CA from a volume. Whether its program reads a changed file again nobody can see from outside: CoreDNS, for one, does
not, and stays Running and Ready while every watch of it fails (docs/design.md). So a workload is restarted unless it says that it reloads,
or is known to.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import PROGRAMS
from ansible_collections.rekey.kubernetes.plugins.module_utils._duration import parse_duration
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.disruptions import taken_down

ROOT_CA = "kube-root-ca.crt"
SERVING_SIGNER = "kubernetes.io/kube-apiserver-serving"  # its ClusterTrustBundle holds the same
MARK = "rekey.kubernetes/trusts"  # what the pods trust: on the pod template, or on a workload that was waited for
OPT_OUT = "rekey.kubernetes/restart"  # on the workload; "never" leaves it alone
RELOADS = "rekey.kubernetes/reloads"  # on the workload; within which time its program reads a changed file, such as 5m
_IMAGE = re.compile(r"(?:.*/)?([^/:@]+):v(\d+)\.(\d+)")
FIRST_NAMESPACE = "kube-system"
HOST_DIRECTORY = "/etc/kubernetes"  # whoever mounts something of it from its node has the CA, or a client's certificate, from there
# kubeadm's static pods, which the windows restart, by the label that kubeadm gives them.
COMPONENTS = frozenset({"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"})
ROLLING = {"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset"}
RESTARTED, WAITED, LEFT = "restarted", "waited for", "left"

Object = t.Mapping[str, t.Any]


class Workload(t.NamedTuple):
    """A workload whose pods trust the cluster's root CA, and what becomes of it."""

    kind: str
    namespace: str
    name: str
    account: str  # the service account of its pods
    fate: str  # RESTARTED, WAITED or LEFT
    reason: str = ""  # why it is left
    mark: str = ""
    seconds: int = 0  # how long it is waited for
    down: int = 0  # pods that its update takes down at a time
    labels: t.Mapping[str, str] = {}  # of its pods

    @property
    def label(self) -> str:
        """Its name for messages."""
        return f"{self.kind} {self.namespace}/{self.name}"


class Found(t.NamedTuple):
    """What the cluster runs: living and ended pods, every controller of pods, and names of Secrets with a service account's token."""

    pods: t.Sequence[Object]
    controllers: t.Sequence[Object]  # Deployments, StatefulSets, DaemonSets, ReplicaSets
    token_secrets: t.Collection[tuple[str, str]] = ()  # (namespace, name)


def concerned(found: Found, since: float = 0.0, reloads: bool = True, reloaded: t.Collection[str] = ()) -> list[Workload]:
    """Return the workloads whose living pods trust the cluster's root CA: kube-system's first, each once.

    :param since: what is left is not told of if all its pods have started later, in seconds since the epoch; 0.0 tells of all.
    :param reloads: whether a workload that says it reloads is waited for instead of restarted.
    :param reloaded: programs (PROGRAMS) that have been seen to have read the CA again, so that no time need pass.
    """
    known = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found.controllers}
    pods_of: dict[tuple[str, str, str], list[Object]] = {}
    for pod in found.pods:
        if pod["status"].get("phase") in ("Succeeded", "Failed") or _is_component(pod) or not _mounts(pod, found.token_secrets):
            continue
        kind, name = ("Pod", "") if _is_static(pod) else _owner(pod)
        if kind == "ReplicaSet":
            kind, name = _owner(known.get((kind, pod["metadata"]["namespace"], name), {"metadata": {}}), (kind, name))
        pods_of.setdefault((kind, pod["metadata"]["namespace"], name or pod["metadata"]["name"]), []).append(pod)
    told = []
    for key, pods in pods_of.items():
        one = _workload(key, known.get(key), pods, found.token_secrets, reloads)
        if one.fate == WAITED and set() < _programs(pods) <= set(reloaded):
            one = one._replace(seconds=0)
        if one.fate != LEFT or not since or any(_started(pod) <= since for pod in pods):
            told.append(one)
    return sorted(told, key=lambda one: (one.namespace != FIRST_NAMESPACE, one.namespace, one.kind, one.name))


def _workload(key: tuple[str, str, str], content: Object | None, pods: t.Sequence[Object], secrets: t.Collection[tuple[str, str]],
              reloads: bool) -> Workload:
    kind, namespace, name = key
    account = f"{namespace}/{pods[0]['spec'].get('serviceAccountName') or 'default'}"
    fixed = any(follows_never for pod in pods for follows_never in _mounts(pod, secrets).values())
    if kind in ROLLING and content is not None:
        reason = _left(content)
    else:
        alone = "is a static pod of its node" if _is_static(pods[0]) else "is a bare pod"
        reason = alone if kind == "Pod" else f"belongs to a {kind}, which replaces no running pod"
    if reason or content is None:
        never = ", and has the CA in a way that never follows (subPath, a file of its node, or environment)" if fixed else ""
        return Workload(*key, account, LEFT, f"{reason}{never}")
    annotations = content["metadata"].get("annotations") or {}
    said = annotations.get(RELOADS)
    seconds = int(parse_duration(said, f"{kind} {namespace}/{name}", f"annotation {RELOADS}").total_seconds()) if said else (
        _known_to_reload(pods))
    if reloads and seconds and not fixed:
        return Workload(*key, account, WAITED, mark=annotations.get(MARK, ""), seconds=seconds)
    template = content["spec"]["template"]["metadata"].get("annotations") or {}
    return Workload(*key, account, RESTARTED, mark=template.get(MARK, ""), down=taken_down(kind, content),
                    labels=pods[0]["metadata"].get("labels") or {})


def _known_to_reload(pods: t.Iterable[Object]) -> int:
    """Return how many seconds all programs of the pods may take to read a changed file; 0 where one is not known to do it at all."""
    longest = 0
    for image in {container.get("image") or "" for pod in pods for container in pod["spec"].get("containers") or []}:
        found = _IMAGE.match(image)
        program = PROGRAMS.get(found[1]) if found else None
        if not found or not program or (int(found[2]), int(found[3])) < program.live_since:
            return 0
        longest = max(longest, program.seconds)
    return longest


def _programs(pods: t.Iterable[Object]) -> set[str]:
    """Return what the pods run, by the names of PROGRAMS; anything else as its whole image."""
    images = {container.get("image") or "" for pod in pods for container in pod["spec"].get("containers") or []}
    return {found[1] if found else image for image, found in ((image, _IMAGE.match(image)) for image in images)}


def _left(content: Object) -> str:
    """Say why nothing restarts the workload; empty where something does."""
    strategy = content["spec"].get("updateStrategy") or {}
    if (content["metadata"].get("annotations") or {}).get(OPT_OUT) == "never":
        return f"is annotated {OPT_OUT}: never"
    if content["spec"].get("paused"):
        return "is paused"
    if strategy.get("type") == "OnDelete":
        return "its update strategy is OnDelete"
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    return f"its update leaves pods below ordinal {partition} alone (partition)" if partition else ""


def _owner(content: Object, otherwise: tuple[str, str] = ("Pod", "")) -> tuple[str, str]:
    owners = [one for one in content["metadata"].get("ownerReferences") or [] if one.get("controller")]
    return (owners[0]["kind"], owners[0]["name"]) if owners else otherwise


def _is_static(pod: Object) -> bool:
    return _owner(pod)[0] == "Node"


def _is_component(pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return _is_static(pod) and labels.get("tier") == "control-plane" and labels.get("component") in COMPONENTS


def _started(pod: Object) -> float:
    text = pod["status"].get("startTime") or pod["metadata"].get("creationTimestamp") or ""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0


def _mounts(pod: Object, secrets: t.Collection[tuple[str, str]]) -> dict[str, bool]:
    """Return where the pod has the CA from (volume's or variable's name) → whether that never follows a change."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    containers = [one for kind in ("containers", "initContainers", "ephemeralContainers") for one in spec.get(kind) or []]
    fixed = {mount["name"] for one in containers for mount in one.get("volumeMounts") or []
             if mount.get("subPath") or mount.get("subPathExpr")}
    # A file that is mounted by itself stays what it was when the pod started: every writer replaces files.
    fixed |= {volume["name"] for volume in spec.get("volumes") or [] if "." in _of_host(volume).rpartition("/")[2]}
    found = {volume["name"]: volume["name"] in fixed for volume in spec.get("volumes") or [] if _holds_ca(volume, namespace, secrets)}
    for one in containers:
        named = [(variable.get("valueFrom") or {}).get("configMapKeyRef") or {} for variable in one.get("env") or []]
        named += [source.get("configMapRef") or {} for source in one.get("envFrom") or []]
        found.update({f"env {one['name']}": True for source in named if source.get("name") == ROOT_CA})
    return found


def _of_host(volume: Object) -> str:
    """Return which directory or file of the node's PKI the volume is; empty where it is none."""
    path = (volume.get("hostPath") or {}).get("path") or ""
    return path.rstrip("/") if f"{path}/".startswith(f"{HOST_DIRECTORY}/") else ""


def _holds_ca(volume: Object, namespace: str, secrets: t.Collection[tuple[str, str]]) -> bool:
    if _of_host(volume):
        return True
    sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    return any((source.get("configMap") or {}).get("name") == ROOT_CA
               or (source.get("clusterTrustBundle") or {}).get("signerName") == SERVING_SIGNER
               or (namespace, (source.get("secret") or {}).get("secretName") or (source.get("secret") or {}).get("name")) in secrets
               for source in sources)
