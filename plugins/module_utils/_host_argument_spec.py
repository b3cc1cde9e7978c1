# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The options ``host`` and ``manager``; keep them in step with ``plugins/doc_fragments/_host.py``."""

from __future__ import annotations

import typing as t


def host_options() -> dict[str, t.Any]:
    """Return the argument spec of the option ``host``: a description for ``_cluster.hosts.host``."""
    return {
        "name": {"type": "str", "required": True},
        "node": {"type": "str"},
        "address": {"type": "str"},
        "groups": {"type": "list", "elements": "str", "required": True},
        "layout": {"type": "str", "default": "systemd"},
        "kubernetes_dir": {"type": "str", "required": True},
        "etcd_dir": {"type": "str", "required": True},
        "components": {"type": "list", "elements": "str"},
        "leaf_files": {"type": "dict"},
    }


def host_argument_spec() -> dict[str, t.Any]:
    """Return the argument spec that goes with the fragment."""
    manager = {
        "kind": {"type": "str", "choices": ["static-pods", "supervisor", "systemd"], "default": "systemd"},
        "config_path": {"type": "path"},
        "service_names": {"type": "dict", "default": {}},
    }
    return {
        "host": {"type": "dict", "required": True, "options": host_options()},
        "manager": {"type": "dict", "default": {}, "options": manager, "apply_defaults": True},
    }
