# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The servers behind a caBundle, asked directly: each endpoint of the service that an object names, or the host of its URL."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import tls
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.commands import Run
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.kubectl import Kubectl
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.carry import Server
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.generations import Generations
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.load import load_certificate

HTTPS = 443
_OF_SERVICE = "kubernetes.io/service-name"  # label of EndpointSlices

Address = tuple[str, int]
Client = t.Mapping[str, t.Any]


class Servers:
    """Asks every server once, however many objects name it."""

    def __init__(self, kubectl: Kubectl, run: Run, generations: Generations) -> None:
        self._kubectl, self._run, self._generations = kubectl, run, generations
        self._asked: dict[str, Server] = {}

    def behind(self, client: Client) -> Server | None:
        """Return what the server shows that a client configuration (``service`` or ``url``) names; None where it names none."""
        service, url = client.get("service") or {}, client.get("url") or ""
        if not service and not url:
            return None
        name = f"service {service['namespace']}/{service['name']}:{service.get('port') or HTTPS}" if service else url
        if name not in self._asked:
            self._asked[name] = self._ask(name, service, url)
        return self._asked[name]

    def _ask(self, name: str, service: Client, url: str) -> Server:
        try:
            if url:
                parts = urllib.parse.urlsplit(url)
                return Server(name, self._shown([(parts.hostname or "", parts.port or HTTPS)], parts.hostname or ""), "")
            addresses = self._addresses(service["namespace"], service["name"], service.get("port") or HTTPS)
            return Server(name, self._shown(addresses, f"{service['name']}.{service['namespace']}.svc"), "")
        except (PkiError, ValueError) as exc:
            return Server(name, (), str(exc))

    def _shown(self, addresses: t.Iterable[Address], server_name: str) -> tuple[str, ...]:
        """Return the generations of the leaves, or of what they were issued through; empty names for a foreign one."""
        found = set()
        for address, port in addresses:
            chain = tls.shown(self._run, address, port, server_name).chain
            known = (self._generations.of_leaf(load_certificate(one, f"{address}:{port}")) for one in chain)
            found.add(next(filter(None, known), ""))
        return tuple(sorted(found))

    def _addresses(self, namespace: str, name: str, port: int) -> list[Address]:
        subject = f"service {namespace}/{name}"
        service = self._kubectl.get("service", name, namespace)
        if service is None:
            raise PkiError(subject, "does not exist")
        if service["spec"].get("type") == "ExternalName":
            return [(service["spec"]["externalName"], port)]
        names = [one.get("name", "") for one in service["spec"].get("ports") or [] if one["port"] == port]
        slices = self._kubectl.list("endpointslices", namespace, label_selector=f"{_OF_SERVICE}={name}")
        found = [(address, one["port"]) for part in slices for one in part.get("ports") or [] if one.get("name", "") in names
                 for endpoint in part.get("endpoints") or [] if (endpoint.get("conditions") or {}).get("ready") is not False
                 for address in endpoint["addresses"]]
        if not found:
            raise PkiError(subject, f"nothing is ready behind its port {port}")
        return found
