# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubelet gets the serving certificate that is its own and no other. The requests are openssl's."""

from __future__ import annotations

import base64
import functools
import json
import sys

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_csr_approve
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

SIGNER = "kubernetes.io/kubelet-serving"
ECDSA = ("digital signature", "server auth")
RSA = ("digital signature", "key encipherment", "server auth")

# Keeps requests in a file; an approved one is signed at once, as a controller-manager does.
FAKE_KUBECTL = f"""#!{sys.executable}
import json, pathlib, sys
home = pathlib.Path(__file__).parent
state = json.loads((home / "state.json").read_text())
arguments = [one for one in sys.argv[1:] if not one.startswith("--")]
if arguments[:2] == ["get", "certificatesigningrequests"]:
    assert "--field-selector=spec.signerName=kubernetes.io/kubelet-serving" in sys.argv
    print(json.dumps({{"items": list(state["requests"].values())}}))
elif arguments[:2] == ["get", "nodes"]:
    print(json.dumps({{"items": state["nodes"]}}))
elif arguments[0] == "certificate":
    one = state["requests"][arguments[2]]
    one["status"] = {{"conditions": [{{"type": {{"approve": "Approved", "deny": "Denied"}}[arguments[1]]}}]}}
    if arguments[1] == "approve":
        one["status"]["certificate"] = "AA=="
    (home / "state.json").write_text(json.dumps(state))
"""


@functools.cache
def csr(subject="/O=system:nodes/CN=system:node:w3", sans="DNS:w3,IP:192.0.2.23"):
    options = ["-addext", f"subjectAltName={sans}"] if sans else []
    return made.openssl(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null",
                         "-subj", subject, *options])


def request(name="csr-1", user="system:node:w3", groups=("system:nodes", "system:authenticated"), usages=ECDSA, signer=SIGNER, text=None,
            **asked):
    content = base64.b64encode((csr(**asked) if text is None else text).encode()).decode()
    return {"metadata": {"name": name}, "spec": {"username": user, "groups": list(groups), "usages": list(usages), "signerName": signer,
                                                 "request": content}}


