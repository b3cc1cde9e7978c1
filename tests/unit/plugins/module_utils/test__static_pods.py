# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static pods: their manifests are parked, changed and put back. That a kubelet follows is shown on the kubeadm bed."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import static_pods
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kube-scheduler"},
       "spec": {"containers": [{"command": ["kube-scheduler", "--leader-elect=true", "--a=1"]}]}}


@pytest.fixture(name="manager")
def fixture_manager(tmp_path):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "manifests" / "kube-scheduler.yaml").write_text(yaml.safe_dump(POD))
    return static_pods.StaticPods(str(tmp_path), str(tmp_path / "state"), None)


def test_a_stopped_pod_is_parked_out_of_sight_and_comes_back_as_another_pod(manager, tmp_path):
    manager.stop("kube-scheduler")
    assert list((tmp_path / "manifests").iterdir()) == []
    manager.set_flags("kube-scheduler", {"--a": "2", "--b": "3"})
    manager.start("kube-scheduler")
    pod = yaml.safe_load((tmp_path / "manifests" / "kube-scheduler.yaml").read_text())
    assert pod["spec"]["containers"][0]["command"] == ["kube-scheduler", "--leader-elect=true", "--a=2", "--b=3"]
    assert static_pods.RESTARTED_AT in pod["metadata"]["annotations"]
    assert list((tmp_path / "state" / "manifests").iterdir()) == []


def test_starting_what_was_not_stopped_changes_nothing(manager, tmp_path):
    before = (tmp_path / "manifests" / "kube-scheduler.yaml").read_text()
    manager.start("kube-scheduler")
    assert (tmp_path / "manifests" / "kube-scheduler.yaml").read_text() == before


def test_flags_are_those_with_a_value_and_are_set_once(manager):
    assert manager.flags("kube-scheduler") == {"--leader-elect": "true", "--a": "1"}
    assert manager.flags("kube-apiserver") == {}
    assert manager.set_flags("kube-scheduler", {"--a": "1"}) is False


@pytest.mark.parametrize(("content", "problem"), [("{", "is not YAML"), ("kind: Pod", "is not the manifest of a pod")])
def test_a_damaged_manifest_is_named(manager, tmp_path, content, problem):
    (tmp_path / "manifests" / "kube-scheduler.yaml").write_text(content)
    with pytest.raises(PkiError, match=f"kube-scheduler.yaml: {problem}"):
        manager.flags("kube-scheduler")


@pytest.mark.parametrize("container", [
    {"command": ["/bin/sh", "-c", "exec kube-scheduler --a=1"]},
    {"command": ["kube-scheduler", "--a", "1"]},
    {"command": ["kube-scheduler"], "args": ["--a=1"]},
    {"args": ["kube-scheduler", "--a=1"]},
])
def test_a_command_that_flags_cannot_be_set_in_is_refused_before_anything_is_stopped(manager, tmp_path, container):
    """A flag that is appended to a shell's words is one that nobody reads."""
    path = tmp_path / "manifests" / "kube-scheduler.yaml"
    path.write_text(yaml.safe_dump({**POD, "spec": {"containers": [container]}}))
    before = path.read_text()
    with pytest.raises(PkiError, match=r"kube-scheduler.yaml: its command is not kube-scheduler and --flag=value alone, so --a cannot"):
        manager.check_flags("kube-scheduler", {"--a": "2"})
    with pytest.raises(PkiError, match="cannot be set"):
        manager.set_flags("kube-scheduler", {"--a": "2"})
    assert path.read_text() == before


def test_of_two_manifests_the_kubelets_is_the_one_that_counts(manager, tmp_path):
    manager.stop("kube-scheduler")
    parked = tmp_path / "state" / "manifests" / "kube-scheduler.yaml"
    (tmp_path / "manifests" / "kube-scheduler.yaml").write_text(parked.read_text().replace("--a=1", "--a=5"))
    assert manager.flags("kube-scheduler")["--a"] == "5"
