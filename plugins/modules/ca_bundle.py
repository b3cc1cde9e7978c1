#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ca_bundle
short_description: Keep trust bundles by fingerprint, in files, kubeconfigs and Kubernetes objects
version_added: 0.1.0
description:
  - This module keeps any number of trust bundles in one call. A bundle is a PEM file, the inline CA data of a kubeconfig,
    or a field of a Kubernetes object.
  - Certificates are compared by their SHA-256 fingerprint. The order is kept as given, so give the generation that signs first.
    Some clients read only the first certificate.
  - A bundle is written in normal form. Every certificate ends with one newline, a certificate that is there twice is written once,
    and text around the certificates is dropped. It is read again after writing and compared by number and fingerprints.
  - The whole batch is read and checked before the first bundle is written. A bundle is refused when it would be empty,
    when it would hold a certificate that is no CA, or when it would hold two keys under one subject without distinct
    subject key identifiers, because OpenSSL then uses only the first of them.
    A bundle that holds anything but certificates, such as a private key, is refused as it is.
  - With O(bundles[].format=public-keys) a file holds public keys in place of certificates, and nothing else.
  - A file keeps its modification time when only its order or its text changes and its certificates do not.
    A process that is older than a file it reads only once can therefore be recognised by the two times.
  - The Python library C(cryptography) is not needed. PyYAML is needed only for kubeconfigs that are not JSON.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  bundles:
    description:
      - The bundles to keep.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of this item in results and messages. It must be unique in the batch.
        type: str
        required: true
      path:
        description:
          - The absolute path of the bundle file. It must not be a symbolic link.
          - Exactly one of O(bundles[].path), O(bundles[].kubeconfig_path) and O(bundles[].object) must be given.
        type: path
      format:
        description:
          - What the file O(bundles[].path) holds. V(public-keys) is for C(--service-account-key-file) of the API server.
        type: str
        choices: [pem, public-keys]
        default: pem
      kubeconfig_path:
        description:
          - The absolute path of a kubeconfig whose inline CA data (C(certificate-authority-data)) is the bundle.
          - Exactly one of O(bundles[].path), O(bundles[].kubeconfig_path) and O(bundles[].object) must be given.
        type: path
      cluster:
        description:
          - The name of the one cluster of the kubeconfig to change, in a file or in an object with O(bundles[].object.format=kubeconfig).
          - When it is not given, every cluster with inline CA data is changed. Clusters that name a CA file are left alone.
        type: str
      object:
        description:
          - The field of a Kubernetes object that holds the bundle. It is read and written through O(kubectl).
          - A write is refused by the API server when the object changed meanwhile. It is then read and decided again, at most five times.
          - Exactly one of O(bundles[].path), O(bundles[].kubeconfig_path) and O(bundles[].object) must be given.
        type: dict
        suboptions:
          kind:
            description:
              - The kind, as C(kubectl get) takes it.
            type: str
            required: true
          name:
            description:
              - The name of the object.
            type: str
            required: true
          namespace:
            description:
              - The namespace. Not needed for objects without one.
            type: str
            default: ""
          field:
            description:
              - The path of the field, with names joined by dots, positions in brackets,
                and names that contain dots quoted in brackets.
              - For example V(data["ca.crt"]) or V(webhooks[0].clientConfig.caBundle).
              - A field that is absent is made when the mapping that shall hold it is there.
            type: str
            required: true
          format:
            description:
              - How the field holds the certificates.
              - With V(base64), as base64 of PEM, as every C(caBundle) does.
              - With V(kubeconfig), as the inline CA data of a kubeconfig, as the ConfigMap C(cluster-info) does.
            type: str
            choices: [pem, base64, kubeconfig]
            default: pem
      state:
        description:
          - With V(present), the bundle begins with the given certificates in the given order, and others stay behind them.
          - With V(exact), the bundle holds the given certificates in the given order and no others.
          - With V(absent), the bundle does not hold the given certificates and fingerprints. A bundle is never emptied.
        type: str
        choices: [present, absent, exact]
        default: present
      certificates:
        description:
          - The certificates, or public keys, as PEM. An element may hold several.
        type: list
        elements: str
        default: []
      certificate_paths:
        description:
          - Absolute paths of PEM files on the host. Their certificates come after those of O(bundles[].certificates).
        type: list
        elements: path
        default: []
      fingerprints:
        description:
          - The SHA-256 fingerprints of certificates to remove, in hexadecimal digits, with or without colons.
          - They are for O(bundles[].state=absent) only.
        type: list
        elements: str
        default: []
      missing:
        description:
          - What to do when the object, or the kubeconfig, does not exist. A bundle file that does not exist is made.
        type: str
        choices: [error, skip]
        default: error
      owner:
        description:
          - The owner of the file.
        type: str
      group:
        description:
          - The group of the file.
        type: str
      mode:
        description:
          - The mode of the file, four octal digits in quotes.
          - When it is not given, a bundle file has V(0644) and a kubeconfig has V(0600).
        type: str
  kubectl:
    description:
      - The kubectl command to reach objects with. Needed on the host only for O(bundles[].object).
    type: str
    default: kubectl
  kubeconfig:
    description:
      - The path of the kubeconfig to reach objects with. When it is not given, kubectl chooses.
    type: path
  request_timeout:
    description:
      - How long one request of kubectl may take, in seconds.
    type: int
    default: 10
