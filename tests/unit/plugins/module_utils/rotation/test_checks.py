# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What forbids to start is named before anything is touched."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import checks
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stand import stands
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.rotation import observations as seen

ON = {name: seen.host(name) for name in ("n1", "n2", "n3")}


def problems(change=None, pending=False):
    """Return the problems after *change* has changed the observations of n1, n2 and n3."""
    observed = {name: seen.healthy(on) for name, on in ON.items()}
    known = seen.known(new=pending)
    if change:
        change(observed, known)
    look = checks.Look(observed, seen.NOW, seen.NOW + 5)
    return checks.problems(ON, look, known, stands(known, observed, {}, ["kubernetes", "etcd", "front-proxy"]))


def test_a_healthy_cluster_has_no_problem():
    assert problems() == []


@pytest.mark.parametrize(("change", "text"), [
    (lambda seen_, known: seen_["n2"].update(version="v1.36.1"), "different minor versions"),
    (lambda seen_, known: seen_["n2"].update(clock=seen.NOW + 600), "n2: its clock differs"),
    (lambda seen_, known: seen_["n2"].update(clock=seen.NOW - 600), "n2: its clock differs"),
    (lambda seen_, known: seen_["n3"]["processes"]["etcd"].update(running=False), "n3: etcd does not run"),
    (lambda seen_, known: seen_["n1"]["endpoints"]["kube-apiserver"].update(ready=False), "n1: endpoint kube-apiserver is not ready"),
    (lambda seen_, known: seen_["n1"]["bundles"]["etcd"]["generations"].append("unknown sha256:00ff"), "/e/ca.crt: holds a foreign CA"),
    (lambda seen_, known: seen_["n1"]["pairs"]["apiserver"].update(problem="key and certificate do not match"), "do not match"),
    (lambda seen_, known: seen_["n1"]["pairs"]["apiserver"].update(remaining_days=-1), "expired"),
    (lambda seen_, known: known[seen.OLD["etcd"]].update(key_exists=False), "is not on the authority host"),
    (lambda seen_, known: known[seen.OLD["etcd"]].update(remaining_days=0), "an expired authority cannot be rotated"),
])
def test_each_unsound_state_is_named(change, text):
    found = problems(change)
    assert [one for one in found if text in one], found


def test_two_of_three_members_down_is_no_quorum_even_while_pending():
    def change(observed, _known):
        for name in ("n1", "n2"):
            observed[name]["endpoints"]["etcd"]["ready"] = False
    assert [one for one in problems(change, pending=True) if "etcd has no quorum: 1 of 3" in one]


def test_a_window_that_was_cut_short_does_not_forbid_to_go_on():
    def change(observed, _known):
        observed["n1"]["processes"]["kube-apiserver"]["running"] = False
        observed["n1"]["endpoints"]["kube-apiserver"]["ready"] = False
    assert problems(change, pending=True) == []
    assert problems(change) != []


PKI = "/etc/kubernetes/pki"
ELSEWHERE = [
    ("kube-apiserver", "--client-ca-file", "/etc/kubernetes/ssl/ca.crt", f"a rotation writes {PKI}/ca.crt"),
    ("kube-apiserver", "--etcd-cafile", "/etc/ssl/etcd/ca.pem", f"a rotation writes {PKI}/etcd/ca.crt"),
    ("kube-controller-manager", "--cluster-signing-cert-file", "/etc/kubernetes/ssl/ca.crt", f"a rotation writes {PKI}/ca.crt"),
    ("kube-apiserver", "--client-ca-file", f"{PKI}/ca.crt", ""),
    ("kube-controller-manager", "--cluster-signing-cert-file", f"{PKI}/.rekey/kubernetes-ca.crt", ""),
    ("kube-apiserver", "--profiling", "false", ""),
]


@pytest.mark.parametrize(("process", "flag", "value", "text"), ELSEWHERE)
def test_a_process_that_reads_another_file_than_the_layouts_is_named(process, flag, value, text):
    on = hosts.host({"name": "n1", "address": "192.0.2.1", "groups": ["etcd", "kube_control_plane"], "layout": "kubeadm",
                     "kubernetes_dir": "/etc/kubernetes", "etcd_dir": "/etc/kubernetes/pki/etcd"})
    observed, known = {"n1": seen.healthy(on)}, seen.known()
    observed["n1"]["processes"][process]["flags"] = {flag: value}
    look = checks.Look(observed, seen.NOW, seen.NOW, ["n1"])
    found = checks.problems({"n1": on}, look, known, stands(known, observed, {}, ["kubernetes"]))
    assert [one for one in found if f"is started with {flag}={value}, {text}" in one] == (found if text else [])
    assert bool(found) == bool(text)


def kubeadm_problems(nodes, authorities=("kubernetes",), absent=()):
    """Return the problems of a healthy kubeadm cluster that shows these nodes."""
    on = {name: hosts.host({"name": name, "address": "192.0.2.1", "groups": [*groups], "layout": "kubeadm",
                            "kubernetes_dir": "/k", "etcd_dir": "/e"})
          for name, groups in (("n1", ("etcd", "kube_control_plane")), ("w1", ("kube_node",)))}
    observed = {name: seen.healthy(host) for name, host in on.items()}
    for name in absent:
        observed[name]["processes"]["kubelet"]["running"] = False
    known = seen.known()
    look = checks.Look(observed, seen.NOW, seen.NOW + 5, nodes)
    return checks.problems(on, look, known, stands(known, observed, {}, authorities))


def test_a_node_that_the_inventory_does_not_know_forbids_to_start():
    assert kubeadm_problems(["n1", "w1"]) == []
    (problem,) = kubeadm_problems(["n1", "w1", "w9"])
    assert problem.startswith("w9: is a node of the cluster and not in the inventory (put it into kube_node")


@pytest.mark.parametrize(("served", "kept", "text"), [
    (seen.OLD["kubernetes"], False, "w1: the kubelet serves a certificate of kubernetes/20250101T000000Z that is in no file of the layout"),
    ("", True, "the kubelet serves another certificate, which no generation has issued (restart the kubelet"),
])
def test_a_kubelet_whose_serving_certificate_would_be_missed_forbids_to_start(served, kept, text):
    on = hosts.host({"name": "w1", "address": "192.0.2.1", "groups": ["kube_node"], "layout": "kubeadm", "kubernetes_dir": "/k",
                     "etcd_dir": "/e"})
    there = seen.healthy(on)
    there["endpoints"]["kubelet"]["serves"] = served
    if kept:
        there["pairs"]["kubelet-server"] = there["pairs"]["kubelet-client"]
    known = seen.known()
    look = checks.Look({"w1": there}, seen.NOW, seen.NOW + 5, ["w1"])
    (problem,) = checks.problems({"w1": on}, look, known, stands(known, {"w1": there}, {}, ["kubernetes"]))
    assert text in problem


def test_a_rotation_that_no_node_notices_minds_no_stranger():
    assert kubeadm_problems(["n1", "w1", "w9"], ["etcd"]) == []


def test_a_host_that_has_not_joined_yet_is_told_so_and_nothing_else():
    (problem,) = kubeadm_problems(["n1"], absent=["w1"])
    assert problem == "w1: is no node of the cluster (join it with join_node.yml, or take it out of the inventory)"
