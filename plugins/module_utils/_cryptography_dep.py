# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The only guarded import of cryptography, and the oldest version that will do.

Everything in the collection takes the library from here, so that a module can start on a host without it and say so.
Keep MINIMUM in step with ``plugins/doc_fragments/_cryptography.py``.
"""

from __future__ import annotations

import traceback
import typing as t

try:
    import cryptography
    from cryptography import exceptions, x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils
except ImportError:
    IMPORT_TRACEBACK: str | None = traceback.format_exc()
    # Named by string: a type checker then still sees the modules, not None.
    globals().update(dict.fromkeys(
        ("cryptography", "exceptions", "x509", "hashes", "serialization", "ec", "ed448", "ed25519", "padding", "rsa", "utils")))
else:
    IMPORT_TRACEBACK = None

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible.module_utils.basic import AnsibleModule

__all__ = (
    "MINIMUM", "cryptography", "ec", "ed448", "ed25519", "exceptions", "hashes", "major_version", "padding",
    "require_cryptography", "rsa", "serialization", "utils", "x509",
)

MINIMUM = 38


def major_version() -> int:
    """Return the first number of the version of cryptography."""
    return int(cryptography.__version__.split(".")[0])


def require_cryptography(module: AnsibleModule) -> None:
    """Fail with the usual message where cryptography is missing or too old."""
    from ansible.module_utils.basic import missing_required_lib  # the pure rooms import this file without Ansible

    if IMPORT_TRACEBACK is not None:
        module.fail_json(msg=missing_required_lib(f"cryptography >= {MINIMUM}"), exception=IMPORT_TRACEBACK)
    if major_version() < MINIMUM:
        found = f"found {cryptography.__version__} in {cryptography.__file__}"
        module.fail_json(msg=missing_required_lib(f"cryptography >= {MINIMUM}", reason=f"({found})"))
