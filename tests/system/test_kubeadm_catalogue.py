# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the layout kubeadm against kubeadm itself, certificate by certificate, for every version that is supported."""

from __future__ import annotations

import copy
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

import kubeadm_files
from loopback_bed import binaries, versions
from loopback_bed.errors import BedError
from loopback_bed.places import cache_of
from loopback_bed.progress import Progress
from loopback_bed.versions import Version

LeaveOut = t.Callable[[str], t.NoReturn]
Difference = tuple[t.Any, t.Any]

KUBELET_STORE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBELET_CONF = "kubelet.conf"
_KUBELET = {"common name": {"system:node:cp1"}, "organizations": {"system:nodes"}, "issuer": {"kubernetes"}, "usages": {"client_auth"},
            "DNS names": set(), "addresses": set()}
# Where the tables differ on purpose: (file, what) -> (kubeadm, ours). kubeadm init puts the kubelet's first certificate into
# kubelet.conf, the kubelet takes it over into its store, and kubeadm then has kubelet.conf name the store: the tables begin there.
ALWAYS: dict[tuple[str, str], Difference] = {
    (KUBELET_STORE, "file"): ("absent", "there"),
    **{(KUBELET_CONF, what): (value, None) for what, value in _KUBELET.items()},
}
# Before 1.35.5 and 1.36.1 the API servers' certificate has this group; later kubeadm binds its user to a role of its own.
KUBELET_CLIENT = {("pki/apiserver-kubelet-client.crt", "organizations"): ({"kubeadm:cluster-admins"}, set())}


def on_purpose(version: Version) -> dict[tuple[str, str], Difference]:
    """Return the differences that this version of kubeadm is known for."""
    old = version < Version(1, 35, 5) or Version(1, 36, 0) <= version < Version(1, 36, 1)
    return {**ALWAYS, **(KUBELET_CLIENT if old else {})}


@pytest.fixture(name="made", scope="module", params=versions.SUPPORTED, ids=str)
def fixture_made(request: pytest.FixtureRequest, leave_out: LeaveOut, tmp_path_factory: pytest.TempPathFactory) -> tuple[Version, Path]:
    """Return a version and the directory in which its kubeadm has made all certificates and kubeconfigs."""
    version: Version = request.param
    try:
        found = binaries.obtain({**os.environ, "KUBERNETES_VERSION": str(version)}, cache_of(os.environ), Progress(), ("kubeadm",))
    except BedError as exc:
        leave_out(f"kubeadm {version}: {exc}")
    folder = tmp_path_factory.mktemp(str(version))
    configuration = tmp_path_factory.mktemp("configuration") / "kubeadm.yaml"
    configuration.write_text(kubeadm_files.configuration(str(version), folder), encoding="utf-8")
    for phase in (["certs", "all"], ["kubeconfig", "all", "--kubeconfig-dir", str(folder)]):
        subprocess.run([found.directory / "kubeadm", "init", "phase", *phase, "--config", configuration], check=True, capture_output=True)
    return version, folder


def test_kubeadm_makes_what_our_tables_say(made: tuple[Version, Path]) -> None:
    version, folder = made
    found = kubeadm_files.differences(kubeadm_files.made_by_kubeadm(folder), kubeadm_files.said_by_our_tables())
    assert found == on_purpose(version)


def test_the_issuer_that_a_certificate_names_has_signed_it(made: tuple[Version, Path]) -> None:
    """The names say who signed; openssl says whether that is so."""
    _version, folder = made
    authorities = {"kubernetes": "pki/ca.crt", "etcd-ca": "pki/etcd/ca.crt", "front-proxy-ca": "pki/front-proxy-ca.crt"}
    said = {path: facts for path, facts in kubeadm_files.said_by_our_tables().items() if path.endswith(".crt") and "issuer" in facts}
    assert len(said) == 7
    for path, facts in said.items():
        ca = folder / authorities[next(iter(facts["issuer"]))]
        subprocess.run(["openssl", "verify", "-CAfile", ca, folder / path], check=True, capture_output=True)


def test_what_a_new_kubeadm_adds_changes_or_drops_is_named() -> None:
    ours = kubeadm_files.said_by_our_tables()
    kubeadm = copy.deepcopy(ours)
    kubeadm["pki/new-client.crt"] = {}
    kubeadm["pki/apiserver.crt"]["DNS names"].add("kubernetes.default.svc.cluster")
    del kubeadm["scheduler.conf"]
    named = {"pki/new-client.crt", "pki/apiserver.crt", "scheduler.conf"}
    assert {path for path, _what in kubeadm_files.differences(kubeadm, ours)} == named
