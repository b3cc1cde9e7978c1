#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_canary_csr
short_description: Prove which generation signs what the certificates API approves
version_added: 0.1.0
description:
  - This module creates a CertificateSigningRequest for a client without rights, approves it, waits until it is signed, and tells
    which generation signed it. The request is deleted again, and its key never leaves the memory of the module.
  - With O(expect) it repeats that until the expected generation signs, or until O(timeout) has passed.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
  - rekey.kubernetes._kubectl
attributes:
  check_mode:
    support: none
    details: The module is skipped in check mode, since a request that is not created cannot be signed.
  diff_mode:
    support: N/A
    details: Nothing remains of what this module creates.
options:
  expect:
    description:
      - The generation that must sign.
    type: str
"""

EXAMPLES = r"""
- name: Prove that the controller manager signs with the new generation
  rekey.kubernetes.pki_canary_csr:
    kubeconfig: /var/lib/kubernetes/admin.kubeconfig
    generations: "{{ pki_generations }}"
    expect: kubernetes/20261122T170000Z
"""

RETURN = r"""
signed_by:
  description: The generation that signed, empty for a foreign one.
  returned: success
  type: str
  sample: kubernetes/20261122T170000Z
waited_seconds:
  description: Seconds from the first request that was not signed as expected to the one that was.
  returned: success
  type: float
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import objects
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.canary import canary_request
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate

SIGNING_SECONDS = 30


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        "kubectl": {"type": "path", "default": "kubectl"},
        "kubeconfig": {"type": "path", "required": True},
        "generations": {"type": "dict", "default": {}},
        "expect": {"type": "str"},
        "timeout": {"type": "int", "default": 180},
    }


def certificate(kubectl: Kubectl) -> str:
    """Return a certificate signed for a request of its own as PEM, empty when none came within SIGNING_SECONDS."""
    name = objects.request(kubectl, canary_request())

    def look() -> tuple[list[str], str]:
        found = objects.signed(kubectl, name)
        return ([] if found else ["not signed"]), found

    try:
        return until(look, SIGNING_SECONDS, time.monotonic, time.sleep)[1]
    finally:
        objects.forget(kubectl, name)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec())
    require_cryptography(module)
    params = module.params
    kubectl = Kubectl(runner(module), params["kubectl"], params["kubeconfig"])

    def look() -> tuple[list[str], str]:
        try:
            found = certificate(kubectl)
        except PkiError as exc:
            return [str(exc)], ""
        if not found:
            return [f"a canary request was not signed within {SIGNING_SECONDS} s"], ""
        signer = generations.of_leaf(load_certificate(found, "canary request"))
        wrong = params["expect"] and signer != params["expect"]
        return ([f"signed by {signer or 'a foreign CA'}, not {params['expect']}"] if wrong else []), signer

    try:
        generations = Generations(params["generations"])
        unmet, signer, waited = until(look, params["timeout"], time.monotonic, time.sleep)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    if unmet:
        module.fail_json(msg=f"not proved within {params['timeout']} s: " + "; ".join(unmet))
    module.exit_json(changed=False, signed_by=signer, waited_seconds=round(waited, 2))


if __name__ == "__main__":
    main()
