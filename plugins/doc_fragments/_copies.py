# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The option of the modules that bring copies of key pairs to hosts."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  copies:
    description:
      - Copies of key pairs of the authority host, or, with V(create), the key pairs. No two may have the same O(copies[].name) and
        O(copies[].host), and where files are written no two may share a path.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the copy, for example V(signer). What is sealed under a name opens under this name only.
        type: str
        required: true
      host:
        description:
          - Label of the destination, for example its name in the inventory. What is sealed for a host opens for this host only.
          - Required for V(seal) and V(install).
        type: str
      key_path:
        description:
          - Path of the private key, on the host on which the module runs.
        type: path
        required: true
      public_path:
        description:
          - Path of the public half, on the host on which the module runs. It holds exactly one certificate or one public key.
          - Without it the copy is the key alone, for example where its public half stands in a bundle. Required for V(create).
        type: path
      key_type:
        description:
          - Kind of key that V(create) makes. A key that is there already is kept whatever its kind.
        type: str
        choices: [rsa-2048, rsa-3072, rsa-4096, ecdsa-p256, ecdsa-p384]
        default: rsa-2048
      wanted_public_sha256:
        description:
          - SHA-256 of the SubjectPublicKeyInfo of the key that the authority host holds now, in hexadecimal digits.
          - V(request) asks for another copy when the destination holds another key. Without this option and
            O(copies[].public_content) it is content with any pair that matches.
          - V(install) refuses any other key.
        type: str
      public_content:
        description:
          - The public half as PEM, as V(seal) returns it. Required for V(install).
          - With V(request), the public half that the authority host holds now. Another copy is asked for when the destination
            holds another one, which it also does after a certificate has been renewed for the same key.
        type: str
      transport_public_key:
        description:
          - Public half of the destination's transport key as PEM, as V(request) returns it. Required for V(seal).
        type: str
      sealed:
        description:
          - The sealed private key, as V(seal) returns it.
          - Required for V(install) where the pair is not in place yet.
        type: str
      owner:
        description:
          - User that shall own both files. Not changed if not set.
        type: str
      group:
        description:
          - Group that shall own both files. Not changed if not set.
        type: str
      key_mode:
        description:
          - Mode of the private key as four octal digits. It must give nothing to others.
        type: str
        default: "0600"
      public_mode:
        description:
          - Mode of the public half as four octal digits.
        type: str
        default: "0644"
"""
