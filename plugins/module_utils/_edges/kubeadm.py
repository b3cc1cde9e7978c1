# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""kubeadm join on a node: its credential comes sealed, lives in files of root alone, and is gone when kubeadm has ended."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _seal
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import joining
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files, scan
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import TIMED_OUT, Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, public_key_sha256

_SAID_LINES = 12
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_AGAIN = "mend what kubeadm says, run kubeadm reset on the node, and join it again"
_ORDER = "run pki_kubeadm_join with action=request, then pki_bootstrap_token, in one go"


class Joining(t.NamedTuple):
    """A node that joins, or has joined."""

    host: str  # its name in the inventory
    node: str
    kubernetes_dir: str

    @property
    def joined(self) -> bool:
        """Whether its kubelet has an identity: the kubelet, or kubeadm, writes this file when it has."""
        return os.path.exists(f"{self.kubernetes_dir}/kubelet.conf")

    @property
    def directory(self) -> str:
        """Where what must not be seen lies until the node has joined."""
        return f"{self.kubernetes_dir}/.rekey-join"

    @property
    def transport(self) -> files.Target:
        """The key for which its token is sealed."""
        return files.Target(f"{self.directory}/token.transport", files.KEY_MODE)


class Credential(t.NamedTuple):
    """What lets a node in: a sealed token, or the certificate that was issued to it (one of the two)."""

    sealed: str
    identity_path: str


class Way(t.NamedTuple):
    """Where the cluster is, and whom to trust there (PEM)."""

    endpoint: str  # host:port
    trusted: t.Sequence[str]


def refuse_authority_keys(one: Joining, generations: Generations) -> None:
    """Refuse a worker that holds a key of an authority; :raises PkiError: naming file and generation."""
    found = scan.authority_keys(one.kubernetes_dir, generations)
    if found:
        listed = ", ".join(f"{path} ({generation})" for path, generation in sorted(found.items()))
        raise PkiError(one.host, f"a worker holds the key of an authority: {listed}", "remove it: who takes the worker owns the cluster")


def transport_public_key(one: Joining) -> str:
    """Return the public half of a new key for which a token can be sealed; its private half waits here."""
    os.makedirs(one.kubernetes_dir, mode=0o755, exist_ok=True)
    files.make_private_directory(one.directory)
    made = _seal.new_transport_key()
    files.write(one.transport, made, one.host)
    return _seal.transport_public_key(made, one.host)


def join(one: Joining, credential: Credential, way: Way, wanted: t.Mapping[str, t.Any], command: t.Sequence[str], run: Run) -> None:
    """Run ``kubeadm join``; whatever happens, no credential is left behind.

    :param wanted: ``registration`` and ``advertise_address`` of ``joining.join_configuration``.
    :param command: argv of kubeadm, which a time limit may precede.
    :raises PkiError: when kubeadm fails, with the end of what it said.
    """
    os.makedirs(one.kubernetes_dir, mode=0o755, exist_ok=True)
    files.make_private_directory(one.directory)
    config = files.Target(f"{one.directory}/join.yaml", files.KEY_MODE)
    try:
        discovery = _by_token(one, credential, way) if credential.sealed else _by_identity(one, credential, way)
        # JSON is YAML, and needs no library.
        files.write(config, json.dumps(joining.join_configuration(one.node, discovery=discovery, **wanted)).encode(), one.host)
        code, output, message = run([*command, "join", "--config", config.path], "")
    finally:
        shutil.rmtree(one.directory)
        # kubeadm's own copy of the credential, which it leaves behind where it fails early.
        files.remove(f"{one.kubernetes_dir}/bootstrap-kubelet.conf")
    if code:
        problem = "kubeadm join did not end in time" if code == TIMED_OUT else f"kubeadm join failed with status {code}"
        raise PkiError(one.host, f"{problem}: {_said([*output.splitlines(), *message.splitlines()])}", _AGAIN)


def _said(output: t.Iterable[str]) -> str:
    """Return what kubeadm calls an error, without its colours; where it calls nothing one, the end of what it said."""
    lines = [line for line in (_COLOUR.sub("", one).strip() for one in output) if line]
    errors = [line for line in lines if line.lower().startswith(("[error", "error:"))]
    return " | ".join((errors or lines)[-_SAID_LINES:])


def _by_token(one: Joining, credential: Credential, way: Way) -> joining.Object:
    key = files.read(one.transport.path, one.host)
    if key is None:
        raise PkiError(one.host, f"{one.transport.path}: no such file, so the token cannot be opened", _ORDER)
    token = _seal.unseal(credential.sealed, key, _seal.Destination(joining.SEALED_TOKEN, one.host)).decode("ascii")
    pins = [public_key_sha256(load_certificate(pem, "trusted").public_key()) for pem in way.trusted]
    return joining.token_discovery(token, way.endpoint, pins)


def _by_identity(one: Joining, credential: Credential, way: Way) -> joining.Object:
    path = f"{one.directory}/identity.conf"
    data = base64.b64encode("".join(way.trusted).encode("ascii")).decode("ascii")
    content = joining.identity_kubeconfig(f"https://{way.endpoint}", data, credential.identity_path)
    files.write(files.Target(path, files.KEY_MODE), json.dumps(content).encode(), one.host)
    return joining.file_discovery(path)
