# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a Kubernetes version to the versions of everything that is built for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopback_bed import versions
from loopback_bed.errors import BedError
from loopback_bed.versions import DEFAULT, Version

OWN_GO_MOD = """\
module k8s.io/kubernetes

go 1.25.0

godebug default=go1.25

require (
\tgithub.com/google/uuid v1.6.0
\tk8s.io/api v0.0.0
\tk8s.io/client-go v0.0.0
\tk8s.io/klog/v2 v2.130.1
\tk8s.io/kube-openapi v0.0.0-20260721132016-d427ff9ee9ad
\tk8s.io/metrics v0.0.0 // indirect
)
"""


@pytest.mark.parametrize(("text", "version"), [
    ("v1.37.2", Version(1, 37, 2)), ("1.36.3", Version(1, 36, 3)), ("1.35", Version(1, 35, 4)), ("v1.36", Version(1, 36, 2)),
    ("1.37", Version(1, 37, 2)), ("1.38.0", Version(1, 38, 0))])
def test_a_version_is_understood_as_people_write_it(text: str, version: Version) -> None:
    assert versions.parse(text) == version


@pytest.mark.parametrize(("text", "said"), [
    ("latest", "not a version"), ("1.34.9", "1.35 and later"), ("1.99", "v1.99.0"), ("", "not a version")])
def test_other_versions_are_refused_with_a_way_out(text: str, said: str) -> None:
    with pytest.raises(BedError, match=re.escape(said)):
        versions.parse(text)


@pytest.mark.parametrize(("version", "etcd"), [
    (Version(1, 35, 4), "v3.6.16"), (Version(1, 36, 2), "v3.6.16"), (Version(1, 37, 2), "v3.7.3"), (Version(1, 38, 0), "v3.7.3")])
def test_etcd_goes_with_kubernetes(version: Version, etcd: str) -> None:
    assert versions.etcd_version(version) == etcd


def test_the_committed_modules_are_those_of_the_default_version(loopback: Path) -> None:
    kubernetes = (loopback / "go" / "kubernetes" / "go.mod").read_text()
    assert versions.required_version(kubernetes, versions.KUBERNETES_MODULE) == str(DEFAULT)
    assert set(re.findall(r"=> k8s\.io/\S+ (\S+)", kubernetes)) == {DEFAULT.staging}
    etcd = (loopback / "go" / "etcd" / "go.mod").read_text()
    assert versions.required_version(etcd, versions.ETCD_MODULE) == versions.etcd_version(DEFAULT)


def test_only_modules_of_kubernetes_own_tree_are_replaced() -> None:
    assert versions.staging_modules(OWN_GO_MOD) == ["k8s.io/api", "k8s.io/client-go", "k8s.io/metrics"]


def test_another_version_gets_a_go_mod_of_its_own() -> None:
    made = versions.kubernetes_go_mod(Version(1, 35, 4), OWN_GO_MOD)
    assert "\nrequire k8s.io/kubernetes v1.35.4\n" in made
    assert "\nk8s.io/api" not in made
    assert "\tk8s.io/client-go => k8s.io/client-go v0.35.4\n" in made
    assert "\ngo 1.25.0\ngodebug default=go1.25\n" in made
    assert made.count("k8s.io/kubernetes/cmd/") == len((*versions.CONTROL_PLANE_COMMANDS, *versions.NODE_COMMANDS))


def test_an_etcd_whose_go_mod_is_too_old_for_tool_lines_gets_a_newer_go_line() -> None:
    made = versions.etcd_go_mod("v3.6.16", "module go.etcd.io/etcd/server/v3\n\ngo 1.23.0\n")
    assert "\ngo 1.24.0\n" in made
    assert "\nrequire go.etcd.io/etcd/server/v3 v3.6.16\n" in made


def test_binaries_are_told_their_version() -> None:
    flags = versions.link_flags(Version(1, 36, 2))
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.2 " in flags
    assert flags.endswith("-X k8s.io/client-go/pkg/version.gitVersion=v1.36.2")
