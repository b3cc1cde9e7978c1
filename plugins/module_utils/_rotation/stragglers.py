# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Stragglers: whoever would be hurt when the old generation goes, and what to do about it. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM_FLAGS
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.workloads import Workload

CERTIFICATE = "certificate"
CONFIGURATION = "configuration"
SERVER = "server"
WORKLOAD = "workload"

REMEDIES = {
    CERTIFICATE: "have its owner ask for a new one once the phase issue is over; requests are kept for about an hour, so older ones are "
                 "not seen",
    CONFIGURATION: "make it name the layout's file, or the next kubeadm upgrade writes the other one into the manifest",
    SERVER: "give the server a certificate of the new generation, or of a CA of its own, then run again: until then its caBundle keeps "
            "the old one",
    WORKLOAD: "restart it once the phase trust-clients is over, and once more at the end",
}


class Straggler(t.NamedTuple):
    """One who would be hurt. ``kind`` is a key of REMEDIES, ``owner`` whoever can do something about it."""

    kind: str
    name: str
    owner: str
    reason: str
    remedy: str = ""  # where it differs from its kind's
    namespace: str = ""  # where it is in one

    def told(self) -> dict[str, str]:
        """Return it as results tell it, with ``text`` for people."""
        remedy = self.remedy or REMEDIES[self.kind]
        of = f" (of {self.owner})" if self.owner else ""
        return {**self._asdict(), "remedy": remedy, "text": f"{self.name}{of}: {self.reason} ({remedy})"}


def workload(one: Workload, reason: str = "") -> Straggler:
    """Return a workload that nothing restarts, with the reason if it is not the workload's own."""
    return Straggler(WORKLOAD, one.label, f"service account {one.account}", reason or one.reason, namespace=one.namespace)


def weigh(found: t.Sequence[t.Mapping[str, str]], accepted: t.Any) -> tuple[list[t.Mapping[str, str]], list[t.Mapping[str, str]]]:
    """Return who is left to be looked after, and who is accepted to be hurt.

    :param found: stragglers as results tell them.
    :param accepted: what an expression has picked out of *found*: a list of them, one of them, or nothing.
    :raises PkiError: when it is something else.
    """
    picked = accepted if isinstance(accepted, list) else [accepted] if accepted else []
    if any(one not in found for one in picked):
        raise PkiError("accept", f"picks {picked!r}, which are no entries of the report",
                       "make it return entries, such as [?namespace=='dev'] or [?kind=='certificate']")
    return [one for one in found if one not in picked], [one for one in found if one in picked]


class Issued(t.NamedTuple):
    """A certificate that the certificates API has handed out: the request's name and user, and what was signed."""

    request: str
    user: str
    subject: str
    generation: str
    not_after: str
    expired: bool


def certificates(issued: t.Iterable[Issued], old: t.Container[str]) -> list[Straggler]:
    """Return the certificates of generations that go which could still be used."""
    return [Straggler(CERTIFICATE, f"CertificateSigningRequest {one.request}", one.user,
                      f"the certificate for {one.subject} is of {one.generation}, valid until {one.not_after}")
            for one in issued if one.generation in old and not one.expired]


def configuration(cluster: t.Mapping[str, t.Any], certificates_dir: str) -> list[Straggler]:
    """Return what a ClusterConfiguration of kubeadm says against the layout: another directory, or flags with other CA files.

    :param certificates_dir: where the layout keeps the PKI.
    """
    subject = "ConfigMap kube-system/kubeadm-config"
    found = []
    named = cluster.get("certificatesDir") or certificates_dir
    if named != certificates_dir:
        found.append(Straggler(CONFIGURATION, subject, "kubeadm", f"certificatesDir is {named}, the layout's is {certificates_dir}"))
    local = (cluster.get("etcd") or {}).get("local") or {}
    for component, holder in (("apiServer", cluster.get("apiServer")), ("controllerManager", cluster.get("controllerManager")),
                              ("scheduler", cluster.get("scheduler")), ("etcd.local", local)):
        for flag, value in _arguments((holder or {}).get("extraArgs")):
            wanted = KUBEADM_FLAGS.get(flag)
            if wanted and value != f"{certificates_dir}/{wanted}":
                found.append(Straggler(CONFIGURATION, subject, "kubeadm",
                                       f"{component}.extraArgs {flag} is {value}, the layout's is {certificates_dir}/{wanted}"))
    return found


def _arguments(extra: t.Any) -> list[tuple[str, str]]:
    """Return flags and values: a mapping until v1beta3, a list from v1beta4 on."""
    if isinstance(extra, dict):
        return list(extra.items())
    return [(one.get("name", ""), one.get("value", "")) for one in extra or []]
