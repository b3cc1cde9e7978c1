#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_objects
short_description: Carry the cluster's authorities through a rotation in its objects, and prove what they hold
version_added: 0.1.0
description:
  - Webhook configurations, APIServices, conversions of CustomResourceDefinitions and ClusterTrustBundles may hold a certificate of a
    cluster's authority. Wherever one holds a generation that is rotated, this module adds the new one and, at the end, removes the old
    one. Everything else in the bundle is its owner's and stays.
  - The old generation stays in a C(caBundle) whose server still shows a certificate of it, or cannot be asked. That server is told of as
    a straggler. Once its owner has replaced the certificate, the next call removes the old generation. Every endpoint of the service is
    asked, or the host of the URL.
  - It also tells of certificates of the old generation that the certificates API has handed out to clients and that have not expired, as
    far as their requests are still kept, and of what the ConfigMap C(kubeadm-config) says against the layout.
  - The Secret C(kubeadm-certs) holds the control plane's keys, encrypted, for joining control planes. One that was uploaded before
    O(uploaded_before) hands out old keys and is deleted. What is in it is not read.
  - Then it waits until O(expect) is seen in the cluster's objects, together with what it has made of those above. Where O(expect) asks
    which generation signs, it creates a CertificateSigningRequest for a client without rights, approves it, and waits until it is signed.
    The request is deleted again, and its key never leaves the memory of the module.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
  - rekey.kubernetes._kubectl
attributes:
  check_mode:
    support: full
    details: In check mode nothing is waited for, and nobody is asked to sign.
  diff_mode:
    support: full
    details: The diff shows subjects and fingerprints of the certificates, before and after.
options:
  rotation:
    description:
      - Authority to its C(old) and its C(new) generation, as M(rekey.kubernetes.pki_plan) returns it. Without it nothing is carried and
        nobody is told of.
    type: dict
    default: {}
  trusts:
    description:
      - Which generations the bundles hold from now on. V([old, new]) adds the new one, V([new]) adds it and removes the old one.
      - With V([]) nothing is changed, and the module only tells of stragglers.
    type: list
    elements: str
    choices: [new, old]
    default: []
  uploaded_before:
    description:
      - The Secret C(kubeadm-certs) is deleted if it was last written before this moment, in seconds since the epoch.
    type: float
    default: 0.0
  certificates_dir:
    description:
      - Where the layout keeps the PKI. What C(kubeadm-config) says is compared with it.
    type: path
    default: /etc/kubernetes/pki
  expect:
    description:
      - What must be seen, as M(rekey.kubernetes.pki_plan) returns it for the cluster's objects.
    type: list
    elements: dict
    default: []
  quiet_since:
    description:
      - When set, the logs of all pods in C(kube-system) are looked through from this moment on, once everything else is as expected. A line
        about a server's certificate that is not trusted (C(x509)) fails the module. Lines about clients that a server refuses do not.
      - In seconds since the epoch.
    type: float
    default: 0.0
  timeout:
    description:
      - How long to wait for what is expected, in seconds.
    type: int
    default: 180
seealso:
  - module: rekey.kubernetes.ca_bundle
  - module: rekey.kubernetes.pki_cluster_info
  - module: rekey.kubernetes.pki_workloads
"""

EXAMPLES = r"""
- name: Tell who would be hurt
  rekey.kubernetes.pki_objects:
    kubeconfig: /etc/kubernetes/admin.conf
    generations: "{{ pki_generations }}"
    rotation: "{{ plan.rotation }}"

- name: Have webhooks and APIServices trust both generations
  rekey.kubernetes.pki_objects:
    kubeconfig: /etc/kubernetes/admin.conf
    generations: "{{ pki_generations }}"
    rotation: "{{ plan.rotation }}"
    trusts: [old, new]
"""

RETURN = r"""
results:
  description: The bundles that were changed, or would be, as M(rekey.kubernetes.ca_bundle) tells of them, and the Secret that was deleted.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: The object and its field.
      type: str
      sample: apiservice v1beta1.metrics.k8s.io spec.caBundle
    changed:
      description: Always true.
      type: bool
    reasons:
      description: What was changed.
      type: list
      elements: str
