# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A request for a client without rights, made for one question: who signs?"""

from __future__ import annotations

from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import ec, hashes, serialization, x509

COMMON_NAME = "pki-canary"


def canary_request() -> str:
    """Return a CSR (PEM) by a P-256 key that is forgotten at once: nobody can ever use the certificate."""
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, COMMON_NAME)])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return str(request.public_bytes(serialization.Encoding.PEM).decode())
