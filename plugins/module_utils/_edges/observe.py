# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""observe: the facts of one host, from its files, its service manager and its TLS endpoints. Never a key byte."""

from __future__ import annotations

import concurrent.futures
import json
import os
import time
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts, items
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.endpoints import Endpoint
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import files, ready, services, tls
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import gates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.facts import certificate_facts
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate, load_key
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.verify import pair_matches

PARALLEL = 8
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

    def observe(self, now: t.Any, everything: bool = True) -> dict[str, t.Any]:
        """Return the observation that ``_rotation.plan`` documents.

        :param now: an aware datetime.
        :param everything: False leaves processes and endpoints out.
        """
        files_seen = {
            "clock": time.time(),
            "pairs": {name: self._pair(pair.base, now) for name, pair in hosts.pairs(self.on).items()},
            "bundles": {name: self._bundle(row.path) for name, row in hosts.bundles(self.on).items()},
            "copies": {name: self._copy(row.public) for name, row in hosts.copies(self.on).items()},
        }
        if not everything:
            return {**files_seen, "processes": {}, "endpoints": {}, "etcd_leader": False, "version": ""}
        processes = {process.name: self._process(process.name) for process in hosts.processes(self.on)}
        return {**files_seen, "processes": processes, **self._endpoints()}

    def _pair(self, base: str, now: t.Any) -> dict[str, t.Any]:
        content = files.read(f"{base}.crt")
        if content is None:
            return {"path": f"{base}.crt", "exists": False, "generation": "", "changed_at": 0.0, "problem": "no certificate"}
        certificate = load_certificate(content.decode("utf-8", "replace"), f"{base}.crt")
        key = files.read(f"{base}.key")
        problem = "no key" if key is None else ""
        if key is not None and not pair_matches(load_key(key, f"{base}.key"), certificate):
            problem = "key and certificate do not match"
        facts = certificate_facts(certificate, now)
        return {"path": f"{base}.crt", "exists": True, "generation": self.generations.of_leaf(certificate),
                "changed_at": os.stat(f"{base}.crt").st_mtime, "problem": problem,
                **{name: facts[name] for name in ("subject", "not_after", "remaining_days", "fingerprint_sha256", "sans")}}

    def _bundle(self, path: str) -> dict[str, t.Any]:
        content = files.read(path)
        if content is None:
            return {"path": path, "exists": False, "generations": [], "changed_at": 0.0}
        blocks = _pem.certificates(content.decode("utf-8", "replace"), path)
        return {"path": path, "exists": True, "changed_at": os.stat(path).st_mtime,
                "generations": [self.generations.of_anchor(block) for block in blocks]}

    def _copy(self, path: str) -> dict[str, t.Any]:
        content = files.read(path)
        if content is None:
            return {"path": path, "exists": False, "generation": "", "changed_at": 0.0}
        blocks = _pem.split(content.decode("utf-8", "replace"), path)
        return {"path": path, "exists": True, "changed_at": os.stat(path).st_mtime,
                "generation": self.generations.of_anchor(blocks[0]) if blocks and blocks[0].label == "CERTIFICATE" else ""}

    def _process(self, name: str) -> dict[str, t.Any]:
        service = self.manager.look(self.service_names.get(name) or name)
        return {"running": service.running, "pid": service.pid, "started": service.started or 0.0}

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
        return authority in dict(endpoint.judges) and os.path.exists(f"{items.canary_base(self.on, authority, stamp)}.crt")

    def _shown(self, endpoint: Endpoint) -> dict[str, t.Any]:
        if not endpoint.serves and not endpoint.offers:
            return {"serves": "", "offers": [], "error": ""}
        try:
            found = tls.shown(self.run, self.on.address, endpoint.port)
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
        answer = tls.ask(self.on.address, endpoint.port, request._replace(certificate_path=f"{base}.crt", key_path=f"{base}.key"))
        return _verdict(endpoint, answer)


def _verdict(endpoint: Endpoint, answer: tls.Answer) -> str:
    """Judge an answer. A Kubernetes endpoint names the user it saw: a bare 403 could be the anonymous one's."""
    if answer.error:
        return f"error: {answer.error}"
    if endpoint.protocol == "etcd":
        return "accepted" if answer.status == 200 else "refused" if answer.refused else f"error: HTTP {answer.status}"
    if answer.refused or answer.status == 401:
        return "refused"
    if answer.status in (200, 201, 403) and items.CANARY_USER.encode() in answer.body:
        return "accepted"
    return f"error: HTTP {answer.status} for another user"
