# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An independent client that judges the bed after a rotation, by the openssl and kubectl commands: ``judge.py``.

Nothing of the collection is used. The judge makes its own client certificates, of every generation that the authority host keeps,
and asks every endpoint itself. It demands that

* every endpoint accepts a client of the newest generation and refuses one of any other;
* what is served verifies against the newest generation alone, by the strict rules, and against no other;
* no certificate file and no kubeconfig on a host holds another generation or a leaf of one;
* kube-root-ca.crt of every namespace and extension-apiserver-authentication hold the newest generation and nothing else;
* a request for a certificate is signed by the newest generation;
* the administrator's kubeconfig works, and a new namespace gets kube-root-ca.crt with exactly one certificate.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import judge_openssl as openssl
from judge_openssl import ACCEPTED, REFUSED, Client, Question
from loopback_bed import topology
from loopback_bed.places import Bed, bed_of

ADMINISTRATOR = "kubernetes-admin"
SUBJECTS = {"kubernetes": "/O=system:masters/CN=judge", "etcd": "/CN=judge", "front-proxy": "/CN=front-proxy-client"}
_HEADERS = {"front-proxy": (f"X-Remote-User: {ADMINISTRATOR}", "X-Remote-Group: system:masters")}
_INLINE = re.compile(r"(?:certificate-authority-data|client-certificate-data)\"?:\s*\"?([A-Za-z0-9+/=]+)")
_NOT_PKI = frozenset({"etcd-data", "log"})
_LIMIT_SECONDS = 60
_POLL_SECONDS = 0.5
_LARGEST_FILE = 1 << 20


class Endpoint(t.NamedTuple):
    """A TLS listener and how to ask it; ``serves`` is the authority of its certificate, "" where it makes one of its own."""

    name: str
    process: str
    port: int
    path: str
    judges: tuple[str, ...]
    serves: str
    body: str = ""


ENDPOINTS = (
    Endpoint("etcd", topology.ETCD, topology.ETCD_CLIENT_PORT, "/v3/kv/range", ("etcd",), "etcd", body='{"key": "Lw=="}'),
    Endpoint("etcd-peer", topology.ETCD, topology.ETCD_PEER_PORT, "/version", ("etcd",), "etcd"),
    Endpoint("kube-apiserver", topology.APISERVER, topology.APISERVER_PORT, "/api", ("kubernetes", "front-proxy"), "kubernetes"),
    Endpoint("kube-controller-manager", topology.CONTROLLER_MANAGER, topology.CONTROLLER_MANAGER_PORT, "/configz", ("kubernetes",), ""),
    Endpoint("kube-scheduler", topology.SCHEDULER, topology.SCHEDULER_PORT, "/configz", ("kubernetes",), ""),
)


class Listener(t.NamedTuple):
    """An endpoint on one host; ``within`` is a command that runs another one in that host's network."""

    name: str
    endpoint: Endpoint
    address: str
    within: tuple[str, ...] = ()


class Scene(t.NamedTuple):
    """What is judged: a cluster, whatever it is made of."""

    authority: Path  # the authority host's directory
    listeners: tuple[Listener, ...]
    directories: tuple[tuple[Path, frozenset[str]], ...]  # a host's directory, and the names in it that are not PKI
    kubectl: tuple[str | Path, ...]  # the command, as an administrator


class Generation(t.NamedTuple):
    """A CA that the authority host keeps."""

    authority: str
    stamp: str
    ca: Client

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.ca.certificate.read_text(encoding="utf-8")


class Row(t.NamedTuple):
    """What clients of one authority were told at one endpoint: generation's stamp to verdict, oldest first."""

    endpoint: str
    authority: str
    verdicts: dict[str, str]

    @property
    def newest_accepted(self) -> bool:
        """Whether a client of the newest generation is accepted."""
        return list(self.verdicts.values())[-1:] == [ACCEPTED]

    @property
    def others_refused(self) -> bool:
        """Whether clients of all other generations are refused; also where there is no other."""
        return set(list(self.verdicts.values())[:-1]) <= {REFUSED}


class Judgement(t.NamedTuple):
    """The table of endpoints, and a sentence for each thing that is not as it must be."""

    rows: list[Row]
    problems: list[str]

    def per_endpoint(self, question: t.Callable[[Row], bool]) -> dict[str, bool]:
        """Return endpoint to whether the answer is yes for all authorities that it judges."""
        names = dict.fromkeys(row.endpoint for row in self.rows)
        return {name: all(question(row) for row in self.rows if row.endpoint == name) for name in names}

    def lines(self) -> list[str]:
        """Return the table for people."""
        text = [f"{'endpoint':<28} {'authority':<12} {'older generations':<26} newest"]
        for row in self.rows:
            *others, newest = row.verdicts.values()
            text.append(f"{row.endpoint:<28} {row.authority:<12} {', '.join(dict.fromkeys(others)) or '-':<26} {newest}")
        return text


