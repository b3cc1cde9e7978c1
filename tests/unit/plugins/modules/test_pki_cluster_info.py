# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pki_cluster_info: what it reads."""

from __future__ import annotations

import base64
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_cluster_info
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.fake_cluster import KUBECTL, FakeCluster

OLD, NEW = "kubernetes/20250101T000000Z", "kubernetes/20261122T000000Z"
PEM = {OLD: made.make_ca("old"), NEW: made.make_ca("new")}
KUBECONFIG = "clusters:\n- cluster:\n    certificate-authority-data: " + base64.b64encode(PEM[OLD].encode()).decode() + "\n"


@pytest.fixture
def cluster(monkeypatch):
    made_up = FakeCluster()
    monkeypatch.setattr(pki_cluster_info, "runner", lambda _module: made_up.run)
    for name, phase in (("default", "Active"), ("going", "Terminating"), ("kube-system", "Active")):
        made_up.put("namespace", name, status={"phase": phase})
    return made_up


def run(capsys, _cluster, **options):
    arguments = {"kubectl": KUBECTL, "kubeconfig": "/k", "generations": PEM, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        pki_cluster_info.main()
    return json.loads(capsys.readouterr().out)


def put_root(cluster, namespace, *names):
    cluster.put("configmap", "kube-root-ca.crt", namespace, data={"ca.crt": "".join(PEM[name] for name in names)})


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def test_every_kind_of_object_is_read(capsys, cluster):
    put_root(cluster, "default", OLD, NEW)
    put_root(cluster, "going", OLD)
    cluster.put("configmap", "extension-apiserver-authentication", "kube-system", data={"client-ca-file": PEM[OLD]})
    cluster.put("configmap", "cluster-info", "kube-public", data={"kubeconfig": KUBECONFIG})
    cluster.put("secret", "token", "default", type="kubernetes.io/service-account-token",
                data={"ca.crt": encoded(PEM[NEW]), "token": "c2VjcmV0"})
    cluster.put("clustertrustbundle", "serving:1", spec={"signerName": "kubernetes.io/kube-apiserver-serving", "trustBundle": PEM[OLD]})
    cluster.put("clustertrustbundle", "mine", spec={"trustBundle": PEM[NEW] + made.make_ca("foreign")})
    cluster.put("apiservice", "a", spec={"caBundle": encoded(PEM[OLD])})
    cluster.put("apiservice", "foreign", spec={"caBundle": encoded(made.make_ca("foreign"))})
    cluster.put("apiservice", "broken", spec={"caBundle": encoded("-----BEGIN CERTIFICATE-----")})
    cluster.put("validatingwebhookconfiguration", "v", webhooks=[{"clientConfig": {}}, {"clientConfig": {"caBundle": encoded(PEM[OLD])}}])
    did = run(capsys, cluster)
    assert did["objects"] == {
        "kube-root-ca.crt": {"default": [OLD, NEW], "kube-system": []}, "token-secrets": {"default/token": [NEW]},
        "serving-trust-bundle": {"serving:1": [OLD]}, "client-ca-file": {"kube-system": [OLD]},
        "requestheader-client-ca-file": {"kube-system": []}, "cluster-info": {"kube-public": [OLD]},
        "validating-webhooks": {"v webhooks[1].clientConfig.caBundle": [OLD]}, "mutating-webhooks": {}, "api-services": {"a": [OLD]},
        "crd-conversions": {}, "trust-bundles": {"mine": [NEW]},
        "signed-secrets": {"default/token": [""]}}
    assert "c2VjcmV0" not in json.dumps(did)
