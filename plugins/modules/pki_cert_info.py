#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_cert_info
short_description: Tell the facts of certificates, trust bundles and kubeconfigs
version_added: 0.1.0
description:
  - This module tells the facts of any number of certificates, trust bundles and kubeconfigs in one call. It tells what they say, how long
    they are valid, whether their keys match, and which of the given authorities issued them.
  - A missing file is a fact, and so is a broken or unreadable one. Neither makes the module fail.
    Only a wrong option does, such as one of O(authorities) that is no certificate.
  - Nothing of a private key is returned but whether it matches.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
requirements:
  - PyYAML, for kubeconfigs that are not JSON
attributes:
  check_mode:
    support: full
    details: This module changes nothing.
  diff_mode:
    support: N/A
    details: This module changes nothing.
options:
  certificates:
    description:
      - Certificate files. Each is a path, or a dictionary with C(path) and C(key_path), the private key that should match.
      - The first certificate of a file is the leaf. Further ones are its chain.
    type: list
    elements: raw
    default: []
  bundles:
    description:
      - Trust bundles.
    type: list
    elements: path
    default: []
  kubeconfigs:
    description:
      - Kubeconfigs. Paths in them are relative to their own directory, and inline data wins over a path, as for every Kubernetes client.
    type: list
    elements: path
    default: []
  authorities:
    description:
      - CA certificates that may have issued what is looked at. Each is a path or PEM text, and may hold several certificates.
      - Where several issued a certificate, since they have the same name and key, the first of them is named.
    type: list
    elements: str
    default: []
seealso:
  - module: rekey.kubernetes.pki_cert
  - module: rekey.kubernetes.kubeconfig
  - module: rekey.kubernetes.ca_bundle
"""

EXAMPLES = r"""
- name: Look at a control plane's certificates
  rekey.kubernetes.pki_cert_info:
    certificates:
      - path: /var/lib/kubernetes/kube-api-server.crt
        key_path: /var/lib/kubernetes/kube-api-server.key
      - /var/lib/kubernetes/signing-ca.crt
    bundles:
      - /var/lib/kubernetes/ca.crt
    kubeconfigs:
      - /var/lib/kubernetes/admin.kubeconfig
    authorities:
      - /var/lib/kubernetes/ca.crt
  register: pki

- name: Check that the API server's certificate is in order
  ansible.builtin.assert:
    that:
      - pki.certificates[0].key_matches
      - pki.certificates[0].certificate.issued_by is not none
      - pki.certificates[0].certificate.remaining_days > 30
"""

RETURN = r"""
certificates:
  description: One result for each of O(certificates), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file.
      type: str
    exists:
      description: Whether there is such a file. Null where a directory above it may not be searched.
      type: bool
    error:
      description: Why the file cannot be read or understood, null where it can or where there is none.
      type: str
    mode:
      description: Mode of the file, null where there is none.
      type: str
      sample: "0644"
    mtime:
      description: When the file was last modified, in seconds since the epoch. Null where there is none.
      type: float
    certificate:
      description: Facts of the first certificate, null where there is none.
      type: dict
      contains:
        subject:
          description: Subject as RFC 4514 writes it.
          type: str
          sample: CN=kubernetes-admin,O=system:masters
        common_name:
          description: First common name of the subject.
          type: str
        organizations:
          description: Organizations of the subject, the groups of a client.
          type: list
          elements: str
        issuer:
          description: Subject of the issuer.
          type: str
        issued_by:
          description: SHA-256 of the first of O(authorities) that issued it, null where none did.
          type: str
        serial_number:
          description: Serial number as a decimal string.
          type: str
        not_before:
          description: Start of its validity, ISO 8601 in UTC.
          type: str
          sample: "2026-11-22T17:00:00Z"
        not_after:
          description: End of its validity, ISO 8601 in UTC.
          type: str
          sample: "2027-11-22T17:00:00Z"
        remaining_days:
          description: Whole days of validity left, negative once it has expired.
          type: int
        sans:
          description: Subject alternative names in the lists C(dns), C(ip) and C(uri).
          type: dict
        usages:
          description: Extended key usages, V(server_auth), V(client_auth) or an OID.
          type: list
          elements: str
        is_ca:
          description: Whether it is a CA certificate.
          type: bool
        fingerprint_sha256:
          description: SHA-256 of the certificate.
          type: str
        key_type:
          description: Kind of its key.
          type: str
          sample: ecdsa-p256
        subject_key_id:
          description: Subject key identifier in hexadecimal digits, empty where there is none.
          type: str
        authority_key_id:
          description: Authority key identifier in hexadecimal digits, empty where there is none.
          type: str
        public_key_sha256:
          description: SHA-256 of its SubjectPublicKeyInfo.
          type: str
    chain:
      description: Facts of the further certificates of the file, as RV(certificates[].certificate).
      type: list
      elements: dict
    key_path:
      description: Path of the private key, null where none was given.
      type: str
    key_exists:
      description: Whether there is a key, null where none was given.
      type: bool
    key_mode:
      description: Mode of the key, null where there is none.
      type: str
      sample: "0600"
    key_matches:
      description: Whether key and certificate match. Null where either is missing, broken or not asked for.
      type: bool
    key_error:
      description: Why the key cannot be read or understood, null where it can or where there is none.
      type: str
