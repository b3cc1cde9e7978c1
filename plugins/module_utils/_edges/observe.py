# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""observe: the facts of one host, from its files, its service manager and its TLS endpoints. Never a key byte."""

from __future__ import annotations

import concurrent.futures
import glob
import json
import os
import re
import time
import typing as t
import uuid

from ansible_collections.rekey.kubernetes.plugins.module_utils import _kubeconfig, _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.endpoints import Endpoint
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import Bundle, Copy, Pair
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files, leaf_stores, ready, reloads, services, tls
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import IDENTITY, SIGNER, SIGNER_INPUT
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import tokens
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import certificate_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, load_key
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import pair_matches

PARALLEL = 8
POD_VOLUMES = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*"
# Three parts, the first of which is a JSON object in base64url: a token may have any name in its volume.
_TOKEN = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+\s*")
PAIR_FACTS = ("subject", "common_name", "organizations", "not_after", "remaining_days", "fingerprint_sha256", "sans")
_FRONT_PROXY_HEADERS = {"X-Remote-User": items.CANARY_USER, "X-Remote-Group": "system:authenticated"}
_WHO_AM_I = tls.Request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                        json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode(),
                        {"Content-Type": "application/json"})
# A linearizable read: it needs the quorum, not only this member (etcd's gRPC gateway; the key is base64).
_ETCD_READ = tls.Request("POST", "/v3/kv/range", b'{"key":"cGtpLWNhbmFyeQ=="}', {"Content-Type": "application/json"})