stragglers:
  description: Who would be hurt when the old generation goes. Where O(trusts=[new]), whose old generation was kept.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(server), V(certificate) or V(configuration).
      type: str
    name:
      description: The object.
      type: str
      sample: validatingwebhookconfiguration policy webhooks[0].clientConfig.caBundle
    owner:
      description: Who can do something about it, for example the service behind a webhook, or the user who asked for a certificate.
      type: str
      sample: service policy/webhook:443
    reason:
      description: Why it would be hurt.
      type: str
    remedy:
      description: What to do about it.
      type: str
    text:
      description: All of it in one sentence.
      type: str
signed_by:
  description: The generation that signed, empty for a foreign one.
  returned: when O(expect) asks which one signs
  type: str
  sample: kubernetes/20261122T170000Z
signatures:
  description: Bootstrap token's id to whether it has signed what C(cluster-info) holds.
  returned: when O(expect) asks for it
  type: dict
  sample: {abcdef: true}
objects:
  description: Kind of object to place to the generations that it holds there, as M(rekey.kubernetes.pki_cluster_info) tells it.
  returned: when O(expect) or O(rotation) asks for them, but not in check mode
  type: dict
nodes:
  description: Names of the cluster's nodes.
  returned: when O(expect) asks for them
  type: list
  elements: str
renewed:
  description: Node to whether its kubelet has renewed its lease since the first look.
  returned: when O(expect) asks for it
  type: dict
  sample: {worker-1: true}
logs_unread:
  description: What could not be looked through for O(quiet_since), as kubectl says it.
  returned: when O(quiet_since) is set
  type: list
  elements: str
waited_seconds:
  description: Seconds from the first look that did not show all that is expected to the one that did.
  returned: success
  type: float
unmet:
  description: What of O(expect) was not seen.
  returned: always
  type: list
  elements: str
