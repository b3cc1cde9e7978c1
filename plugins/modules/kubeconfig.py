#!/usr/bin/python
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Merge clusters, users and contexts into kubeconfig files
version_added: 0.1.0
description:
  - This module keeps any number of kubeconfig files in one call. It merges clusters, users and contexts into a file and keeps
    what it does not know, such as other entries, other fields of an entry, extensions, preferences and users with an exec plugin.
  - Files are compared by meaning. Formatting, the order of entries, relative or absolute paths to the same file, and the wrapping of
    inline data never cause a change.
  - The whole batch is read and checked before the first file is written. A file is written at once or not at all,
    and is never readable by others for a moment.
  - Results and diffs hold names, paths and fingerprints, never a key or a token.
  - Files that are not JSON are read with PyYAML. Files are written as YAML where the host's Python has PyYAML,
    and as JSON, which every reader of YAML takes, where it has not.
author:
  - rekey.kubernetes authors (@rekey-kubernetes)
extends_documentation_fragment:
  - rekey.kubernetes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  kubeconfigs:
    description:
      - The kubeconfig files to keep.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of this item in results and messages. It must be unique in the batch.
        type: str
        required: true
      path:
        description:
          - The absolute path of the file. It must not be a symbolic link.
        type: path
        required: true
      state:
        description:
          - With V(absent), the file is removed.
        type: str
        choices: [present, absent]
        default: present
      exact:
        description:
          - Whether the file holds what is given here and nothing else, instead of what is given here merged into what is there.
        type: bool
        default: false
      clusters:
        description:
          - The clusters of the file.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - The name of the cluster.
            type: str
            required: true
          server:
            description:
              - The URL of the API server. Required for a cluster that is not yet in the file.
            type: str
          certificate_authority_path:
            description:
              - The absolute path of the CA bundle on the host. Without O(kubeconfigs[].clusters[].embed), the file need not exist yet.
              - It cannot be given together with O(kubeconfigs[].clusters[].certificate_authority_content).
            type: path
          certificate_authority_content:
            description:
              - The CA bundle as PEM, to be embedded.
              - It cannot be given together with O(kubeconfigs[].clusters[].certificate_authority_path).
            type: str
          embed:
            description:
              - Whether the content of O(kubeconfigs[].clusters[].certificate_authority_path) is embedded instead of its path.
              - Clients can take over a changed CA without a restart only when the kubeconfig names its path.
            type: bool
            default: false
          tls_server_name:
            description:
              - The name to verify the server's certificate with, instead of the one in its URL.
            type: str
          state:
            description:
              - With V(absent), the cluster is removed.
            type: str
            choices: [present, absent]
            default: present
      users:
        description:
          - The users of the file.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - The name of the user.
            type: str
            required: true
          client_certificate_path:
            description:
              - The absolute path of the client certificate on the host. Required together with O(kubeconfigs[].users[].client_key_path).
            type: path
          client_key_path:
            description:
              - The absolute path of the client key on the host. Required together with O(kubeconfigs[].users[].client_certificate_path).
            type: path
          embed:
            description:
              - Whether the contents of the two files are embedded instead of their paths.
            type: bool
            default: false
          token:
            description:
              - The bearer token.
            type: str
          state:
            description:
              - With V(absent), the user is removed.
            type: str
            choices: [present, absent]
            default: present
      contexts:
        description:
          - The contexts of the file.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - The name of the context.
            type: str
            required: true
          cluster:
            description:
              - The name of its cluster. Required for a context that is not yet in the file.
            type: str
          user:
            description:
              - The name of its user. Required for a context that is not yet in the file.
            type: str
          namespace:
            description:
              - The namespace of requests that name none.
            type: str
          state:
            description:
              - With V(absent), the context is removed.
            type: str
            choices: [present, absent]
            default: present
      current_context:
        description:
          - The context to use when none is named. When it is not given, it stays, unless its context is removed.
        type: str
      owner:
        description:
          - The owner of the file.
        type: str
      group:
        description:
          - The group of the file.
        type: str
      mode:
        description:
          - The mode of the file, four octal digits in quotes.
        type: str
        default: "0600"
seealso:
  - module: rekey.kubernetes.ca_bundle
  - module: rekey.kubernetes.pki_cert
"""

EXAMPLES = r"""
- name: Give two components their kubeconfigs, with certificates by path
  rekey.kubernetes.kubeconfig:
    kubeconfigs:
      - name: scheduler
        path: /var/lib/kubernetes/kube-scheduler.kubeconfig
        exact: true
        clusters:
          - name: kubernetes
            server: https://192.0.2.10:6443
            certificate_authority_path: /var/lib/kubernetes/ca.crt
        users:
          - name: system:kube-scheduler
            client_certificate_path: /var/lib/kubernetes/kube-scheduler.crt
            client_key_path: /var/lib/kubernetes/kube-scheduler.key
        contexts:
          - name: default
            cluster: kubernetes
            user: system:kube-scheduler
        current_context: default
      - name: admin
        path: /root/.kube/config
        clusters:
          - name: production
            server: https://192.0.2.10:6443
            certificate_authority_path: /var/lib/kubernetes/ca.crt
            embed: true
        users:
          - name: retired
            state: absent