seealso:
  - module: rekey.kubernetes.kubeconfig
  - module: rekey.kubernetes.pki_ca
"""

EXAMPLES = r"""
- name: Trust the new generation beside the old one
  rekey.kubernetes.ca_bundle:
    bundles:
      - name: kubernetes
        path: /var/lib/kubernetes/ca.crt
        certificates:
          - "{{ old_generation_pem }}"
          - "{{ new_generation_pem }}"
        state: exact

- name: Remove a generation from a file, a kubeconfig and two objects
  rekey.kubernetes.ca_bundle:
    kubeconfig: /etc/kubernetes/admin.conf
    bundles:
      - name: etcd
        path: /etc/etcd/ca.crt
        state: absent
        fingerprints: "{{ old_fingerprints }}"
      - name: kubelet
        kubeconfig_path: /var/lib/kubelet/kubeconfig
        state: absent
        fingerprints: "{{ old_fingerprints }}"
      - name: cluster-info
        object:
          kind: configmap
          namespace: kube-public
          name: cluster-info
          field: data.kubeconfig
          format: kubeconfig
        missing: skip
        state: absent
        fingerprints: "{{ old_fingerprints }}"
      - name: metrics
        object:
          kind: apiservice
          name: v1beta1.metrics.k8s.io
          field: spec.caBundle
          format: base64
        state: absent
        fingerprints: "{{ old_fingerprints }}"
"""

RETURN = r"""
results:
  description: What became of every bundle, in the order of O(bundles).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the item.
      type: str
      sample: kubernetes
    target:
      description: The file, or the object and its field.
      type: str
      sample: /var/lib/kubernetes/ca.crt
    changed:
      description: Whether it was changed, or would be in check mode.
      type: bool
    trust_changed:
      description: Whether a process that loaded the bundle before trusts other certificates than one that loads it now.
      type: bool
    skipped:
      description: Whether there is no such object or kubeconfig, with O(bundles[].missing=skip).
      type: bool
    reasons:
      description: Why it was changed.
      type: list
      elements: str
      sample: ["adds kubernetes-ca@20261122T170000Z sha256:0123456789ab"]
    fingerprints_before:
      description: The SHA-256 fingerprints that were found, in their order.
      type: list
      elements: str
    fingerprints_after:
      description: The SHA-256 fingerprints that it holds now, in their order.
      type: list
      elements: str
    subjects:
      description: The subjects of the certificates that it holds now, in their order.
      type: list
      elements: str
      sample: ["CN=kubernetes-ca@20261122T170000Z"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import bundles
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "bundles": {"type": "list", "elements": "dict", "required": True, "options": bundles.item_spec()},
        "kubectl": {"type": "str", "default": "kubectl"},
        "kubeconfig": {"type": "path"},
        "request_timeout": {"type": "int", "default": 10},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    kubectl = Kubectl(runner(module), module.params["kubectl"], module.params["kubeconfig"] or "", module.params["request_timeout"])
    objects = bundles.Objects(kubectl)
    try:
        plans = [bundles.plan(item, objects, module.check_mode) for item in bundles.items(module.params["bundles"])]
        if not module.check_mode:
            bundles.apply(plans, objects)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=any(planned.changed for planned in plans),
        results=[bundles.result(planned) for planned in plans],
        diff=[bundles.diff(planned) for planned in plans if planned.changed],
    )


if __name__ == "__main__":
    main()
