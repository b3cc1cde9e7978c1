# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The service manager of a host, by the name that its inventory gives it."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.services import Manager, Supervisor, Systemd

STATIC_PODS = "static-pods"


def manager(options: t.Mapping[str, t.Any], on: hosts.Host, run: Run) -> Manager:
    """Return the manager that the option ``manager`` describes."""
    if options["kind"] == "supervisor":
        return Supervisor(options["config_path"] or "")
    if options["kind"] == STATIC_PODS:
        from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.static_pods import StaticPods  # needs PyYAML

        return StaticPods(on.kubernetes_dir, on.state_dir, Systemd(run))
    return Systemd(run)