class Observer(t.NamedTuple):
    """One host with what is needed to judge what is seen there."""

    on: hosts.Host
    generations: Generations
    names: tuple[str, ...]  # of the known generations
    manager: services.Manager
    service_names: t.Mapping[str, str]  # process → service
    run: Run
    claims: t.Mapping[str, t.Any] = {}  # of the service account that canaries of its key are for

    def observe(self, now: t.Any, everything: bool = True) -> dict[str, t.Any]:
        """Return the observation that ``_rotation.plan`` documents.

        :param now: an aware datetime.
        :param everything: False leaves processes and endpoints out.
        """
        files_seen = {
            "clock": time.time(),
            "tokens": self._tokens() if everything else {},
            "reloads": reloads.counted() if "kubelet" in self.on.components else {},
            "pairs": {name: self._pair(pair, now) for name, pair in hosts.pairs(self.on).items()
                      if _belongs(pair, pair.certificate_path)},
            "bundles": {name: self._bundle(row) for name, row in hosts.bundles(self.on).items() if _belongs(row, row.path)},
            "copies": {name: self._copy(row) for name, row in hosts.copies(self.on).items() if not row.home or _has_key(row)},
        }
        if not everything:
            return {**files_seen, "processes": {}, "endpoints": {}, "etcd_leader": False, "version": ""}
        processes = {process.name: self._process(process.name) for process in hosts.processes(self.on)}
        return {**files_seen, "processes": processes, **self._endpoints(), "volumes": self._volumes()}

    def _volumes(self) -> dict[str, list[str]]:
        """Return path → generations of every copy of kube-root-ca.crt in a running pod's projected volume."""
        found = {}
        for path in glob.glob(f"{POD_VOLUMES}/ca.crt") if "kubelet" in self.on.components else []:
            content = files.read(path)
            if content is not None:  # its pod may end at any time
                found[path] = [self.generations.of_anchor(block) for block in _pem.certificates(content.decode("utf-8", "replace"), path)]
        return found

    def _tokens(self) -> dict[str, str]:
        """Return path → generation whose key signed it, for every token of a service account in a running pod's projected volume."""
        found = {}
        for path in glob.glob(f"{POD_VOLUMES}/*") if "kubelet" in self.on.components else []:
            content = files.read(path) if os.path.isfile(path) else None
            if content is not None and _TOKEN.fullmatch(content):
                found[path] = self.generations.of_token(content.decode("ascii"))
        return found

    def _pair(self, pair: Pair, now: t.Any) -> dict[str, t.Any]:
        path = pair.certificate_path
        content, key = leaf_stores.read(pair.store, path, pair.key_path)
        if content is None:
            return {"path": path, "exists": False, "generation": "", "changed_at": 0.0, "problem": "no certificate"}
        certificate = load_certificate(content.decode("utf-8", "replace"), path)
        problem = "no key" if key is None else ""
        if key is not None and not pair_matches(load_key(key, pair.key_path), certificate):
            problem = "key and certificate do not match"
        problem = problem or self._unused(pair)
        facts = certificate_facts(certificate, now)
        return {"path": path, "exists": True, "generation": self.generations.of_leaf(certificate),
                "changed_at": os.stat(path).st_mtime, "problem": problem, **{name: facts[name] for name in PAIR_FACTS}}

    def _unused(self, pair: Pair) -> str:
        """Say why the kubelet does not use its store of client certificates; empty where it does, and for any other pair.

        A kubelet.conf of an early kubeadm init has a pair of its own inside, which the kubelet takes instead.
        """
        identity = pair.store == leaf_stores.KUBELET and pair.leaf == IDENTITY
        kubeconfig = hosts.bundles(self.on).get("kubelet-kubeconfig") if identity else None
        if kubeconfig is None or not os.path.exists(kubeconfig.path):
            return ""
        named = leaf_stores.named(kubeconfig.path)
        instead = f"names {named}" if named else "has a pair of its own"
        return "" if named == pair.base else f"{kubeconfig.path} {instead} instead of it (let it name it, and restart the kubelet)"

    def _bundle(self, row: Bundle) -> dict[str, t.Any]:
        content = files.read(row.path)
        if content is None:
            return {"path": row.path, "exists": False, "generations": [], "changed_at": 0.0}
        text = content.decode("utf-8", "replace")
        split = _pem.split if row.authority == SERVICE_ACCOUNTS else _pem.certificates
        if row.inline:
            inline = _kubeconfig.authority_data(_kubeconfig.parse(text, row.path), None, row.path).values()
            text = "".join(_kubeconfig.decode(one, row.path) for one in inline)
        return {"path": row.path, "exists": True, "changed_at": os.stat(row.path).st_mtime,
                "generations": [self.generations.of_anchor(block) for block in split(text, row.path)]}

    def _copy(self, row: Copy) -> dict[str, t.Any]:
        if not row.public:
            exists = os.path.exists(row.key)
            return {"path": row.key, "exists": exists, "generation": self._of_key(row.key), "apart": False, "home": "",
                    "changed_at": os.stat(row.key).st_mtime if exists else 0.0}
        apart = bool(row.home) and self._signs_apart(row)
        path = row.public if not row.home or os.path.exists(row.public) else row.home
        content = files.read(path)
        seen = {"path": path, "exists": content is not None, "generation": "", "changed_at": 0.0, "apart": apart,
                "home": self._of_key(row.home_key) if row.home else ""}
        if content is None:
            return seen
        blocks = _pem.split(content.decode("utf-8", "replace"), path)
        generation = self.generations.of_anchor(blocks[0]) if blocks and blocks[0].label == "CERTIFICATE" else ""
        return {**seen, "changed_at": os.stat(path).st_mtime, "generation": generation}

    def _signs_apart(self, row: Copy) -> bool:
        """Whether the controller-manager is told to sign with the pair that a rotation keeps away from its home."""
        flags = self.manager.flags("kube-controller-manager") if row.name == SIGNER else {}
        return flags.get(SIGNER_INPUT) == row.public

    def _of_key(self, path: str) -> str:
        content = files.read(path)
        return self.generations.of_key(load_key(content, path)) if content else ""

    def _process(self, name: str) -> dict[str, t.Any]:
        service = self.manager.look(self.service_names.get(name) or name)
        return {"running": service.running, "pid": service.pid, "started": service.started or 0.0, "flags": self.manager.flags(name)}

    def _endpoints(self) -> dict[str, t.Any]:
        asked = gates.endpoints(self.on)
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            shown = {one.name: pool.submit(self._shown, one) for one in asked}
            healthy = {one.name: pool.submit(self._ready, one) for one in asked}
            canaries = {(one.name, name): pool.submit(self._canary, one, name)
                        for one in asked for name in self.names if self._has_canary(one, name)}
            leader = pool.submit(ready.etcd_leads, self.on) if "etcd" in self.on.components else None
            version = pool.submit(ready.api_version, self.on) if "kube-apiserver" in self.on.components else None
        seen = {one.name: {**shown[one.name].result(), **healthy[one.name].result(), "canaries": {}} for one in asked}
        for (endpoint, name), answer in canaries.items():
            seen[endpoint]["canaries"][name] = answer.result()
        return {"endpoints": seen, "etcd_leader": bool(leader and leader.result()), "version": version.result() if version else ""}

    def _has_canary(self, endpoint: Endpoint, generation: str) -> bool:
        authority, _slash, stamp = generation.partition("/")
        if authority == SERVICE_ACCOUNTS and not self.claims:
            return False
        ending = "key" if authority == SERVICE_ACCOUNTS else "crt"
        return authority in dict(endpoint.judges) and os.path.exists(f"{items.canary_base(self.on, authority, stamp)}.{ending}")

    def _shown(self, endpoint: Endpoint) -> dict[str, t.Any]:
        if not endpoint.serves and not endpoint.offers:
            return {"serves": "", "offers": [], "error": ""}
        try:
            found = tls.shown(self.run, hosts.address(self.on, endpoint.process), endpoint.port)
            leaf = load_certificate(found.chain[0], f"{self.on.address}:{endpoint.port}")
        except PkiError as exc:
            return {"serves": "", "offers": [], "error": str(exc)}
        return {"serves": self.generations.of_leaf(leaf), "error": "",
                "offers": sorted(self.generations.of_subject(name) for name in found.offers)}

    def _ready(self, endpoint: Endpoint) -> dict[str, t.Any]:
        return {"ready": ready.is_ready(self.on, endpoint.process)}

    def _canary(self, endpoint: Endpoint, generation: str) -> str:
        """Ask with the canary: ``accepted``, ``refused``, or what went wrong, which proves neither."""
        authority, _slash, stamp = generation.partition("/")
        base = items.canary_base(self.on, authority, stamp)
        request = _ETCD_READ if endpoint.name == "etcd" else tls.Request("GET", "/version")
        if endpoint.protocol == "kubernetes":
            request = _WHO_AM_I if endpoint.name == "kube-apiserver" else tls.Request("GET", "/metrics")
        if authority == "front-proxy":
            request = request._replace(headers={**request.headers, **_FRONT_PROXY_HEADERS})
        user = items.CANARY_USER
        if authority == SERVICE_ACCOUNTS:
            user = self.claims["sub"]
            token = tokens.canary(load_key(files.require(f"{base}.key"), f"{base}.key"), self.claims, time.time(), uuid.uuid4().hex)
            request = request._replace(headers={**request.headers, "Authorization": f"Bearer {token}"})
        else:
            request = request._replace(certificate_path=f"{base}.crt", key_path=f"{base}.key")
        return _verdict(endpoint, tls.ask(hosts.address(self.on, endpoint.process), endpoint.port, request), user)


def _belongs(row: Pair | Bundle, path: str) -> bool:
    return not row.optional or os.path.exists(path)


def _has_key(row: Copy) -> bool:
    """Whether the host is one that keeps the authority's key: in kubeadm's external CA mode none does."""
    return os.path.exists(row.home_key) or os.path.exists(row.key)


def _verdict(endpoint: Endpoint, answer: tls.Answer, user: str) -> str:
    """Judge an answer. A Kubernetes endpoint names the user it saw: a bare 403 could be the anonymous one's.

    :param user: whom the canary is for.
    """
    if answer.error:
        return f"error: {answer.error}"
    if endpoint.protocol == "etcd":
        return "accepted" if answer.status == 200 else "refused" if answer.refused else f"error: HTTP {answer.status}"
    if answer.refused or answer.status == 401:
        return "refused"
    if answer.status in (200, 201, 403) and user.encode() in answer.body:
        return "accepted"
    return f"error: HTTP {answer.status} for another user"
