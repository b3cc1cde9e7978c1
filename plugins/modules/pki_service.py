#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_service
short_description: Stop, start or restart processes of a control plane host
version_added: 0.1.0
description:
  - This module stops, starts or restarts processes of one host through its service manager.
  - A stop ends when the process is gone. A start ends when there is a process that started later than the one before.
  - Whether a started process is ready and what it has loaded is a question for M(rekey.kubernetes.pki_host_info).
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  processes:
    description:
      - Processes of the layout. All are stopped at the same time, then started in this order.
    type: list
    elements: str
    required: true
  state:
    description:
      - What is wanted. With V(restarted), a process that does not run is started.
    type: str
    choices: [stopped, started, restarted]
    required: true
"""

EXAMPLES = r"""
- name: Stop the API server before its host's files change
  rekey.kubernetes.pki_service:
    host: "{{ pki_host }}"
    manager:
      kind: systemd
    processes: [kube-apiserver]
    state: stopped

- name: Restart what reads the files only at its start, the API server last
  rekey.kubernetes.pki_service:
    host: "{{ pki_host }}"
    processes: [etcd, kube-controller-manager, kube-scheduler, kube-apiserver]
    state: restarted
"""

RETURN = r"""
results:
  description: One entry a process, in the order of O(processes).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The process.
      type: str
    changed:
      description: Whether it was stopped or started.
      type: bool
    reasons:
      description: What was done to it.
      type: list
      elements: str
    pid:
      description: Its process id now, 0 when it does not run.
      type: int
waited_seconds:
  description: Seconds spent waiting for processes to end and to start.
  returned: success
  type: float
"""

import concurrent.futures
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import services
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.wait import until
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._host_argument_spec import host_argument_spec

START_SECONDS = 30


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    return {
        **host_argument_spec(),
        "processes": {"type": "list", "elements": "str", "required": True},
        "state": {"type": "str", "choices": ["stopped", "started", "restarted"], "required": True},
    }


def reasons(before: services.Service, state: str) -> list[str]:
    """Say what has to be done to a process; nothing where it is as wanted."""
    if state == "stopped":
        return [f"process {before.pid} stopped"] if before.running else []
    if state == "restarted" and before.running:
        return [f"process {before.pid} replaced"]
    return [] if before.running else ["started"]


def stop(manager: services.Manager, names: list[str]) -> None:
    """Stop services side by side; return when their processes are gone."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(names))) as pool:
        for done in [pool.submit(manager.stop, name) for name in names]:
            done.result()


def start(manager: services.Manager, name: str, before: services.Service) -> services.Service:
    """Start a service and return its new process.

    :raises PkiError: when no younger process is seen within START_SECONDS.
    """
    manager.start(name)

    def look() -> tuple[list[str], services.Service]:
        now = manager.look(name)
        young = now.running and (not before.running or (now.started or 0) > (before.started or 0))
        return ([] if young else ["no new process"]), now

    unmet, now, _waited = until(look, START_SECONDS, time.monotonic, time.sleep)
    if unmet:
        raise PkiError(name, f"no new process within {START_SECONDS} s", "see its log")
    return now


def apply(manager: services.Manager, names: dict[str, str], state: str, check_mode: bool) -> list[dict[str, t.Any]]:
    """Bring the processes to the wanted state and tell what was done; *names* maps process → service."""
    before = {process: manager.look(service) for process, service in names.items()}
    todo = {process: reasons(before[process], state) for process in names}
    after = dict(before)
    if not check_mode:
        stop(manager, [names[process] for process in names if todo[process] and before[process].running])
        for process in (process for process in names if todo[process]):
            after[process] = services.Service(0, None) if state == "stopped" else start(manager, names[process], before[process])
    return [
        {"name": process, "changed": bool(todo[process]), "reasons": todo[process],
         "pid": after[process].pid if after[process].running else 0}
        for process in names
    ]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    manager_options = module.params["manager"]
    names = {process: manager_options["service_names"].get(process) or process for process in module.params["processes"]}
    begun = time.monotonic()
    try:
        manager = services.manager(manager_options["kind"], manager_options["config_path"] or "")
        results = apply(manager, names, module.params["state"], module.check_mode)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=any(result["changed"] for result in results), results=results,
                     waited_seconds=round(time.monotonic() - begun, 2))


if __name__ == "__main__":
    main()