"""

RETURN = r"""
results:
  description: What became of every file, in the order of O(kubeconfigs).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the item.
      type: str
      sample: scheduler
    path:
      description: The path of the file.
      type: str
      sample: /var/lib/kubernetes/kube-scheduler.kubeconfig
    changed:
      description: Whether it was changed, or would be in check mode.
      type: bool
    reasons:
      description: Why it was changed.
      type: list
      elements: str
      sample: ["cluster kubernetes: server becomes https://192.0.2.10:6443"]
    clusters:
      description: The names of the clusters in the file.
      type: list
      elements: str
    users:
      description: The names of the users in the file.
      type: list
      elements: str
    contexts:
      description: The names of the contexts in the file.
      type: list
      elements: str
    current_context:
      description: The current context of the file.
      type: str
      sample: default
"""

import os
import re
import typing as t
import urllib.parse

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rekey.kubernetes.plugins.module_utils import _bundle, _kubeconfig, _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

Options = t.Mapping[str, t.Any]


class Plan(t.NamedTuple):
    """What becomes of a file; None stands for no file."""

    name: str
    target: files.Target
    before: _kubeconfig.Document | None
    after: _kubeconfig.Document | None
    reasons: tuple[str, ...]
    attribute_reasons: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.reasons or self.attribute_reasons)


def argument_spec() -> dict[str, t.Any]:
    """Return the module's options."""
    state = {"type": "str", "choices": ["present", "absent"], "default": "present"}
    name = {"type": "str", "required": True}
    cluster = {
        "name": name,
        "server": {"type": "str"},
        "certificate_authority_path": {"type": "path"},
        "certificate_authority_content": {"type": "str"},
        "embed": {"type": "bool", "default": False},
        "tls_server_name": {"type": "str"},
        "state": state,
    }
    user = {
        "name": name,
        "client_certificate_path": {"type": "path"},
        "client_key_path": {"type": "path"},
        "embed": {"type": "bool", "default": False},
        "token": {"type": "str", "no_log": True},
        "state": state,
    }
    context = {"name": name, "cluster": {"type": "str"}, "user": {"type": "str"}, "namespace": {"type": "str"}, "state": state}
    kubeconfig = {
        "name": name,
        "path": {"type": "path", "required": True},
        "state": state,
        "exact": {"type": "bool", "default": False},
        "clusters": {"type": "list", "elements": "dict", "default": [], "options": cluster},
        "users": {"type": "list", "elements": "dict", "default": [], "options": user},
        "contexts": {"type": "list", "elements": "dict", "default": [], "options": context},
        "current_context": {"type": "str"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "str", "default": "0600"},
    }
    return {"kubeconfigs": {"type": "list", "elements": "dict", "required": True, "options": kubeconfig}}


def plans(kubeconfigs: t.Sequence[Options], check_mode: bool = False) -> list[Plan]:
    """Read every file and input and decide; :raises PkiError: before anything is written."""
    found = [_plan(options, check_mode) for options in kubeconfigs]
    for index, one in enumerate(found):
        for earlier in found[:index]:
            if earlier.name == one.name:
                raise PkiError(one.name, "two kubeconfigs have this name", "give each its own")
            if earlier.target.path == one.target.path:
                raise PkiError(one.name, f"{one.target.path}: is asked for twice, by {earlier.name} too", "put both into one item")
    return found


def _plan(options: Options, check_mode: bool) -> Plan:
    name = options["name"]
    target = _target(options)
    source = f"{name}: {target.path}"
    files.check_target(target, name, check_mode)
    content = files.read(target.path, name)
    if options["state"] == "absent":
        return Plan(name, target, {} if content is not None else None, None, () if content is None else ("shall not be there",), ())
    before = None if content is None else _kubeconfig.parse(_text(content, source), source)
    entries = (
        *(_cluster(one, name) for one in options["clusters"]),
        *(_user(one, name) for one in options["users"]),
        *(_context(one) for one in options["contexts"]),
    )
    wanted = _kubeconfig.Wanted(entries, options["current_context"], options["exact"])
    after = _kubeconfig.merge(before, wanted, os.path.dirname(target.path), source)
    return Plan(name, target, before, after, _kubeconfig.reasons(before, after), tuple(files.attribute_reasons(target)))


def _target(options: Options) -> files.Target:
    if not re.fullmatch(r"0[0-7]{3}", options["mode"]):
        raise PkiError(options["name"], f"mode {options['mode']!r} is not four octal digits", "write it like '0600', in quotes")
    path = os.path.normpath(_absolute(options["path"], options["name"]))
    return files.Target(path, int(options["mode"], 8), options["owner"], options["group"])


def _absolute(path: str, item: str) -> str:
    if not os.path.isabs(path):
        raise PkiError(item, f"{path}: is not an absolute path", "begin it with /")
    return path


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PkiError(source, "is not UTF-8 text", _kubeconfig.RESTORE) from exc


