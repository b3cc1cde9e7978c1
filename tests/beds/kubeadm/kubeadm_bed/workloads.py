# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sample workloads: what a cluster has that must outlive a rotation. Clients of the API in pods, a webhook, an aggregated API, a person."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import yaml

from kubeadm_bed import certificates, images, node_binaries, nodes
from kubeadm_bed.certificates import Pair
from kubeadm_bed.cluster import kubectl
from kubeadm_bed.nodes import TEMPLATES, Bed
from kubeadm_bed.topology import Node
from loopback_bed.progress import Progress

NAMESPACE = "rekey-bed"
EVERYWHERE = "client-everywhere"  # the DaemonSet with a pod on every node
COUNTS = "/var/lib/rekey-bed"  # on each node: one file a pod, also of pods that are gone
PEOPLE = "bed:people"
GROUP = "bed.rekey.invalid"
TARGET = f"/api/v1/namespaces/{NAMESPACE}/configmaps/target"
VALIDATED = f"{GROUP}/validated"  # the label by which the webhook is asked
WARNING = "seen by the bed's webhook"
WEBHOOK, APISERVER = "webhook", "apiserver"
AVAILABLE_SECONDS = 180
_ROLLOUTS = ("deployment/client", "statefulset/client-set", f"daemonset/{EVERYWHERE}", f"deployment/{WEBHOOK}", f"deployment/{APISERVER}")


def deploy(bed: Bed, cache: Path, progress: Progress) -> None:
    """Deploy all of them and wait until they are available; may be called again.

    :raises BedError: when one of them cannot be had in time.
    """
    first = nodes.nodes_of(bed)[0]
    progress.say("Sample workloads")
    image, archive = images.workload_image(node_binaries.workload(cache, progress), cache)
    nodes.keep_image(bed, archive)
    text = TEMPLATES.get_template("workloads.yaml.j2").render(
        image=image, namespace=NAMESPACE, counts_path=COUNTS, people=PEOPLE, servers=(WEBHOOK, APISERVER))
    _apply(first, text)
    webhook = renew_webhook(bed)
    own = certificates.serving_by_own(bed.workloads, _service(APISERVER))
    _put_certificate(first, APISERVER, own)
    for one in _ROLLOUTS:
        kubectl(first, "-n", NAMESPACE, "rollout", "status", one, f"--timeout={AVAILABLE_SECONDS}s")
    kubectl(first, "-n", NAMESPACE, "wait", "--for=condition=Ready", "pod/straggler", f"--timeout={AVAILABLE_SECONDS}s")
    _apply(first, TEMPLATES.get_template("registrations.yaml.j2").render(
        namespace=NAMESPACE, webhook_authority=_encoded(webhook.authority), apiserver_authority=_encoded(own.authority)))
    kubectl(first, "wait", "--for=condition=Available", f"apiservice/v1.{GROUP}", f"--timeout={AVAILABLE_SECONDS}s")
    _person(bed, first)
    progress.say("  all available")


def renew_webhook(bed: Bed) -> Pair:
    """Give the webhook a certificate of the authority that signs on the first control plane now, and return it.

    Its servers take it within two minutes, when the kubelets have brought their volumes up to date. What API servers trust stays as it is.
    """
    first = nodes.nodes_of(bed)[0]
    pair = certificates.serving_by_cluster(bed.workloads, first, _service(WEBHOOK))
    _put_certificate(first, WEBHOOK, pair)
    return pair


def _service(name: str) -> str:
    return f"{name}.{NAMESPACE}.svc"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _apply(first: Node, text: str) -> None:
    kubectl(first, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text.encode())


def _put_certificate(first: Node, name: str, pair: Pair) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": f"{name}-certificate",
              "namespace": NAMESPACE}, "data": {"tls.crt": _encoded(pair.certificate), "tls.key": _encoded(pair.key)}}
    _apply(first, json.dumps(secret))


def _person(bed: Bed, first: Node) -> None:
    """Give a person a certificate by the API, approved as an administrator does, and write her kubeconfig."""
    asked = certificates.request(bed.workloads, "person", f"/O={PEOPLE}/CN=person")
    kubectl(first, "delete", "csr", "person", "--ignore-not-found")
    wanted = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "person"},
              "spec": {"request": base64.b64encode(asked).decode(), "signerName": "kubernetes.io/kube-apiserver-client",
                       "usages": ["client auth"]}}
    kubectl(first, "create", "-f", "-", stdin=json.dumps(wanted).encode())
    kubectl(first, "certificate", "approve", "person")
    kubectl(first, "wait", "--for=jsonpath={.status.certificate}", "csr/person", f"--timeout={AVAILABLE_SECONDS}s")
    signed = kubectl(first, "get", "csr", "person", "-o", "jsonpath={.status.certificate}")
    admin = yaml.safe_load(kubectl(first, "config", "view", "--raw", "--minify", "--flatten"))
    key = (bed.workloads / "person.key").read_text(encoding="utf-8")
    admin["users"] = [{"name": "person", "user": {"client-certificate-data": signed, "client-key-data": _encoded(key)}}]
    admin["contexts"] = [{"name": "person", "context": {"cluster": admin["clusters"][0]["name"], "user": "person"}}]
    admin["current-context"] = "person"
    bed.person.unlink(missing_ok=True)
    with open(os.open(bed.person, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(admin, file)
