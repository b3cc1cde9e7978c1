#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: pki_host
short_description: Bring one host to the state that a phase of a rotation wants, and prove it over TLS
version_added: 0.1.0
description:
  - This module does on one host what a phase of a rotation asks for, and is over when that is proved.
    It installs certificates and sealed copies of key pairs as M(rekey.kubernetes.pki_cert) does, keeps trust bundles as
    M(rekey.kubernetes.ca_bundle) does, restarts processes, and asks the host's endpoints until all that is expected is seen.
  - In a restart the API server is stopped first and started last. All other processes are replaced side by side in between.
  - Every question is asked by a fresh handshake at the endpoint itself. Health checks and open connections outlive a broken trust.
  - It is one module because its parts belong together. Processes that were restarted and not proved are no state to stop in,
    and one module run a host and phase leaves little time between a write and its proof.
  - The command C(openssl) must be on the host.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
  - rekey.kubernetes._copies
  - rekey.kubernetes._cryptography
  - rekey.kubernetes._host
attributes:
  check_mode:
    support: full
    details: In check mode nothing is written, restarted or waited for.
  diff_mode:
    support: full
options:
  generations:
    description:
      - The known generations, name to CA certificate (or public key of service accounts) as PEM. A name is C(<authority>/<stamp>).
    type: dict
    default: {}
  token_claims:
    description:
      - What tokens of service accounts claim, as M(rekey.kubernetes.pki_cluster_info) returns it. With it and the canaries' keys on the
        host, the API server is asked which keys it accepts. Each such token is made in memory, lives for a minute, and is never written.
    type: dict
    default: {}
  certificates:
    description:
      - Certificates to install, with the options that M(rekey.kubernetes.pki_cert) takes for its action V(install).
        Their keys have been made on the host by its action V(request).
    type: list
    elements: dict
    default: []
  bundles:
    description:
      - Trust bundles in files, with the options that M(rekey.kubernetes.ca_bundle) takes.
    type: list
    elements: dict
    default: []
  moves:
    description:
      - Files of the host to copy to another place on it, as M(rekey.kubernetes.pki_plan) returns them for a host and phase.
    type: list
    elements: dict
    default: []
  flags:
    description:
      - Process to flag to value. Only static pods get their flags from here, with their next start.
    type: dict
    default: {}
  restarts:
    description:
      - Processes of the layout to replace once the files are written. One that does not run is started.
    type: list
    elements: str
    default: []
  expect:
    description:
      - What must be seen, as M(rekey.kubernetes.pki_plan) returns it for a host and phase.
    type: list
    elements: dict
    default: []
  look_at:
    description:
      - What O(expect) needs. V(files) looks at the host's files and at what its programs count alone, every two seconds. V(everything)
        looks at processes and endpoints, too.
    type: str
    choices: [everything, files]
    default: everything
  timeout:
    description:
      - How long to wait for what is expected, in seconds.
    type: int
    default: 180
  command:
    description:
      - A command and its arguments that must succeed before the host counts as ready, for example one that asks a balancer
        whether it sends requests to the host's API server again. It is run on the host.
    type: list
    elements: str
    default: []
  drain:
    description:
      - A command and its arguments that keeps clients away from the host's API server, for example by a balancer's runtime interface.
        It is run on the host before anything is stopped. Where it fails nothing is stopped.
    type: list
    elements: str
    default: []
  drain_seconds:
    description:
      - How long requests that are under way have to end once O(drain) has succeeded, in seconds.
    type: int
    default: 3
  undrain:
    description:
      - A command and its arguments that takes back what O(drain) did. It is run on the host once all that is expected was seen, before
        O(command). It must succeed when there is nothing to take back, too.
    type: list
    elements: str
    default: []
  remove_canaries:
    description:
      - Whether to remove what only a rotation needs, once all that is expected was seen. That is the canaries, keys that were requested and
        not used, superseded pairs of the kubelet, and temporary files that a killed run has left.
    type: bool
    default: false
  scan:
    description:
      - Whether to look for generations in every file below the directories of the host, too.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Trust both generations, and restart what reads the bundle only at its start
  rekey.kubernetes.pki_host:
    host: "{{ pki_host }}"
    generations: "{{ pki_generations }}"
    bundles:
      - name: etcd
        path: /etc/etcd/ca.crt
        certificates: "{{ pki_generations.values() }}"
        state: exact
    restarts: [etcd, kube-apiserver]
    expect:
      - ask: accepts
        endpoint: etcd
        generation: etcd/20261122T170000Z

