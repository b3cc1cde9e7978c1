#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_lock
short_description: Let one run at a time work on a cluster's authorities
version_added: 0.1.0
description:
  - Takes or lets go of a lock on the authority host (O(path)) or in the cluster (O(kubeconfig)). It does not expire.
  - A second run is refused with who holds the lock and since when.
  - This is an action. It tells the module who runs the playbook, and takes over the lock of a run of the same controller whose process is
    gone, which is what a run leaves behind that was killed. Any other lock is broken only by O(break_run).
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  state:
    description:
      - With V(present), take the lock. With V(absent), let go of it where this run holds it.
    type: str
    choices: [absent, present]
    default: present
  path:
    description:
      - The file that is the lock, in a directory that exists. Exclusive with O(kubeconfig).
      - Whoever has taken it is alone there, so temporary files that a run which was killed has left in that directory are removed then.
    type: path
  kubeconfig:
    description:
      - Kubeconfig of a user who may write Leases in C(kube-system). The lock is the Lease C(rekey-kubernetes-rotation) there.
    type: path
  kubectl:
    description:
      - The kubectl binary.
    type: path
    default: kubectl
  journal:
    description:
      - File to which a line is added when a run lets go of the lock, or takes the place of one that has left it. It says who, when, since
        when the lock was held, and O(note). It is for people and may be removed at any time.
    type: path
  note:
    description:
      - What the journal tells besides, such as the phase and the generations with their fingerprints.
    type: dict
    default: {}
  break_run:
    description:
      - The run whose lock is to be broken, as a refusal names it. A lock of any other run stays.
    type: str
    default: ""
  holder:
    description:
      - Who runs the playbook. The action fills it in.
    type: dict
    suboptions:
      run:
        description: Name of the run.
        type: str
        required: true
      operator:
        description: Who started it.
        type: str
        required: true
      controller:
        description: On which machine it runs.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Keep others away from the authorities
  rekey.kubernetes.pki_lock:
    path: /etc/rekey/pki/rotation.lock

- name: Let them in again
  rekey.kubernetes.pki_lock:
    path: /etc/rekey/pki/rotation.lock
    state: absent
"""

RETURN = r"""
held_by:
  description: Who holds the lock that was refused, or held it before. Null where nobody did.
  returned: always
  type: dict
  sample: {"run": "bastion-1-4711-9", "operator": "alice", "controller": "bastion", "since": "2026-11-26T02:13:04Z"}
"""

import datetime
import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import runner
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.locks import FileLock, LeaseLock, Lock
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.lock import Holder, may_take


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    text = {"type": "str", "required": True}
    return {
        "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
        "path": {"type": "path"},
        "kubeconfig": {"type": "path"},
        "kubectl": {"type": "path", "default": "kubectl"},
        "journal": {"type": "path"},
        "note": {"type": "dict", "default": {}},
        "break_run": {"type": "str", "default": ""},
        "holder": {"type": "dict", "options": {"run": text, "operator": text, "controller": text}},
    }


def lock_of(module: AnsibleModule) -> Lock:
    """Return the lock that the options name."""
    params = module.params
    return FileLock(params["path"]) if params["path"] else LeaseLock(Kubectl(runner(module), params["kubectl"], params["kubeconfig"]))


def write_down(params: t.Mapping[str, t.Any], found: Holder, ours: Holder, event: str) -> None:
    """Add a line to the journal. What it says is nothing that a run depends on, so a full disk is no reason to stop."""
    line = json.dumps({"time": ours.since, "event": event, "operator": ours.operator, "controller": ours.controller,
                       "held_since": found.since, "held_by": found.operator, **params["note"]})
    try:
        with open(params["journal"], "a", encoding="utf-8") as journal:
            journal.write(f"{line}\n")
    except OSError:
        pass


def carry_out(module: AnsibleModule, lock: Lock, found: Holder | None, ours: Holder) -> bool:
    """Take the lock or let go of it; say whether it changed; :raises PkiError: where another run holds it."""
    params = module.params
    if params["state"] == "absent":
        changes = found is not None and found.run == ours.run
    else:
        changes = may_take(lock.place, found, ours, params["break_run"])
    if not changes or module.check_mode:
        return changes
    if params["state"] == "absent":
        lock.drop()
    else:
        lock.write(ours, found)
        if params["path"]:
            files.sweep(os.path.dirname(params["path"]))
    if params["journal"] and found is not None:
        write_down(params, found, ours, "ends" if params["state"] == "absent" else "begins in place of another run")
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True, required_one_of=[("path", "kubeconfig")],
                           mutually_exclusive=[("path", "kubeconfig")])
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = None
    try:
        if not module.params["holder"]:
            raise PkiError("pki_lock", "holder is missing", "call it as rekey.kubernetes.pki_lock, whose action fills it in")
        lock = lock_of(module)
        found = lock.read()
        changed = carry_out(module, lock, found, Holder(since=now, **module.params["holder"]))
    except PkiError as exc:
        module.fail_json(msg=str(exc), held_by=found._asdict() if found else None)
    module.exit_json(changed=changed, held_by=found._asdict() if found else None)


if __name__ == "__main__":
    main()
