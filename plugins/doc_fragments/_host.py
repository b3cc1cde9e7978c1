# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Options of the modules that look at one host of the cluster or act on its services."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments; keep them in step with ``module_utils/_host_argument_spec.py``."""

    DOCUMENTATION = r"""
options:
  host:
    description:
      - The host, as the roles describe it in their variable C(pki_host).
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the host in the inventory.
        type: str
        required: true
      node:
        description: Name of the node in the cluster. The name in the inventory if not set.
        type: str
      address:
        description: Address on which the host's processes listen.
        type: str
      groups:
        description: Groups of the inventory that the host is in.
        type: list
        elements: str
        required: true
      layout:
        description: Layout of the files and processes.
        type: str
        default: systemd
      kubernetes_dir:
        description: Directory of the control plane's files.
        type: str
        required: true
      etcd_dir:
        description: Directory of etcd's files.
        type: str
        required: true
      components:
        description: Processes of the layout that run on the host. All that belong to its groups if not set.
        type: list
        elements: str
      leaf_files:
        description: Leaf to path without C(.crt) and C(.key), of leaves that the host keeps elsewhere than its layout does.
        type: dict
  manager:
    description:
      - The service manager of the host.
    type: dict
    default: {}
    suboptions:
      kind:
        description:
          - Which service manager runs the processes. With V(static-pods) the kubelet runs the control plane's, and systemd the kubelet.
        type: str
        choices: [static-pods, supervisor, systemd]
        default: systemd
      config_path:
        description: Path of supervisord's configuration, which names its socket.
        type: path
      service_names:
        description: Process of the layout to service or program name, where they differ.
        type: dict
        default: {}
"""