def scene_of(bed: Bed) -> Scene:
    """Return the loopback bed as what is to be judged."""
    kubeconfig = bed.kubernetes_dir(topology.HOSTS[0].name) / "admin.kubeconfig"
    return Scene(
        bed.directory / "authority",
        tuple(Listener(f"{host.name}/{endpoint.name}", endpoint, host.address)
              for endpoint in ENDPOINTS for host in topology.hosts_of(endpoint.process)),
        tuple((bed.directory / host.name, _NOT_PKI) for host in topology.HOSTS),
        (bed.binaries / "kubectl", "--kubeconfig", kubeconfig))


def generations(authority_directory: Path) -> dict[str, list[Generation]]:
    """Return authority to its generations, oldest first; retired ones are among them."""
    found = {}
    for authority in SUBJECTS:
        directory = authority_directory / authority
        paths = sorted((*directory.glob("*.crt"), *directory.glob("retired/*.crt")), key=lambda path: path.stem)
        found[authority] = [Generation(authority, path.stem, Client(path, path.with_suffix(".key"))) for path in paths]
    return found


class Judge:
    """Asks one cluster. Its own keys are in *folder*, which is private and goes when the judge does."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self._scene = scene
        self._folder = folder
        self._key = openssl.new_key(folder / "judge.key")
        self.generations = generations(scene.authority)
        self._clients = {(one.authority, one.stamp): openssl.client(folder, one.ca, self._key, SUBJECTS[one.authority])
                         for all_of_it in self.generations.values() for one in all_of_it}

    def rows(self) -> list[Row]:
        """Ask every endpoint with a client of every generation."""
        return [Row(one.name, authority, self._ask(one, authority)) for one in self._scene.listeners for authority in one.endpoint.judges]

    def _ask(self, one: Listener, authority: str) -> dict[str, str]:
        question = Question(one.address, one.endpoint.port, one.endpoint.path, _HEADERS.get(authority, ()), one.endpoint.body, one.within)
        return {ca.stamp: openssl.ask(question, self._clients[authority, ca.stamp]) for ca in self.generations[authority]}

    def newest(self, authority: str) -> Generation:
        """Return the generation that must be in use."""
        return self.generations[authority][-1]

    def others(self) -> list[Generation]:
        """Return all generations that must be gone."""
        return [one for all_of_it in self.generations.values() for one in all_of_it[:-1]]

    def serving_problems(self) -> list[str]:
        """Verify what is served against every generation."""
        problems = []
        for one in (one for one in self._scene.listeners if one.endpoint.serves):
            chain = openssl.served_chain(one.address, one.endpoint.port, one.within)
            if not chain:
                problems.append(f"{one.name} serves nothing")
                continue
            *others, newest = self.generations[one.endpoint.serves]
            why = openssl.verifies(self._folder, chain, newest.ca.certificate, one.address)
            problems += [f"{one.name}: what it serves does not verify against {newest.authority} {newest.stamp}: {why}"] if why else []
            problems += [f"{one.name}: what it serves verifies against {ca.authority} {ca.stamp}" for ca in others
                         if not openssl.verifies(self._folder, chain, ca.ca.certificate, one.address)]
        return problems

    def file_problems(self) -> list[str]:
        """Look into every file of every host for generations that must be gone, and for what a rotation must not leave behind."""
        problems, sources = [], {}
        for directory, skipped in self._scene.directories:
            for path in _files(directory, skipped):
                if path.suffix == ".pending":
                    problems.append(f"{path} is left over")
                for pem in _certificates(path):
                    copy = self._folder / f"seen-{len(sources)}.pem"
                    copy.write_text(pem, encoding="utf-8")
                    sources[copy] = path
        problems += [] if sources else ["no certificate is found on any host"]
        for one in self.others():
            problems += [f"{sources[copy]} holds {one.authority} {one.stamp} or a certificate of it"
                         for copy in openssl.from_ca(one.ca.certificate, list(sources))]
        return problems

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl as an administrator.

        :raises subprocess.CalledProcessError: when it fails.
        """
        return subprocess.run([*self._scene.kubectl, "--request-timeout=30s", *arguments],
                              input=given, capture_output=True, text=True, check=True).stdout

    def object_problems(self) -> list[str]:
        """Compare what the cluster publishes with the newest generations."""
        maps = json.loads(self.kubectl("get", "configmaps", "--all-namespaces", "--output=json"))["items"]
        found = {(one["metadata"]["namespace"], one["metadata"]["name"]): one.get("data", {}) for one in maps}
        namespaces = json.loads(self.kubectl("get", "namespaces", "--output=json"))["items"]
        wanted = [(one["metadata"]["name"], "kube-root-ca.crt", "ca.crt", "kubernetes")
                  for one in namespaces if one["status"]["phase"] == "Active"]
        wanted += [("kube-system", "extension-apiserver-authentication", "client-ca-file", "kubernetes"),
                   ("kube-system", "extension-apiserver-authentication", "requestheader-client-ca-file", "front-proxy")]
        problems = []
        for namespace, name, key, authority in wanted:
            held = openssl.fingerprints(found.get((namespace, name), {}).get(key, ""))
            newest = self.newest(authority)
            if held != [openssl.fingerprint(newest.pem)]:
                problems.append(f"{namespace}/{name} {key} holds {len(held)} certificates, not just {authority} {newest.stamp}")
        return problems

    def signing_problems(self) -> list[str]:
        """Have a certificate signed and look by whom."""
        name = f"judge-{secrets.token_hex(4)}"
        request = base64.b64encode(openssl.request(self._key, "/CN=judge").encode()).decode()
        spec = {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"],
                "expirationSeconds": 3600}
        manifest = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": spec}
        self.kubectl("create", "--filename=-", given=json.dumps(manifest))
        self.kubectl("certificate", "approve", name)
        signed = _eventually(lambda: self.kubectl("get", "csr", name, "--output=jsonpath={.status.certificate}"))
        self.kubectl("delete", "csr", name)
        if not signed:
            return [f"a request for a certificate was not signed within {_LIMIT_SECONDS} s"]
        path = self._folder / "signed.pem"
        path.write_text(base64.b64decode(signed).decode(), encoding="utf-8")
        newest = self.newest("kubernetes")
        return [] if openssl.from_ca(newest.ca.certificate, [path]) else [f"a request was not signed by kubernetes {newest.stamp}"]

    def namespace_problems(self) -> list[str]:
        """Make a namespace and look at what its pods would trust."""
        name = f"judge-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        read = ("get", "configmap", "kube-root-ca.crt", f"--namespace={name}", "--ignore-not-found", "--output=jsonpath={.data.ca\\.crt}")
        published = openssl.fingerprints(_eventually(lambda: self.kubectl(*read)))
        self.kubectl("delete", "namespace", name, "--wait=false")
        newest = self.newest("kubernetes")
        return [] if published == [openssl.fingerprint(newest.pem)] else [
            f"a new namespace is given {len(published)} certificates, not just kubernetes {newest.stamp}"]


