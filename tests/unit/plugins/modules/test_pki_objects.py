# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pki_objects: what it adds, removes, keeps and tells of, against real TLS servers."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_objects
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.fake_cluster import KUBECTL, FakeCluster

OLD, NEW = "kubernetes/20250101T000000Z", "kubernetes/20261122T000000Z"
ROTATION = {"kubernetes": {"old": OLD, "new": NEW}}
PEM = {OLD: made.make_ca("old"), NEW: made.make_ca("new")}
FOREIGN = made.make_ca("foreign")
LONG_AGO, LATER = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"
SPRING = 1774000000.0  # between the two


def leaf(folder: Path, authority: str, *options: str) -> tuple[str, str]:
    """Have openssl issue a certificate of a generation; return its paths and its key's."""
    for name, text in zip(("ca.crt", "ca.key"), made.make_pair(f"/CN={authority}", made.CA, generation=0)):
        (folder / name).write_text(text)
    paths = str(folder / f"{authority}.crt"), str(folder / f"{authority}.key")
    made.openssl(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=jane", "-days", "5",
                  "-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-out", paths[0], "-keyout", paths[1], *options])
    return paths


@contextlib.contextmanager
def server(certificate: str, key: str) -> t.Iterator[int]:
    """Serve TLS on a free port of loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield listener.server_address[1]
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.fixture
def cluster(monkeypatch):
    made_up = FakeCluster()
    monkeypatch.setattr(pki_objects, "runner", lambda _module: made_up.run)
    return made_up


def bundle(*names: str) -> str:
    return base64.b64encode("".join(PEM.get(name, name) for name in names).encode()).decode()


def held(text: str) -> list[str]:
    """Return what openssl finds in a caBundle, as names of generations."""
    known = {made.fingerprint(pem): name for name, pem in {**PEM, "foreign": FOREIGN}.items()}
    blocks = base64.b64decode(text).decode().split("-----BEGIN")[1:]
    return [known[made.fingerprint(f"-----BEGIN{block}")] for block in blocks]


def run(capsys, _cluster, check=False, **options):
    arguments = {"kubectl": KUBECTL, "kubeconfig": "/k", "generations": PEM, "rotation": ROTATION, "timeout": 0,
                 "_ansible_check_mode": check, "_ansible_diff": True, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        pki_objects.main()
    return json.loads(capsys.readouterr().out)


def put_service(cluster, port):
    """A service in front of the server, with a port of its own, and one replica that is not ready."""
    cluster.put("service", "hook", "shop", spec={"ports": [{"name": "tls", "port": 8443}, {"name": "other", "port": 1}]})
    cluster.put("endpointslice", "hook-1", "shop", {"labels": {"kubernetes.io/service-name": "hook"}}, ports=[
        {"name": "tls", "port": port}], endpoints=[{"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
                                                   {"addresses": ["192.0.2.1"], "conditions": {"ready": False}}])


def put_all(cluster, port, *names):
    """One object of each kind that holds these certificates; the server is behind its service and behind a URL."""
    service, url = {"namespace": "shop", "name": "hook", "port": 8443}, f"https://127.0.0.1:{port}/validate"
    put_service(cluster, port)
    cluster.put("validatingwebhookconfiguration", "v", webhooks=[
        {"name": "a", "clientConfig": {"service": service, "caBundle": bundle(*names)}},
        {"name": "b", "clientConfig": {"url": url, "caBundle": bundle(FOREIGN)}},
        {"name": "c", "clientConfig": {"url": url}}])
    cluster.put("mutatingwebhookconfiguration", "m", webhooks=[{"name": "a", "clientConfig": {"url": url, "caBundle": bundle(*names)}}])
    cluster.put("apiservice", "v1.example.com", spec={"service": service, "caBundle": bundle(*names)})
    conversion = {"webhook": {"clientConfig": {"url": url, "caBundle": bundle(*names)}}}
    cluster.put("customresourcedefinition", "things", spec={"conversion": conversion})


def all_held(cluster) -> dict[str, list[str]]:
    return {
        "v": held(cluster.get("validatingwebhookconfiguration", "v")["webhooks"][0]["clientConfig"]["caBundle"]),
        "m": held(cluster.get("mutatingwebhookconfiguration", "m")["webhooks"][0]["clientConfig"]["caBundle"]),
        "api": held(cluster.get("apiservice", "v1.example.com")["spec"]["caBundle"]),
        "crd": held(cluster.get("customresourcedefinition", "things")["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"]),
    }


def test_the_new_generation_comes_beside_the_old_one_wherever_that_is(capsys, cluster, tmp_path):
    with server(*leaf(tmp_path, "old")) as port:
        put_all(cluster, port, OLD, FOREIGN)
        before = all_held(cluster)
        foretold = run(capsys, cluster, check=True, trusts=["old", "new"])
        assert all_held(cluster) == before
        did = run(capsys, cluster, trusts=["old", "new"])
        assert [one["reasons"] for one in did["results"]] == [one["reasons"] for one in foretold["results"]]
        assert len(did["results"]) == 4 and did["changed"]
        assert all(sorted(found) == sorted([NEW, OLD, "foreign"]) for found in all_held(cluster).values())
        assert held(cluster.get("validatingwebhookconfiguration", "v")["webhooks"][1]["clientConfig"]["caBundle"]) == ["foreign"]
        assert not run(capsys, cluster, trusts=["old", "new"])["changed"]


def test_the_old_generation_goes_where_the_server_shows_another(capsys, cluster, tmp_path):
    with server(*leaf(tmp_path, "new")) as port:
        put_all(cluster, port, OLD, FOREIGN)
        did = run(capsys, cluster, trusts=["new"])
        assert all(sorted(found) == sorted([NEW, "foreign"]) for found in all_held(cluster).values())
        assert did["stragglers"] == [] and did["unmet"] == []
        assert not run(capsys, cluster, trusts=["new"])["changed"]


def test_the_old_generation_stays_where_the_server_still_needs_it(capsys, cluster, tmp_path):
    with server(*leaf(tmp_path, "old")) as port:
        put_all(cluster, port, OLD)
        did = run(capsys, cluster, trusts=["new"])
        assert all(sorted(found) == sorted([NEW, OLD]) for found in all_held(cluster).values())
        assert {one["name"]: one["owner"] for one in did["stragglers"]} == {
            "validatingwebhookconfiguration v webhooks[0].clientConfig.caBundle": "service shop/hook:8443",
            "mutatingwebhookconfiguration m webhooks[0].clientConfig.caBundle": f"https://127.0.0.1:{port}/validate",
            "apiservice v1.example.com": "service shop/hook:8443",
            "customresourcedefinition things": f"https://127.0.0.1:{port}/validate"}
    with server(*leaf(tmp_path, "new")) as port:
        put_service(cluster, port)
        assert len(run(capsys, cluster, trusts=["new"])["stragglers"]) == 2  # the URL's port is closed now
        assert all_held(cluster)["api"] == [NEW] and sorted(all_held(cluster)["crd"]) == sorted([OLD, NEW])


def test_a_server_that_cannot_be_asked_may_need_it(capsys, cluster):
    cluster.put("apiservice", "a", spec={"service": {"namespace": "shop", "name": "gone"}, "caBundle": bundle(OLD, NEW)})
    did = run(capsys, cluster, trusts=["new"])
    assert "service shop/gone: does not exist" in did["stragglers"][0]["reason"]
    assert held(cluster.get("apiservice", "a")["spec"]["caBundle"]) == [OLD, NEW]


@pytest.mark.parametrize("message", [
    'error: the server doesn\'t have a resource type "{}"',
    'Error from server (NotFound): Unable to list "certificates.k8s.io/v1, Resource={}": the server could not find the requested resource'])
def test_trust_bundles_of_others_are_carried_where_the_api_serves_them(capsys, cluster, message):
    cluster.unserved_message = message
    cluster.put("clustertrustbundle", "ours", spec={"trustBundle": PEM[OLD]})
    cluster.put("clustertrustbundle", "serving", spec={"signerName": "kubernetes.io/kube-apiserver-serving", "trustBundle": PEM[OLD]})
    assert len(run(capsys, cluster, trusts=["new"])["results"]) == 2
    assert cluster.get("clustertrustbundle", "ours")["spec"]["trustBundle"] == PEM[NEW]
    assert cluster.get("clustertrustbundle", "serving")["spec"]["trustBundle"] == PEM[OLD]
    cluster.unserved.add("clustertrustbundles")
    assert not run(capsys, cluster, trusts=["new"])["changed"]


def test_without_a_wish_it_only_tells(capsys, cluster, tmp_path):
    with server(*leaf(tmp_path, "old")) as port:
        put_all(cluster, port, OLD)
        before = all_held(cluster)
        did = run(capsys, cluster, rotation={"kubernetes": {"old": OLD, "new": "kubernetes/coming"}})
        assert all_held(cluster) == before and not did["changed"] and len(did["stragglers"]) == 4


def put_uploaded(cluster, created, *written):
    metadata = {"creationTimestamp": created, "managedFields": [{"time": one} for one in written]}
    cluster.put("secret", "kubeadm-certs", "kube-system", metadata, data={"ca.key": "bm90IHRvIGJlIHJlYWQ="})


@pytest.mark.parametrize(("written", "stays"), [((LONG_AGO,), False), ((LONG_AGO, LATER), True)])
def test_keys_that_were_uploaded_before_the_end_go(capsys, cluster, written, stays):
    put_uploaded(cluster, LONG_AGO, *written)
    assert run(capsys, cluster, check=True, trusts=["new"], uploaded_before=SPRING)["changed"] is not stays
    assert cluster.get("secret", "kubeadm-certs", "kube-system")
    did = run(capsys, cluster, trusts=["new"], uploaded_before=SPRING)
    assert did["changed"] is not stays and bool(cluster.get("secret", "kubeadm-certs", "kube-system")) is stays
    asked = [one for one in cluster.calls if one[:2] == ["get", "secret"]]
    assert asked and all("jsonpath={.metadata}" in one for one in asked)
    assert "bm90" not in json.dumps(did)


def test_certificates_that_the_api_handed_out_and_what_kubeadm_would_write(capsys, cluster, tmp_path):
    certificate = base64.b64encode(Path(leaf(tmp_path, "old")[0]).read_bytes()).decode()
    for name, signer in (("jane-1", "kubernetes.io/kube-apiserver-client"), ("node", "kubernetes.io/kubelet-serving")):
        cluster.put("certificatesigningrequest", name, spec={"signerName": signer, "username": "jane"}, status={"certificate": certificate})
    cluster.put("configmap", "kubeadm-config", "kube-system", data={"ClusterConfiguration": "certificatesDir: /other\n"})
    told = run(capsys, cluster)["stragglers"]
    assert [(one["kind"], one["name"], one["owner"]) for one in told] == [
        ("certificate", "CertificateSigningRequest jane-1", "jane"), ("configuration", "ConfigMap kube-system/kubeadm-config", "kubeadm")]
    assert "CN=jane" in told[0]["reason"] and str(time.gmtime().tm_year) in told[0]["reason"]
