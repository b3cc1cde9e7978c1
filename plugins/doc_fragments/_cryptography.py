# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What modules need that work with certificates."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments; the minimum is MINIMUM of ``module_utils/_cryptography_dep.py``."""

    DOCUMENTATION = r"""
options: {}
requirements:
  - cryptography >= 38 for the Python that runs the module
notes:
  - With cryptography older than 39, each RSA key that is read is checked in full, which takes as long as making one.
"""