def _files(directory: Path, skipped: t.Container[str]) -> t.Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        if Path(folder) == directory:
            folders[:] = [name for name in folders if name not in skipped]
        yield from (Path(folder, name) for name in names)


def _certificates(path: Path) -> list[str]:
    """Return the certificates in a file, plain or inline in a kubeconfig; a socket or a link has none of its own."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_FILE:
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    found = openssl.CERTIFICATE.findall(text)
    for value in _INLINE.findall(text):
        try:
            found += openssl.CERTIFICATE.findall(base64.b64decode(value, validate=True).decode("utf-8", "replace"))
        except binascii.Error:
            continue
    return found


def _eventually(look: t.Callable[[], str]) -> str:
    """Return the first answer that is not empty; an empty one when none came in time."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    found = look()
    while not found and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        found = look()
    return found


def judge(scene: Scene) -> Judgement:
    """Judge a cluster whose rotation is finished."""
    with tempfile.TemporaryDirectory(prefix="judge-") as folder:
        asking = Judge(scene, Path(folder))
        rows = asking.rows()
        problems = [f"{row.endpoint}: {row.authority} {stamp} {verdict}" for row in rows if not (row.newest_accepted and row.others_refused)
                    for stamp, verdict in row.verdicts.items()]
        problems += asking.serving_problems() + asking.file_problems()
        try:
            problems += asking.object_problems() + asking.signing_problems() + asking.namespace_problems()
        except subprocess.CalledProcessError as exc:
            problems.append(f"{' '.join(map(str, exc.cmd))}: {exc.stderr.strip()}")
        return Judgement(rows, problems)


def main() -> int:
    """Judge the running bed; return 1 when anything is wrong."""
    bed = bed_of(os.environ)
    if not bed.record.exists():
        print(f"judge: there is no bed in {bed.directory}", file=sys.stderr)
        return 1
    found = judge(scene_of(bed))
    print("\n".join([*found.lines(), "", *(found.problems or ["no problem"])]))
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