- name: Wait until the API server accepts a client of the new generation
  rekey.kubernetes.pki_host:
    host: "{{ pki_host }}"
    generations: "{{ pki_generations }}"
    expect:
      - ask: accepts
        endpoint: kube-apiserver
        generation: kubernetes/20261122T170000Z
    timeout: 60
"""

RETURN = r"""
results:
  description: What was done, one entry a certificate, copy, bundle and process.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(certificate), V(copy), V(bundle) or V(process).
      type: str
    name:
      description: Its name.
      type: str
    changed:
      description: Whether it was changed, or restarted.
      type: bool
    reasons:
      description: Why.
      type: list
      elements: str
observation:
  description: What was seen last, as M(rekey.kubernetes.pki_host_info) returns it. Not in check mode.
  returned: success
  type: dict
waited_seconds:
  description:
    - Seconds spent waiting for processes. From the first stop until the proof where processes were restarted,
      else until what is expected was seen, 0 when the first look shows it.
  returned: success
  type: float
  sample: 0.4
unmet:
  description: What of O(expect) was not seen.
  returned: always
  type: list
  elements: str
"""

import datetime
import shutil
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cryptography_dep import require_cryptography
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import (
    batch_files,
    bundles,
    commands,
    files,
    key_copy,
    leaf_batch,
    leaf_stores,
    managers,
    moves,
    options,
    prove,
    restart,
    services,
)
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.observe import Observer
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._host_argument_spec import host_argument_spec
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import PENDING

Options = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


class Written(t.NamedTuple):
    """What was written, or would be in check mode."""

    results: list[Result]
    diffs: list[Result]


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    dicts = {"type": "list", "elements": "dict", "default": []}
    names = {"type": "list", "elements": "str", "default": []}
    return {
        **host_argument_spec(),
        "generations": {"type": "dict", "default": {}},
        "token_claims": {"type": "dict", "default": {}, "no_log": False},  # who is named, not the token
        "certificates": dicts,
        "copies": {"type": "list", "elements": "dict", "default": [], "options": key_copy.item_spec()},
        "bundles": dicts,
        "moves": dicts,
        "flags": {"type": "dict", "default": {}},
        "restarts": names,
        "expect": dicts,
        "look_at": {"type": "str", "choices": ["everything", "files"], "default": "everything"},
        "timeout": {"type": "int", "default": 180},
        "command": names,
        "drain": names,
        "drain_seconds": {"type": "int", "default": 3},
        "undrain": names,
        "remove_canaries": {"type": "bool", "default": False},
        "scan": {"type": "bool", "default": False},
    }


def write(params: Options, check_mode: bool) -> Written:
    """Install the certificates and copies, keep the bundles. Everything is read and decided before anything is written."""
    nowhere = bundles.Objects(Kubectl(lambda _argv, _stdin: (1, "", "bundles of objects are not for a host")))
    planned = [bundles.plan(item, nowhere) for item in bundles.items(options.checked("bundles", bundles.item_spec(), params["bundles"]))]
    certificates = options.checked("certificates", leaf_batch.item_spec(), params["certificates"])
    batch = leaf_batch.Batch({"action": "install", "authorities": [], "certificates": certificates},
                             datetime.datetime.now(datetime.timezone.utc), check_mode)
    copies = key_copy.plan("install", params["copies"], check_mode)
    results = [_result("certificate", one) for one in leaf_batch.install(batch)]
    if not check_mode:
        key_copy.apply(copies)
        batch_files.apply(moves.plan(params["moves"]))
        bundles.apply(planned, nowhere)
    results += [_result("copy", one.result) for one in copies]
    results += [_result("bundle", bundles.result(plan)) for plan in planned]
    return Written(results, [*batch.diffs, *(plan.diff for plan in copies if plan.changed),
                             *(bundles.diff(plan) for plan in planned if plan.changed)])


def _result(kind: str, one: Options) -> Result:
    return {"kind": kind, **{name: one[name] for name in ("name", "changed", "reasons")}}


def drain(params: Options, run: commands.Run) -> None:
    """Keep clients away; :raises PkiError: where that fails."""
    why = prove.failure(params["drain"], run)
    if why:
        raise PkiError("drain", why, "mend the command; nothing was stopped")
    if params["drain"]:
        time.sleep(params["drain_seconds"])


def carry_out(params: Options, on: hosts.Host, manager: services.Manager,
              names: t.Mapping[str, str]) -> tuple[Written, list[Result]]:
    """Stop, write and start; return what was written and what was restarted. Whatever happens, nothing stays stopped."""
    with restart.carried_through():
        before = restart.stop(manager, names)
        try:
            written = write(params, check_mode=False)
            for process, flags in params["flags"].items():
                manager.set_flags(process, flags)
            if params["remove_canaries"]:
                leaf_stores.remove_superseded(pair.key_path for pair in hosts.pairs(on).values() if pair.store == leaf_stores.KUBELET)
        finally:
            started = restart.start(manager, names, before)
    return written, [_result("process", one) for one in started]


def clear_up(on: hosts.Host) -> None:
    """Remove what only a rotation needs: canaries, keys that were requested and not used, what a killed writer has left."""
    shutil.rmtree(on.state_dir, ignore_errors=True)
    for pair in hosts.pairs(on).values():
        files.remove(f"{pair.key_path}{PENDING}")
    for directory in hosts.directories(on):
        files.sweep(directory)


def run(module: AnsibleModule, on: hosts.Host) -> dict[str, t.Any]:
    """Write, restart and prove; return the module's answer."""
    params, manager_options, execute = module.params, module.params["manager"], commands.runner(module)
    manager = managers.manager(manager_options, on, execute)
    eye = Observer(on, Generations(params["generations"]), tuple(params["generations"]), manager,
                   manager_options["service_names"], execute, params["token_claims"])
    # Bad input is found before anything is stopped.
    written = write(params, check_mode=True)
    for process, flags in params["flags"].items():
        manager.check_flags(process, flags)
    names = {process: manager_options["service_names"].get(process) or process for process in params["restarts"]}
    if module.check_mode:
        processes = [{"kind": "process", "name": name, "changed": True, "reasons": ["is to be restarted"]} for name in names]
        return {"results": [*written.results, *processes], "diff": written.diffs, "waited_seconds": 0.0, "unmet": []}
    begun = time.monotonic()
    drain(params, execute)
    written, processes = carry_out(params, on, manager, names)
    wanted = prove.Wanted(params["expect"], params["scan"], (params["undrain"], params["command"]),
                          params["look_at"] == "everything")
    proof = prove.until_seen(eye, wanted, params["timeout"])
    if params["remove_canaries"] and not proof.unmet:
        clear_up(on)
    if processes:
        proof = proof._replace(waited=time.monotonic() - begun)
    return {"results": [*written.results, *processes], "diff": written.diffs, "unmet": proof.unmet,
            "observation": proof.seen, "waited_seconds": round(proof.waited, 2)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    try:
        answer = run(module, hosts.host(module.params["host"]))
    except PkiError as exc:
        module.fail_json(msg=str(exc), unmet=[])
    if answer["unmet"]:
        module.fail_json(msg=f"not proved within {module.params['timeout']} s: " + "; ".join(answer["unmet"]), **answer)
    module.exit_json(changed=any(one["changed"] for one in answer["results"]), **answer)


if __name__ == "__main__":
    main()