bundles:
  description: One result for each of O(bundles), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file.
      type: str
    exists:
      description: Whether there is such a file, as RV(certificates[].exists).
      type: bool
    error:
      description: Why the file cannot be read or understood. Also says so where it holds anything but certificates.
      type: str
    mode:
      description: Mode of the file.
      type: str
    mtime:
      description: When the file was last modified, in seconds since the epoch.
      type: float
    certificates:
      description: Facts of its certificates in their order, as RV(certificates[].certificate).
      type: list
      elements: dict
kubeconfigs:
  description: One result for each of O(kubeconfigs), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file.
      type: str
    exists:
      description: Whether there is such a file, as RV(certificates[].exists).
      type: bool
    error:
      description: Why the file cannot be read or understood.
      type: str
    mode:
      description: Mode of the file.
      type: str
    mtime:
      description: When the file was last modified, in seconds since the epoch.
      type: float
    current_context:
      description: Name of the current context, null where there is none.
      type: str
    contexts:
      description: Contexts with C(name), C(cluster), C(user) and C(namespace).
      type: list
      elements: dict
    clusters:
      description: Clusters in their order.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the cluster.
          type: str
        server:
          description: URL of the API.
          type: str
        tls_server_name:
          description: Name that is looked for in the serving certificate, null where it is the one of the URL.
          type: str
        insecure_skip_tls_verify:
          description: Whether the serving certificate is not verified.
          type: bool
        certificate_authority_path:
          description: Path of the CA file, null where the CAs are inline or where there are none.
          type: str
        certificates:
          description: Facts of the CAs in their order, as RV(certificates[].certificate).
          type: list
          elements: dict
        error:
          description: Why the CAs cannot be read or understood, null where they can or where there are none.
          type: str
    users:
      description: Users in their order.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the user.
          type: str
        client_certificate_path:
          description: Path of the client certificate, null where it is inline or where there is none.
          type: str
        client_key_path:
          description: Path of the client key, null where it is inline or where there is none.
          type: str
        certificate:
          description: Facts of the client certificate, as RV(certificates[].certificate). Null where the user has none.
          type: dict
        chain:
          description: Facts of further certificates behind the client certificate.
          type: list
          elements: dict
        key_matches:
          description: Whether key and certificate match, null where either is missing or broken.
          type: bool
        error:
          description: Why the client certificate cannot be read or understood, null where it can or where there is none.
          type: str
        key_error:
          description: Why the client key cannot be read or understood, null where it can or where there is none.
          type: str
"""

import datetime
import os
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._inventory_facts import File, Inventory, load_authorities

ITEM_OPTIONS = ("path", "key_path")


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "certificates": {"type": "list", "elements": "raw", "default": []},
        "bundles": {"type": "list", "elements": "path", "default": []},
        "kubeconfigs": {"type": "list", "elements": "path", "default": []},
        "authorities": {"type": "list", "elements": "str", "default": []},
    }


def read_file(path: str) -> File:
    """Return a file as it is found; whatever keeps it from being read is told in it."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return File(path, False)
    except OSError as exc:
        return File(path, None, error=f"{path}: cannot be looked at: {exc.strerror}")
    mode, mtime = f"{stat.S_IMODE(status.st_mode):04o}", status.st_mtime
    if not stat.S_ISREG(status.st_mode):
        return File(path, True, error=f"{path}: is not a regular file", mode=mode, mtime=mtime)
    try:
        return File(path, True, files.read(path), mode=mode, mtime=mtime)
    except PkiError as exc:
        return File(path, True, error=exc.problem, mode=mode, mtime=mtime)


def certificate_paths(given: t.Any) -> tuple[str, str | None]:
    """Return path and key path of one of the certificates; :raises PkiError: for anything but a path or a dictionary of the two."""
    if isinstance(given, str) and given:
        return files.expanded(given), None
    if not isinstance(given, dict):
        raise PkiError("certificates", f"{given!r} is neither a path nor a dictionary", "give path, and key_path where there is a key")
    item = str(given.get("path") or "certificates")
    unknown = sorted(set(given) - set(ITEM_OPTIONS))
    if unknown:
        raise PkiError(item, f"unknown option {', '.join(unknown)}", f"there are {', '.join(ITEM_OPTIONS)}")
    for name in ITEM_OPTIONS if given.get("key_path") is not None else ("path",):
        if not isinstance(given.get(name), str) or not given[name]:
            raise PkiError(item, f"{name} {given.get(name)!r} is not a path", "give path, and key_path where there is a key")
    return files.expanded(given["path"]), files.expanded(given["key_path"]) if given.get("key_path") else None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    asked = module.params
    try:
        pairs = [certificate_paths(one) for one in asked["certificates"]]
        authorities = load_authorities(asked["authorities"], lambda path: read_file(files.expanded(path)))
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    inventory = Inventory(read_file, datetime.datetime.now(datetime.timezone.utc), authorities)
    module.exit_json(
        changed=False,
        certificates=[inventory.certificate(path, key_path) for path, key_path in pairs],
        bundles=[inventory.bundle(path) for path in asked["bundles"]],
        kubeconfigs=[inventory.kubeconfig(path) for path in asked["kubeconfigs"]],
    )


if __name__ == "__main__":
    main()
