#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_authority_info
short_description: List the generations of the authorities that an authority host keeps
version_added: 0.1.0
description:
  - This module lists the CA certificates C(<authority>/<stamp>.crt) below a directory of the authority host, oldest first.
    The stamp is the UTC time at which the generation was made, for example C(20261122T170000Z).
  - The key pairs of the service accounts are listed, too. The first one is C(service-accounts.pub), named C(service-accounts/first),
    those made by a rotation are C(service-accounts/<stamp>.pub).
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._cryptography
attributes:
  check_mode:
    support: full
    details: This module changes nothing.
  diff_mode:
    support: N/A
    details: This module changes nothing.
options:
  path:
    description:
      - Directory with one directory for each authority. It need not exist.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: List the generations of all authorities
  rekey.kubernetes.pki_authority_info:
    path: /etc/rekey/pki
  register: authorities
"""

RETURN = r"""
certificates:
  description: Name C(<authority>/<stamp>) to CA certificate, or public key of the service accounts, as PEM.
  returned: success
  type: dict
generations:
  description: Name C(<authority>/<stamp>) to facts, oldest first.
  returned: success
  type: dict
  contains:
    certificate:
      description: The CA certificate, or the public key, as PEM.
      type: str
    certificate_path:
      description: Where it is.
      type: str
    key_path:
      description: Where its key is.
      type: str
    key_exists:
      description: Whether the key is there.
      type: bool
    common_name:
      description: Common name of the subject. Null for a public key, as its times are.
      type: str
    not_before:
      description: Start of its validity, ISO 8601 in UTC.
      type: str
    not_after:
      description: End of its validity, ISO 8601 in UTC.
      type: str
    remaining_days:
      description: Whole days of validity left.
      type: int
    fingerprint_sha256:
      description: SHA-256 of the certificate.
      type: str
    public_key_sha256:
      description: SHA-256 of the public key.
      type: str
    age_days:
      description: Days since its stamp, for C(service-accounts/first) since its file was written.
      type: float
    key_type:
      description: Kind of the key.
      type: str
      sample: rsa-2048
"""

import datetime
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._key_copy import public_half
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import certificate_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate

STAMP = "%Y%m%dT%H%M%SZ"
FACTS = ("common_name", "not_before", "not_after", "remaining_days", "fingerprint_sha256", "public_key_sha256", "key_type")
FIRST = "first"  # names the service accounts' key pair that was there before any rotation


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {"path": {"type": "path", "required": True}}


def stamps(directory: str, wanted: str) -> list[str]:
    """Return the stamps of the generations in a directory, oldest first; other files are none."""
    if not os.path.isdir(directory):
        return []
    found = []
    for name in os.listdir(directory):
        stem, ending = os.path.splitext(name)
        if ending == wanted and _made(stem) is not None:
            found.append(stem)
    return sorted(found)


def generation(base: str, stamp: str, now: datetime.datetime) -> dict[str, t.Any]:
    """Return the facts of one generation; *base* is its path without ending."""
    content = files.require(f"{base}.crt").decode("utf-8", "replace")
    facts = certificate_facts(load_certificate(content, f"{base}.crt"), now)
    return {"certificate": content, "certificate_path": f"{base}.crt", "key_path": f"{base}.key",
            "key_exists": os.path.exists(f"{base}.key"), "age_days": _age_days(_made(stamp) or now, now),
            **{name: facts[name] for name in FACTS}}


def key_pairs(root: str, now: datetime.datetime) -> dict[str, dict[str, t.Any]]:
    """Return the generations of the service accounts' key pair below the directory of the authorities."""
    home = os.path.join(root, SERVICE_ACCOUNTS)
    bases = {FIRST: home} if os.path.exists(f"{home}.pub") else {}
    bases.update((stamp, os.path.join(home, stamp)) for stamp in stamps(home, ".pub"))
    return {f"{SERVICE_ACCOUNTS}/{name}": _key_pair(base, name, now) for name, base in bases.items()}


def _key_pair(base: str, stamp: str, now: datetime.datetime) -> dict[str, t.Any]:
    half = public_half(files.require(f"{base}.pub"), f"{base}.pub")
    written = datetime.datetime.fromtimestamp(os.stat(f"{base}.pub").st_mtime, datetime.timezone.utc)
    return {**dict.fromkeys(FACTS), "certificate": half.pem, "certificate_path": f"{base}.pub", "key_path": f"{base}.key",
            "key_exists": os.path.exists(f"{base}.key"), "age_days": _age_days(_made(stamp) or written, now),
            "fingerprint_sha256": half.sha256, "public_key_sha256": half.sha256, "key_type": half.key_type}


def _age_days(made: datetime.datetime, now: datetime.datetime) -> float:
    return round((now - made).total_seconds() / 86400, 3)


def _made(stamp: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(stamp, STAMP).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    now = datetime.datetime.now(datetime.timezone.utc)
    root = module.params["path"]
    try:
        found = {
            f"{authority}/{stamp}": generation(os.path.join(root, authority, stamp), stamp, now)
            for authority in AUTHORITIES
            for stamp in stamps(os.path.join(root, authority), ".crt")
        }
        found.update(key_pairs(root, now))
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, generations=found, certificates={name: facts["certificate"] for name, facts in found.items()})


if __name__ == "__main__":
    main()