"""

import datetime
import json
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils import _bundle, _kubeconfig
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import objects as table
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import bundles, objects, options, prove_objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.prove import Proof
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.servers import Servers
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import carry, stragglers
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import certificate_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations

UPLOADED = ("secret", "kubeadm-certs", "kube-system")
OWNERS = [row for row in table.OBJECTS if row.keeper == table.OWNER]


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "generations": {"type": "dict", "default": {}},
        "rotation": {"type": "dict", "default": {}},
        "trusts": {"type": "list", "elements": "str", "choices": ["new", "old"], "default": []},
        "uploaded_before": {"type": "float", "default": 0.0},
        "certificates_dir": {"type": "path", "default": "/etc/kubernetes/pki"},
        "expect": {"type": "list", "elements": "dict", "default": []},
        "quiet_since": {"type": "float", "default": 0.0},
        "timeout": {"type": "int", "default": 180},
    }


class Carrier:
    """One call: what it was asked for, and the cluster that it asks."""

    def __init__(self, module: AnsibleModule) -> None:
        self.params, self._check = module.params, module.check_mode
        self._kubectl = Kubectl(runner(module), module.params["kubectl"], module.params["kubeconfig"])
        self._generations = Generations(module.params["generations"])
        self._servers = Servers(self._kubectl, runner(module), self._generations)
        self.results: list[dict[str, t.Any]] = []
        self.diffs: list[dict[str, str]] = []

    def places(self) -> list[carry.Place]:
        """Return the places that are concerned, each with its server."""
        if not self.params["rotation"]:
            return []
        found = [carry.Place(one.field, tuple(one.generations), None) for one in objects.read(self._kubectl, self._generations, OWNERS)]
        return [place._replace(server=self._servers.behind(place.field.client))
                for place in carry.concerned(found, self.params["rotation"])]

    def change(self, places: t.Sequence[carry.Place]) -> None:
        """Add the new generations, then remove the old ones that can go."""
        rotation, trusts = self.params["rotation"], self.params["trusts"]
        if "new" in trusts:
            self._write(_bundle.PRESENT, [(place, carry.added(place, rotation)) for place in places])
        if trusts and "old" not in trusts:
            self._write(_bundle.ABSENT, [(place, carry.removed(place, rotation)) for place in places])
            self._forget_uploaded()

    def _write(self, state: str, wanted: t.Iterable[tuple[carry.Place, list[str]]]) -> None:
        asked = [{"name": f"{place.field.kind} {place.field.name} {place.field.field}", "state": state,
                  "object": {"kind": place.field.kind, "name": place.field.name, "namespace": place.field.namespace,
                             "field": place.field.field, "format": table.ROW[place.field.row].encoding},
                  "certificates": [self.params["generations"][name] for name in names]} for place, names in wanted if names]
        found = bundles.Objects(self._kubectl)
        plans = [bundles.plan(item, found) for item in bundles.items(options.checked("bundles", bundles.item_spec(), asked))]
        if not self._check:
            bundles.apply(plans, found)
        self.results += [bundles.result(plan) for plan in plans if plan.changed]
        self.diffs += [bundles.diff(plan) for plan in plans if plan.changed]

    def _forget_uploaded(self) -> None:
        kind, name, namespace = UPLOADED
        place = [kind, name, f"--namespace={namespace}", "--ignore-not-found"]
        answer = self._kubectl.text(["get", *place, "--show-managed-fields", "-o", "jsonpath={.metadata}"])
        metadata = json.loads(answer) if answer.strip() else {}
        written = [metadata["creationTimestamp"], *(one.get("time") for one in metadata.get("managedFields") or [])] if metadata else []
        if not written or max(map(_seconds, filter(None, written))) >= self.params["uploaded_before"]:
            return
        if not self._check:
            self._kubectl.text(["delete", *place])
        self.results.append({"name": name, "target": f"{kind} {namespace}/{name}", "changed": True,
                             "reasons": ["was uploaded before the rotation's end: it hands old keys to a joining control plane"]})

    def told(self, places: t.Sequence[carry.Place]) -> list[dict[str, str]]:
        """Return who would be hurt, as the table of stragglers tells it."""
        rotation = self.params["rotation"]
        if not rotation:
            return []
        old = {both["old"] for both in rotation.values()}
        found = [*carry.stragglers(places, rotation), *stragglers.certificates(self._issued(), old), *self._configuration()]
        return [one.told() for one in found]

    def proved(self, places: t.Sequence[carry.Place]) -> Proof:
        """Wait until the objects are as expected, those above as they were carried."""
        params = self.params
        expect = [*params["expect"], *(carry.gate(places, params["rotation"], params["trusts"]) if params["trusts"] else [])]
        if self._check or not expect:
            return Proof([], {}, 0.0)
        return prove_objects.until_held(self._kubectl, self._generations, expect, params["timeout"])

    def complaints(self) -> tuple[list[str], dict[str, t.Any]]:
        """Return who complains in the logs, where they are to be looked through, and what is told of the look."""
        since = self.params["quiet_since"]
        return prove_objects.quiet(self._kubectl, since) if since and not self._check else ([], {})

    def _issued(self) -> t.Iterator[stragglers.Issued]:
        now = datetime.datetime.now(datetime.timezone.utc)
        for name, user, certificate in objects.issued(self._kubectl):
            facts = certificate_facts(certificate, now)
            subject = facts["subject"]
            yield stragglers.Issued(name, user, subject, self._generations.of_leaf(certificate), facts["not_after"],
                                    facts["remaining_days"] < 0)

    def _configuration(self) -> list[stragglers.Straggler]:
        found = self._kubectl.get("configmap", "kubeadm-config", "kube-system") or {}
        text = (found.get("data") or {}).get("ClusterConfiguration", "")
        return stragglers.configuration(_kubeconfig.load(text, "kubeadm-config"), self.params["certificates_dir"]) if text else []


def _seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        carrier = Carrier(module)
        places = carrier.places()
        carrier.change(places)
        told = carrier.told(places)
        unmet, seen, waited = carrier.proved(places)
        complain, looked = carrier.complaints() if not unmet else ([], {})
    except PkiError as exc:
        module.fail_json(msg=str(exc), unmet=[])
    did = {"changed": bool(carrier.results), "results": carrier.results, "stragglers": told, **seen, **looked}
    if unmet:
        module.fail_json(msg=f"not proved within {module.params['timeout']} s: " + "; ".join(unmet), unmet=unmet, **did)
    if complain:
        remedy = "restart what does not trust the new generation, then run again"
        module.fail_json(msg="; ".join(complain) + f" ({remedy})", unmet=complain, **did)
    module.exit_json(diff=carrier.diffs, waited_seconds=round(waited, 2), unmet=[], **did)


if __name__ == "__main__":
    main()
