# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Options of the modules that look at the cluster's objects."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  kubectl:
    description:
      - The kubectl binary.
    type: path
    default: kubectl
  kubeconfig:
    description:
      - Kubeconfig of a cluster administrator.
    type: path
    required: true
  generations:
    description:
      - The known generations, name to CA certificate as PEM. A name is C(<authority>/<stamp>).
    type: dict
    default: {}
"""