class Cluster:
    """An API server with requests in it."""

    def __init__(self, root, capsys):
        self.root, self.capsys = root, capsys
        (root / "kubectl").write_text(FAKE_KUBECTL)
        (root / "kubectl").chmod(0o755)
        self.put()

    def put(self, *requests, nodes=()):
        state = {"requests": {one["metadata"]["name"]: one for one in requests}, "nodes": list(nodes)}
        (self.root / "state.json").write_text(json.dumps(state))

    def conditions(self, name="csr-1"):
        state = json.loads((self.root / "state.json").read_text())
        return [one["type"] for one in state["requests"][name].get("status", {}).get("conditions", [])]

    def run(self, check=False, **options):
        given = {"kubectl": str(self.root / "kubectl"), "kubeconfig": "/admin.conf",
                 "nodes": [{"name": "w3", "addresses": ["w3", "192.0.2.23", "2001:db8::1"]}], **options, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            pki_csr_approve.main()
        return json.loads(self.capsys.readouterr().out)


@pytest.fixture(name="cluster")
def fixture_cluster(tmp_path, capsys):
    return Cluster(tmp_path, capsys)


@pytest.mark.parametrize("asked", [
    {}, {"usages": RSA}, {"sans": "DNS:W3,IP:2001:0db8:0:0:0:0:0:1"}, {"sans": "IP:192.0.2.23"}, {"sans": "DNS:w3"},
], ids=["as a kubelet does", "rsa", "other spelling", "address alone", "name alone"])
def test_what_is_the_nodes_own_is_approved_once(cluster, asked):
    cluster.put(request(**asked))
    foretold = cluster.run(check=True)
    assert cluster.conditions() == []
    done = cluster.run()
    assert foretold["results"] == done["results"] == [
        {"name": "csr-1", "node": "w3", "changed": True, "verdict": "approved", "reasons": []}]
    assert cluster.conditions() == ["Approved"]
    again = cluster.run()
    assert (again["changed"], again["results"]) == (False, [])


@pytest.mark.parametrize(("asked", "reason"), [
    ({"user": "system:serviceaccount:kube-system:thief"}, "was made by system:serviceaccount:kube-system:thief, who is no node"),
    ({"groups": ["system:authenticated"]}, "was made by system:node:w3, who is no node"),
    ({"user": "system:node:w9"}, "node w9 is not expected"),
    ({"subject": "/O=system:nodes/CN=system:node:w4"}, "asks for the subject CN=system:node:w4,O=system:nodes"),
    ({"subject": "/CN=system:node:w3"}, "asks for the subject CN=system:node:w3"),
    ({"subject": "/O=system:nodes/O=system:masters/CN=system:node:w3"},
     "asks for the subject CN=system:node:w3,O=system:masters,O=system:nodes"),
    ({"usages": ["digital signature", "client auth"]}, "asks for the usages digital signature, client auth"),
    ({"usages": [*ECDSA, "client auth"]}, "asks for the usages digital signature, server auth, client auth"),
    ({"usages": ["server auth"]}, "asks for the usages server auth"),
    ({"sans": "DNS:w3,DNS:kubernetes.default,IP:192.0.2.23"}, "asks for kubernetes.default, which is not w3's"),
    ({"sans": "DNS:w3,IP:192.0.2.99"}, "asks for 192.0.2.99, which is not w3's"),
    ({"sans": "DNS:w3,URI:spiffe://x/y"}, "asks for spiffe://x/y, which is not w3's"),
    ({"sans": "DNS:w3,email:w3@example.com"}, "asks for w3@example.com, which is not w3's"),
    ({"sans": ""}, "asks for no name and no address"),
    ({"text": "no request"}, "cannot be read: "),
    ({"signer": "kubernetes.io/kube-apiserver-client"}, "is for the signer kubernetes.io/kube-apiserver-client"),
])
def test_everything_else_is_left_and_told(cluster, asked, reason):
    cluster.put(request(**asked))
    for check in (True, False):
        (result,) = cluster.run(check=check)["results"]
        assert (result["changed"], result["verdict"]) == (False, "left")
        assert result["reasons"][0].startswith(reason)
    assert cluster.conditions() == []


def test_a_request_that_was_changed_after_it_was_signed_is_left(cluster):
    body = csr().splitlines()
    other = csr(sans="DNS:w3").splitlines()
    cluster.put(request(text="\n".join([*body[:-2], other[-2], body[-1]])))
    assert cluster.run()["results"][0]["reasons"][0].startswith("cannot be read: ")


def test_what_must_not_be_approved_is_denied_where_asked_for(cluster):
    cluster.put(request(sans="DNS:other"), request("csr-2"))
    results = cluster.run(deny=True)["results"]
    assert [one["verdict"] for one in results] == ["denied", "approved"]
    assert (cluster.conditions(), cluster.conditions("csr-2")) == (["Denied"], ["Approved"])
    assert cluster.run(deny=True)["changed"] is False


def test_what_a_node_says_of_itself_counts_only_where_asked_for(cluster):
    nodes = [{"metadata": {"name": "w3"}, "status": {"addresses": [{"type": "ExternalDNS", "address": "w3.cloud.example.com"}]}},
             {"metadata": {"name": "w4"}, "status": {"addresses": [{"type": "Hostname", "address": "w4"}]}}]
    cluster.put(request(sans="DNS:w3,DNS:w3.cloud.example.com"), request("csr-2", user="system:node:w4"), nodes=nodes)
    assert not cluster.run()["changed"]
    results = cluster.run(trust_node_status=True)["results"]
    assert [one["verdict"] for one in results] == ["approved", "left"]


def test_a_node_that_is_waited_for_has_its_certificate_in_the_end(cluster):
    cluster.put(request())
    assert cluster.run(wait_for=["w3"])["changed"] is True
    assert cluster.run(wait_for=["w3"])["changed"] is False


def test_a_node_that_gets_none_is_told_with_the_reason(cluster):
    cluster.put(request(sans="DNS:other"))
    said = cluster.run(wait_for=["w3"], timeout=0)
    assert "w3: csr-1 asks for other, which is not w3's" in said["msg"]
    cluster.put()
    assert "w3: has no signed serving certificate" in cluster.run(wait_for=["w3"], timeout=0)["msg"]