def _cluster(options: Options, item: str) -> _kubeconfig.Entry:
    name, path, content = options["name"], options["certificate_authority_path"], options["certificate_authority_content"]
    if path and content:
        raise PkiError(item, f"cluster {name} has certificate_authority_path and certificate_authority_content", "give one")
    if options["state"] == "absent":
        return _kubeconfig.Entry("clusters", name, {}, present=False)
    if options["server"] is not None and not _is_url(options["server"]):
        raise PkiError(item, f"cluster {name}: server {options['server']!r} is not a URL", "write it like https://192.0.2.10:6443")
    fields = {"server": options["server"], "tls-server-name": options["tls_server_name"]}
    displaced = ["insecure-skip-tls-verify"] if path or content else []
    if content or (path and options["embed"]):
        source = f"{item}: {path or f'cluster {name}: certificate_authority_content'}"
        fields[_kubeconfig.AUTHORITY_DATA] = _authority_data(content or _text(files.require(path, item), source), source)
        displaced.append(_kubeconfig.AUTHORITY_FILE)
    elif path:
        fields[_kubeconfig.AUTHORITY_FILE] = _absolute(path, item)
        displaced.append(_kubeconfig.AUTHORITY_DATA)
    return _kubeconfig.Entry("clusters", name, _given(fields), tuple(displaced))


def _user(options: Options, item: str) -> _kubeconfig.Entry:
    name, certificate, key = options["name"], options["client_certificate_path"], options["client_key_path"]
    if bool(certificate) != bool(key):
        raise PkiError(item, f"user {name} has only one of client_certificate_path and client_key_path", "give both")
    if options["state"] == "absent":
        return _kubeconfig.Entry("users", name, {}, present=False)
    paths: dict[str, str | None] = {"client-certificate": certificate, "client-key": key}
    data: dict[str, str | None] = {}
    displaced = tuple(f"{field}-data" for field in paths) if certificate else ()
    if certificate and options["embed"]:
        displaced, paths = tuple(paths), {}
        data = {"client-certificate-data": _embedded(certificate, "CERTIFICATE", item),
                "client-key-data": _embedded(key, "PRIVATE KEY", item)}
    for path in filter(None, paths.values()):
        _absolute(path, item)
    return _kubeconfig.Entry("users", name, _given({**paths, **data, "token": options["token"]}), displaced)


def _context(options: Options) -> _kubeconfig.Entry:
    fields = {field: options[field] for field in ("cluster", "user", "namespace")}
    return _kubeconfig.Entry("contexts", options["name"], _given(fields), present=options["state"] == "present")


def _given(fields: t.Mapping[str, str | None]) -> dict[str, str]:
    return {field: value for field, value in fields.items() if value is not None}


def _is_url(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _authority_data(text: str, source: str) -> str:
    anchors = _bundle.anchors(text, source)
    _bundle.check(anchors, source)
    return _kubeconfig.encode(_pem.join(one.block for one in anchors))


def _embedded(path: str, label: str, item: str) -> str:
    source = f"{item}: {path}"
    blocks = [block for block in _pem.split(_text(files.require(path, item), source), source) if block.label.endswith(label)]
    if not blocks or (label == "PRIVATE KEY" and len(blocks) > 1):
        raise PkiError(source, f"holds {'several' if blocks else 'no'} {label.lower()}", "check the path")
    return _kubeconfig.encode(_pem.join(blocks))


def apply(planned: Plan) -> None:
    """Write, remove or chmod what is planned; :raises PkiError: when that fails."""
    if planned.reasons and planned.after is None:
        files.remove(planned.target.path)
    elif planned.reasons:
        files.write(planned.target, _kubeconfig.dump(planned.after or {}).encode("utf-8"), planned.name)
    elif planned.attribute_reasons:
        files.set_attributes(planned.target)


def result(planned: Plan) -> dict[str, t.Any]:
    """Return what the module tells of an item."""
    after = planned.after or {}
    return {
        "name": planned.name,
        "path": planned.target.path,
        "changed": planned.changed,
        "reasons": [*planned.reasons, *planned.attribute_reasons],
        **{kind: [one["name"] for one in after.get(kind) or []] for kind in _kubeconfig.KINDS},
        "current_context": after.get("current-context") or "",
    }


def diff(planned: Plan) -> dict[str, str]:
    """Return the diff of an item, without secrets."""
    before = [*_kubeconfig.summary(planned.before), *planned.attribute_reasons]
    return {
        "before_header": planned.target.path,
        "after_header": planned.target.path,
        "before": "".join(f"{line}\n" for line in before),
        "after": "".join(f"{line}\n" for line in _kubeconfig.summary(planned.after)),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        planned = plans(module.params["kubeconfigs"], module.check_mode)
        if not module.check_mode:
            for one in planned:
                apply(one)
    except PkiError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=any(one.changed for one in planned),
        results=[result(one) for one in planned],
        diff=[diff(one) for one in planned if one.changed],
    )


if __name__ == "__main__":
    main()
