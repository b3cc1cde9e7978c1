# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token is made in the cluster, sealed, opened on the node and given to kubeadm, and nobody else ever sees it."""

from __future__ import annotations

import base64
import datetime
import json
import stat
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import pki_bootstrap_token, pki_kubeadm_join
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

# Does what kubeadm join does that counts here: reads its configuration, says a word, and writes the kubelet's identity.
FAKE_KUBEADM = f"""#!{sys.executable}
import json, os, pathlib, shutil, sys
home = pathlib.Path(__file__).parent
verb, option, path = sys.argv[1:]
config = json.load(open(path))
seen = {{"argv": sys.argv[1:], "config": config, "mode": os.stat(path).st_mode & 0o777,
         "directory": os.stat(os.path.dirname(path)).st_mode & 0o777}}
given = config["discovery"].get("file", {{}}).get("kubeConfigPath")
if given:
    seen["identity"] = json.load(open(given))
(home / "seen.json").write_text(json.dumps(seen))
(home / "kubernetes" / "bootstrap-kubelet.conf").write_text("a credential of kubeadm's own")
if (home / "fails").exists():
    print("\x1b[0;37mCGROUPS_CPU\x1b[0m: \x1b[0;32menabled\x1b[0m")
    sys.exit("[preflight] some fatal errors occurred:\\n\\t[ERROR Port-10250]: Port 10250 is in use")
if (home / "ca.key").exists():
    shutil.copy(home / "ca.key", home / "kubernetes" / "ca.key")
(home / "kubernetes" / "kubelet.conf").write_text("apiVersion: v1")
"""

# Keeps Secrets as files beside itself.
FAKE_KUBECTL = f"""#!{sys.executable}
import json, pathlib, sys
home = pathlib.Path(__file__).parent
with open(home / "log", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
arguments = [one for one in sys.argv[1:] if not one.startswith("--")]
if arguments[0] == "create":
    content = json.load(sys.stdin)
    (home / content["metadata"]["name"]).write_text(json.dumps(content))
    print(json.dumps(content))
elif arguments[:2] == ["get", "secret"]:
    print(f"secret/{{arguments[2]}}" if (home / arguments[2]).exists() else "")
elif arguments[:2] == ["delete", "secret"]:
    (home / arguments[2]).unlink()
"""


