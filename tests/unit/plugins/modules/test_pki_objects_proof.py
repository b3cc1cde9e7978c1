# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pki_objects: what it waits to see, which objects it asks for that, and who complains."""

from __future__ import annotations

import base64
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_objects
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.fake_cluster import KUBECTL, FakeCluster

OLD, NEW = "kubernetes/20250101T000000Z", "kubernetes/20261122T000000Z"
PEM = {OLD: made.make_ca("old"), NEW: made.make_ca("new")}
KUBECONFIG = "clusters:\n- cluster:\n    certificate-authority-data: " + base64.b64encode(PEM[OLD].encode()).decode() + "\n"


@pytest.fixture
def cluster(monkeypatch):
    made_up = FakeCluster()
    monkeypatch.setattr(pki_objects, "runner", lambda _module: made_up.run)
    for name, phase in (("default", "Active"), ("going", "Terminating"), ("kube-system", "Active")):
        made_up.put("namespace", name, status={"phase": phase})
    return made_up


def run(capsys, _cluster, **options):
    arguments = {"kubectl": KUBECTL, "kubeconfig": "/k", "generations": PEM, "timeout": 0, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        pki_objects.main()
    return json.loads(capsys.readouterr().out)


def put_root(cluster, namespace, *names):
    cluster.put("configmap", "kube-root-ca.crt", namespace, data={"ca.crt": "".join(PEM[name] for name in names)})


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def test_only_what_is_expected_is_asked_for(capsys, cluster):
    put_root(cluster, "default", NEW)
    put_root(cluster, "kube-system", NEW)
    did = run(capsys, cluster, expect=[{"ask": "holds", "name": "kube-root-ca.crt", "generations": [NEW]}])
    assert did["unmet"] == [] and set(did["objects"]) == {"kube-root-ca.crt"}
    assert {call[1] for call in cluster.calls} == {"namespaces", "configmaps"}


def signature(content, key):
    """Let openssl sign, as the controller-manager does."""
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"abcdef"}').rstrip(b"=").decode()
    payload = base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()
    digest = made.openssl(["dgst", "-sha256", "-hmac", key, "-hex"], f"{header}.{payload}").split()[-1]
    return f"{header}..{base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b'=').decode()}"


def put_token(cluster, name, key, **fields):
    data = {"token-id": name, "token-secret": key, "usage-bootstrap-signing": "true", **fields}
    cluster.put("secret", f"bootstrap-token-{name}", "kube-system", type="bootstrap.kubernetes.io/token",
                data={field: encoded(text) for field, text in data.items()})


def test_signatures_of_cluster_info_are_judged_without_telling_a_token(capsys, cluster):
    put_token(cluster, "abcdef", "0123456789abcdef")
    put_token(cluster, "ended0", "00000", expiration="2020-01-01T00:00:00Z")
    put_token(cluster, "quiet0", "11111", **{"usage-bootstrap-signing": "false"})
    ask = [{"ask": "signed"}]
    cluster.put("configmap", "cluster-info", "kube-public", data={
        "kubeconfig": KUBECONFIG, "jws-kubeconfig-abcdef": signature(KUBECONFIG, "0123456789abcdef")})
    did = run(capsys, cluster, expect=ask)
    assert did["signatures"] == {"abcdef": True} and did["unmet"] == []
    cluster.get("configmap", "cluster-info", "kube-public")["data"]["kubeconfig"] += "# other\n"
    did = run(capsys, cluster, expect=ask)
    assert did["failed"] and did["unmet"] == ["cluster-info is not signed anew by bootstrap token abcdef"]
    assert "0123456789" not in json.dumps(did)


def test_a_cluster_info_that_nobody_signs_is_left_alone(capsys, cluster):
    put_token(cluster, "abcdef", "0123456789abcdef")
    cluster.put("configmap", "cluster-info", "kube-public", data={"kubeconfig": KUBECONFIG})
    assert run(capsys, cluster, expect=[{"ask": "signed"}])["signatures"] == {}


def test_a_complaint_fails_and_names_the_pod(capsys, cluster):
    assert "logs_unread" in run(capsys, cluster, quiet_since=1.0)
    assert "--since-time=1970-01-01T00:00:01Z" in cluster.calls[-1] and "--namespace=kube-system" in cluster.calls[-1]
    cluster.logs = "[pod/coredns-1/coredns] Failed to watch: x509: certificate signed by unknown authority\n"
    did = run(capsys, cluster, quiet_since=1.0)
    assert did["failed"] and did["msg"].startswith("pod coredns-1: Failed to watch: x509: certificate signed by unknown authority")
    assert "failed" not in run(capsys, cluster)


def test_an_owner_who_writes_the_old_trust_back_is_waited_for_and_named(capsys, cluster, monkeypatch):
    cluster.put("apiservice", "a", spec={"caBundle": encoded(PEM[OLD])})
    write_back = pki_objects.bundles.apply

    def apply(plans, found):
        write_back(plans, found)
        cluster.get("apiservice", "a")["spec"]["caBundle"] = encoded(PEM[OLD])

    monkeypatch.setattr(pki_objects.bundles, "apply", apply)
    did = run(capsys, cluster, rotation={"kubernetes": {"old": OLD, "new": NEW}}, trusts=["old", "new"])
    assert did["failed"] and did["unmet"] == [f"api-services a holds {OLD} without {NEW}: does its owner write it back?"]


def test_check_mode_waits_for_nothing(capsys, cluster):
    put_root(cluster, "default", OLD)
    expect = [{"ask": "holds", "name": "kube-root-ca.crt", "generations": [NEW]}, {"ask": "signs", "generation": NEW}]
    did = run(capsys, cluster, expect=expect, quiet_since=1.0, _ansible_check_mode=True)
    assert "failed" not in did and not did["changed"]
    assert cluster.calls == []


def test_a_kubelet_is_alive_when_it_renews_its_lease_while_one_looks(capsys, cluster, monkeypatch):
    for name in ("w1", "w2"):
        cluster.put("lease", name, "kube-node-lease", spec={"renewTime": "2026-11-26T08:00:00.000000Z"})
    expect = [{"ask": "renews", "nodes": ["w1", "w2"]}]
    assert run(capsys, cluster, expect=expect)["unmet"] == ["no lease renewed, so their kubelets reach no API server: w1, w2"]

    def beat(argv, stdin=""):
        answer = FakeCluster.run(cluster, argv, stdin)
        cluster.get("lease", "w1", "kube-node-lease")["spec"]["renewTime"] = f"2026-11-26T08:00:{len(cluster.calls):02}.000000Z"
        return answer

    monkeypatch.setattr(cluster, "run", beat)
    did = run(capsys, cluster, expect=expect, timeout=1)
    assert did["unmet"] == ["no lease renewed, so their kubelets reach no API server: w2"] and did["renewed"] == {"w1": True, "w2": False}
    assert run(capsys, cluster, expect=[{"ask": "renews", "nodes": ["w1"]}], timeout=30)["unmet"] == []
