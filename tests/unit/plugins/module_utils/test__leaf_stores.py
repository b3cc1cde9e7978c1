# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificate a kubelet uses is what its kubeconfig says."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster import hosts
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBELET, Pair
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import leaf_stores
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges.observe import Observer

CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def kubeconfig(user):
    return yaml.safe_dump({"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
                           "users": [{"name": "u", "user": user}]})


@pytest.mark.parametrize(("user", "why"), [
    ({"client-certificate": CURRENT, "client-key": CURRENT}, ""),
    ({"client-certificate": "/data/kubelet/pki/kubelet-client-current.pem"}, "names /data/kubelet/pki/kubelet-client-current.pem instead"),
    ({"client-certificate-data": "YQ==", "client-key-data": "YQ=="}, "has a pair of its own instead"),
    ({"client-certificate-data": "YQ==", "client-certificate": CURRENT}, "has a pair of its own instead"),
])
def test_a_kubelet_that_does_not_use_its_store_is_named(tmp_path, user, why):
    """Else the old certificate would stay in use, and the node would be refused when the old generation goes."""
    (tmp_path / "kubelet.conf").write_text(kubeconfig(user))
    on = hosts.host({"name": "w1", "address": "192.0.2.1", "groups": ["kube_node"], "layout": "kubeadm",
                     "kubernetes_dir": str(tmp_path), "etcd_dir": "/e"})
    eye = Observer(on, None, (), None, {}, None)
    found = eye._unused(Pair("kubelet-client", CURRENT, KUBELET))
    assert found.startswith(f"{tmp_path}/kubelet.conf {why}" if why else "") and bool(found) == bool(why)
    assert eye._unused(Pair("apiserver", "/a")) == ""
    assert eye._unused(Pair("kubelet-server", "/var/lib/kubelet/pki/kubelet-server-current.pem", KUBELET)) == ""  # no client's


def test_a_kubeconfig_says_which_file_holds_the_certificate(tmp_path):
    (tmp_path / "a.conf").write_text(kubeconfig({"client-certificate": CURRENT}))
    assert leaf_stores.named(str(tmp_path / "a.conf")) == CURRENT