class Node:
    """A host that joins, and a cluster."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture) -> None:
        self.root, self.kubernetes, self.capsys, self.said = root, root / "kubernetes", capsys, ""
        for name, text in (("kubeadm", FAKE_KUBEADM), ("kubectl", FAKE_KUBECTL)):
            (root / name).write_text(text)
            (root / name).chmod(0o755)
        self.certificate, self.key = made.make_pair("/CN=kubernetes")

    def run(self, module, check=False, **options):
        with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        output = self.capsys.readouterr()
        self.said += output.out + output.err
        return json.loads(output.out)

    def join(self, action="join", **options):
        return self.run(pki_kubeadm_join, **{
            "action": action, "host": "worker-3", "node": "w3", "kubernetes_dir": str(self.kubernetes), "endpoint": "lb:6443",
            "kubeadm": str(self.root / "kubeadm"), "authorities": {"kubernetes/1": self.certificate},
            "trusted": [self.certificate, made.make_ca("new")], **options})

    def tokens(self, **options):
        return self.run(pki_bootstrap_token, kubectl=str(self.root / "kubectl"), kubeconfig="/admin.conf", **options)

    def sealed(self):
        asked = self.join("request")
        return self.tokens(nodes=[asked["request"]])["results"][0]

    @property
    def secrets(self):
        return sorted(path.name for path in self.root.glob("bootstrap-token-*"))

    @property
    def seen(self):
        return json.loads((self.root / "seen.json").read_text())


@pytest.fixture(name="node")
def fixture_node(tmp_path, capsys):
    return Node(tmp_path, capsys)


def test_a_node_joins_once_with_a_token_that_nobody_sees(node):
    made_token = node.sealed()
    done = node.join(sealed=made_token["sealed"])
    assert (done["changed"], done["needed"], done["reasons"]) == (True, True, ["has not joined yet"])
    token = node.seen["config"]["discovery"]["bootstrapToken"]["token"]
    identity, secret = token.split(".")
    assert (len(identity), len(secret), identity) == (6, 16, made_token["id"])
    assert secret not in node.said + (node.root / "log").read_text() + json.dumps(node.seen["argv"])
    assert (node.seen["mode"], node.seen["directory"]) == (0o600, 0o700)
    # Only what joining leaves for good.
    assert [path.name for path in node.kubernetes.rglob("*")] == ["kubelet.conf"]
    again = node.join("request")
    assert (again["changed"], again["needed"], "request" in again) == (False, False, False)
    assert node.join(sealed=made_token["sealed"])["changed"] is False


def test_the_pins_are_those_of_every_authority_that_is_trusted(node):
    node.join(sealed=node.sealed()["sealed"])
    wanted = [f"sha256:{made.key_sha256(one)}" for one in (node.certificate, made.make_ca("new"))]
    discovery = node.seen["config"]["discovery"]["bootstrapToken"]
    assert (discovery["caCertHashes"], discovery["apiServerEndpoint"]) == (wanted, "lb:6443")


def test_the_secret_makes_a_token_of_fifteen_minutes_and_is_removed(node):
    result = node.sealed()
    (name,) = node.secrets
    secret = json.loads((node.root / name).read_text())
    left = datetime.datetime.fromisoformat(secret["stringData"]["expiration"].replace("Z", "+00:00")) - datetime.datetime.now(
        datetime.timezone.utc)
    assert datetime.timedelta(minutes=14) < left <= datetime.timedelta(minutes=15)
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert secret["stringData"]["token-secret"] not in node.said
    assert node.tokens(state="absent", ids=[result["id"]], check=True)["changed"] is True
    assert node.secrets == [name]
    assert node.tokens(state="absent", ids=[result["id"]])["changed"] is True
    assert node.secrets == []
    assert node.tokens(state="absent", ids=[result["id"]])["changed"] is False


def test_each_node_has_a_token_of_its_own(node):
    asked = node.join("request")["request"]
    results = node.tokens(nodes=[asked, {**asked, "name": "worker-4"}])["results"]
    assert len({one["id"] for one in results}) == len(node.secrets) == 2
    refused = node.join(sealed=results[1]["sealed"])
    assert "cannot be opened" in refused["msg"]


def test_check_mode_foretells_and_touches_nothing(node):
    asked = node.join("request", check=True)
    assert (asked["changed"], asked["request"]) == (True, {"name": "worker-3", "transport_public_key": None})
    assert node.tokens(nodes=[asked["request"]], check=True)["changed"] is True
    assert node.join(check=True)["changed"] is True
    assert not node.kubernetes.exists()
    assert node.secrets == []


def test_a_token_is_refused_without_a_key_to_seal_it_for(node):
    said = node.tokens(nodes=[{"name": "worker-3"}])
    assert "worker-3: transport_public_key is missing" in said["msg"]
    assert node.secrets == []


def test_a_node_that_was_issued_its_certificate_needs_no_token(node):
    asked = node.join("request", identity_path="/pair.pem")
    assert (asked["needed"], "request" in asked) == (True, False)
    assert node.join(identity_path="/pair.pem", registration={"criSocket": "unix:///run/c.sock"})["changed"] is True
    identity = node.seen["identity"]
    assert identity["users"][0]["user"] == {"client-certificate": "/pair.pem", "client-key": "/pair.pem"}
    trusted = base64.b64decode(identity["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    assert trusted.count("BEGIN CERTIFICATE") == 2
    assert node.seen["config"]["nodeRegistration"] == {"name": "w3", "criSocket": "unix:///run/c.sock"}
    assert [path.name for path in node.kubernetes.rglob("*")] == ["kubelet.conf"]


@pytest.mark.parametrize("options", [{}, {"sealed": "AA==", "identity_path": "/pair.pem"}])
def test_exactly_one_credential_is_wanted(node, options):
    assert "exactly one of sealed and identity_path" in node.join(**options)["msg"]


def test_what_kubeadm_says_is_told_and_no_credential_stays_behind(node):
    (node.root / "fails").touch()
    said = node.join(sealed=node.sealed()["sealed"])
    assert said["msg"] == ("worker-3: kubeadm join failed with status 1: [ERROR Port-10250]: Port 10250 is in use "
                           "(mend what kubeadm says, run kubeadm reset on the node, and join it again)")
    assert list(node.kubernetes.rglob("*")) == []


def test_a_worker_with_the_key_of_an_authority_is_refused_whatever_the_file_is_called(node):
    node.kubernetes.mkdir()
    key = node.kubernetes / "backup.old"
    key.write_text(node.key)
    assert stat.S_ISREG(key.stat().st_mode)
    for action in ("request", "join"):
        said = node.join(action, sealed="AA==")
        assert f"a worker holds the key of an authority: {key} (kubernetes/1)" in said["msg"]
    assert not (node.root / "seen.json").exists()


def test_a_worker_that_came_by_the_key_of_an_authority_while_it_joined_is_told(node):
    (node.root / "ca.key").write_text(node.key)
    said = node.join(sealed=node.sealed()["sealed"])
    assert "a worker holds the key of an authority" in said["msg"]


def test_a_control_plane_may_hold_the_key_of_an_authority(node):
    node.kubernetes.mkdir()
    (node.kubernetes / "ca.key").write_text(node.key)
    assert node.join(identity_path="/pair.pem", advertise_address="192.0.2.3")["changed"] is True
    assert node.seen["config"]["controlPlane"] == {"localAPIEndpoint": {"advertiseAddress": "192.0.2.3"}}


def test_another_key_on_a_worker_is_nobodys_affair(node):
    node.kubernetes.mkdir()
    (node.kubernetes / "tls.key").write_text(made.make_pair("/CN=another")[1])
    (node.kubernetes / "broken.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert node.join(sealed=node.sealed()["sealed"])["changed"] is True
