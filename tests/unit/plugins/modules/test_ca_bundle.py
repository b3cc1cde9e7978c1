# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rekey.kubernetes.plugins.modules import ca_bundle
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made

LONG_AGO_NS = 1_600_000_000_000_000_000

# Keeps objects as files beside itself, refuses an old resourceVersion as an API server does, and lets somebody else write
# between reading and writing as often as the file "rivals" says.
FAKE_KUBECTL = f"""#!{sys.executable}
import json, pathlib, sys
home = pathlib.Path(__file__).parent
arguments = [one for one in sys.argv[1:] if not one.startswith(("--request", "--kubeconfig", "--field-manager", "--ignore"))]
with open(home / "log", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
def place(kind, namespace, name):
    return home / f"{{kind.lower()}}.{{namespace}}.{{name}}.json"
if arguments[0] == "get":
    namespace = next((one.split("=")[1] for one in arguments if one.startswith("--namespace=")), "")
    found = place(arguments[1], namespace, arguments[2])
    sys.stdout.write(found.read_text() if found.exists() else "")
elif arguments[0] == "replace":
    wanted = json.load(sys.stdin)
    metadata = wanted["metadata"]
    found = place(wanted["kind"], metadata.get("namespace", ""), metadata["name"])
    stored = json.loads(found.read_text())
    rivals = home / "rivals"
    left = int(rivals.read_text()) if rivals.exists() else 0
    if left:
        rivals.write_text(str(left - 1))
        stored["metadata"]["resourceVersion"] = str(int(stored["metadata"]["resourceVersion"]) + 1)
        stored["metadata"]["rival"] = "was here"
        found.write_text(json.dumps(stored))
    if stored["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
        sys.exit("Error from server (Conflict): Operation cannot be fulfilled: the object has been modified; please apply your changes")
    metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
    if not (home / "deaf").exists():
        found.write_text(json.dumps(wanted))
    print(json.dumps(wanted))
"""


@pytest.fixture
def cluster(tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(FAKE_KUBECTL)
    program.chmod(0o755)

    def put(kind: str, name: str, namespace: str = "", **fields: object) -> Path:
        stored = folder / f"{kind.lower()}.{namespace}.{name}.json"
        metadata = {"name": name, "resourceVersion": "1", **({"namespace": namespace} if namespace else {})}
        stored.write_text(json.dumps({"kind": kind, "apiVersion": "v1", "metadata": metadata, **fields}))
        return stored

    put.folder, put.program = folder, str(program)
    return put


def run(capsys, bundles: list[dict], check: bool = False, diff: bool = True, **options: object) -> dict:
    with patch_module_args({"bundles": bundles, "_ansible_check_mode": check, "_ansible_diff": diff, **options}), \
            pytest.raises(SystemExit):
        ca_bundle.main()
    return json.loads(capsys.readouterr().out)


def decisions(answer: dict) -> list[dict]:
    return [{key: one[key] for key in one if key != "diff"} for one in answer["results"]]


def both(capsys, bundles: list[dict], **options: object) -> dict:
    """Run in check mode, for real, and again; check that the first tells the truth and the last changes nothing."""
    would = run(capsys, bundles, check=True, **options)
    did = run(capsys, bundles, **options)
    assert would == did
    again = run(capsys, bundles, **options)
    assert not again["changed"], again
    assert [one["fingerprints_before"] for one in again["results"]] == [one["fingerprints_after"] for one in did["results"]]
    return did


def certificates() -> tuple[str, str]:
    return made.make_ca("ca@old"), made.make_ca("ca@new")


def files_below(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {str(one): (one.read_bytes(), one.stat().st_mode, one.stat().st_mtime_ns) for one in folder.rglob("*") if one.is_file()}


def test_a_bundle_is_made_extended_and_reduced(capsys, tmp_path):
    old, new = certificates()
    path = tmp_path / "ca.crt"
    did = both(capsys, [{"name": "k", "path": str(path), "certificates": [old], "state": "exact"}])
    assert did["results"] == [{
        "name": "k", "target": str(path), "changed": True, "trust_changed": True, "skipped": False,
        "reasons": ["missing", f"adds ca@old sha256:{made.fingerprint(old)[:12]}"],
        "fingerprints_before": [], "fingerprints_after": [made.fingerprint(old)], "subjects": ["CN=ca@old"]}]
    assert path.stat().st_mode & 0o777 == 0o644
    both(capsys, [{"name": "k", "path": str(path), "certificates": [new]}])
    assert made.bundle_fingerprints(str(path)) == [made.fingerprint(new), made.fingerprint(old)]
    did = both(capsys, [{"name": "k", "path": str(path), "state": "absent", "fingerprints": [made.fingerprint(old)]}])
    assert made.bundle_fingerprints(str(path)) == [made.fingerprint(new)]
    assert did["diff"] == [{
        "before_header": str(path), "after_header": str(path),
        "before": f"CN=ca@new sha256:{made.fingerprint(new)}\nCN=ca@old sha256:{made.fingerprint(old)}\n",
        "after": f"CN=ca@new sha256:{made.fingerprint(new)}\n"}]


def test_inputs_come_in_their_order_texts_before_files(capsys, tmp_path):
    old, new = certificates()
    other = tmp_path / "other.pem"
    other.write_text(made.make_ca("other"))
    path = tmp_path / "ca.crt"
    both(capsys, [{"name": "k", "path": str(path), "certificate_paths": [str(other)], "certificates": [new + old], "state": "exact"}])
    assert made.bundle_fingerprints(str(path)) == [made.fingerprint(one) for one in (new, old, made.make_ca("other"))]


@pytest.mark.parametrize(("before", "kept"), [
    (lambda old, new: new + old, True),
    (lambda old, new: "# text\n" + old + old + new, True),
    (lambda old, new: old.rstrip("\n") + new, False),
    (lambda old, new: old, False),
])
def test_the_time_of_a_file_stays_when_its_certificates_do(capsys, tmp_path, before, kept):
    old, new = certificates()
    path = tmp_path / "ca.crt"
    path.write_text(before(old, new))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    did = both(capsys, [{"name": "k", "path": str(path), "certificates": [old, new], "state": "exact"}])
    assert path.read_text() == old + new
    assert (path.stat().st_mtime_ns == LONG_AGO_NS) is kept
    assert did["results"][0]["trust_changed"] is not kept


def test_a_mode_that_differs_is_a_change_of_its_own(capsys, tmp_path):
    old, _new = certificates()
    path = tmp_path / "ca.crt"
    path.write_text(old)
    path.chmod(0o666)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    did = both(capsys, [{"name": "k", "path": str(path), "certificates": [old], "mode": "0640"}])
    assert did["results"][0]["reasons"] == [f"mode of {path} is 0666, not 0640"]
    assert did["diff"][0]["before"].endswith("0666, not 0640\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mtime_ns == LONG_AGO_NS


def test_two_clusters_of_one_kubeconfig_are_changed_by_two_items(capsys, tmp_path):
    old, new = certificates()
    data = base64.b64encode(old.encode()).decode()
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump({"clusters": [{"name": name, "cluster": {"certificate-authority-data": data}} for name in "ab"],
                                    "users": [{"name": "u", "user": {"exec": {"command": "x"}}}]}))
    path.chmod(0o600)
    both(capsys, [{"name": name, "kubeconfig_path": str(path), "cluster": name, "certificates": [new]} for name in "ab"])
    written = yaml.safe_load(path.read_text())
    assert [base64.b64decode(one["cluster"]["certificate-authority-data"]).decode() for one in written["clusters"]] == 2 * [new + old]
    assert written["users"] == [{"name": "u", "user": {"exec": {"command": "x"}}}]
    assert path.stat().st_mode & 0o777 == 0o600


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_fields_of_objects_are_changed_in_their_format(capsys, cluster):
    old, new = certificates()
    root = cluster("ConfigMap", "kube-root-ca.crt", "default", data={"ca.crt": old, "other": "stays"})
    hook = cluster("MutatingWebhookConfiguration", "hook", webhooks=[{"clientConfig": {"caBundle": encoded(old)}}, {"clientConfig": {}}])
    text = json.dumps({"clusters": [{"name": "", "cluster": {"certificate-authority-data": encoded(old), "server": "https://a"}}]})
    info = cluster("ConfigMap", "cluster-info", "kube-public", data={"kubeconfig": text})
    place = {"kind": "mutatingwebhookconfiguration", "name": "hook", "format": "base64"}
    objects = [
        {"kind": "configmap", "name": "kube-root-ca.crt", "namespace": "default", "field": 'data["ca.crt"]'},
        {**place, "field": "webhooks[0].clientConfig.caBundle"},
        {**place, "field": "webhooks[1].clientConfig.caBundle"},
        {"kind": "configmap", "name": "cluster-info", "namespace": "kube-public", "field": "data.kubeconfig", "format": "kubeconfig"},
    ]
    bundles = [{"name": f"n{number}", "object": one, "certificates": [new]} for number, one in enumerate(objects)]
    did = both(capsys, bundles, kubectl=cluster.program)
    assert did["results"][0]["target"] == 'configmap default/kube-root-ca.crt data["ca.crt"]'
    assert json.loads(root.read_text())["data"] == {"ca.crt": new + old, "other": "stays"}
    webhooks = json.loads(hook.read_text())["webhooks"]
    assert [base64.b64decode(one["clientConfig"]["caBundle"]).decode() for one in webhooks] == [new + old, new]
    (named,) = yaml.safe_load(json.loads(info.read_text())["data"]["kubeconfig"])["clusters"]
    assert (named["name"], named["cluster"]["server"]) == ("", "https://a")
    assert base64.b64decode(named["cluster"]["certificate-authority-data"]).decode() == new + old
    assert "BEGIN CERTIFICATE" not in (cluster.folder / "log").read_text()


def root_item(**options: object) -> dict:
    place = {"kind": "configmap", "name": "root", "namespace": "default", "field": 'data["ca.crt"]'}
    return {"name": "root", "object": place, "certificates": [certificates()[1]], **options}


def test_a_rival_writer_is_waited_out_and_keeps_its_change(capsys, cluster):
    old, new = certificates()
    stored = cluster("ConfigMap", "root", "default", data={"ca.crt": old})
    (cluster.folder / "rivals").write_text("4")
    did = run(capsys, [root_item()], kubectl=cluster.program)
    assert did["changed"]
    found = json.loads(stored.read_text())
    assert (found["data"]["ca.crt"], found["metadata"]["rival"]) == (new + old, "was here")


def test_a_rival_that_never_rests_is_an_error(capsys, cluster):
    cluster("ConfigMap", "root", "default", data={"ca.crt": certificates()[0]})
    (cluster.folder / "rivals").write_text("5")
    did = run(capsys, [root_item()], kubectl=cluster.program)
    assert did["failed"] and did["msg"].startswith("root: ") and "the object has been modified" in did["msg"]
    assert (cluster.folder / "log").read_text().count('"replace"') == 5


def test_an_object_that_does_not_keep_what_is_written_is_an_error(capsys, cluster):
    cluster("ConfigMap", "root", "default", data={"ca.crt": certificates()[0]})
    (cluster.folder / "deaf").touch()
    did = run(capsys, [root_item()], kubectl=cluster.program)
    assert did["failed"] and "holds 1 certificates after writing 2" in did["msg"]


def test_a_missing_object_is_an_error_or_skipped(capsys, cluster, tmp_path):
    did = run(capsys, [root_item()], kubectl=cluster.program)
    assert did["failed"] and did["msg"].startswith('root: configmap default/root data["ca.crt"]: does not exist')
    did = both(capsys, [root_item(missing="skip")], kubectl=cluster.program)
    assert did["results"][0]["skipped"] and not did["changed"]
    kubeconfig = {"name": "c", "kubeconfig_path": str(tmp_path / "config"), "certificates": [certificates()[0]]}
    assert "does not exist" in run(capsys, [kubeconfig])["msg"]
    assert both(capsys, [{**kubeconfig, "missing": "skip"}])["results"][0]["skipped"]


def test_a_missing_kubectl_is_named(capsys):
    assert run(capsys, [root_item()], kubectl="/absent/kubectl")["msg"].startswith("root: /absent/kubectl: cannot be run: No such file")


def good(tmp_path: Path) -> dict:
    return {"name": "good", "path": str(tmp_path / "good.crt"), "certificates": [certificates()[1]]}


BAD = {
    "two places": ({"kubeconfig_path": "/x"}, "needs exactly one of"),
    "no place": ({"path": None}, "needs exactly one of"),
    "relative path": ({"path": "ca.crt"}, "is not an absolute path"),
    "cluster of a file": ({"cluster": "a"}, "cluster is for kubeconfigs"),
    "unquoted mode": ({"mode": "420"}, "is not four octal digits"),
    "unknown owner": ({"owner": "nobody-of-that-name"}, "no such user"),
    "no certificate": ({"certificates": []}, "names no certificate"),
    "text without certificate": ({"certificates": ["text"]}, r"certificates\[0\]: holds no PEM certificate"),
    "empty text": ({"certificates": [""]}, r"certificates\[0\]: holds no PEM certificate"),
    "missing input": ({"certificate_paths": ["/absent/ca.crt"]}, "/absent/ca.crt: no such file"),
    "truncated": ({"certificates": [certificates()[0][:-40]]}, "truncated or damaged"),
    "private key": ({"certificates": [made.make_pair("/CN=x")[1]]}, "PRIVATE KEY where only certificates belong"),
    "leaf": ({"certificates": [made.make_ca("leaf", made.LEAF)]}, "leaf sha256:.* is not a CA certificate"),
    "fingerprint to add": ({"fingerprints": ["0" * 64]}, "do not go with state present"),
    "no fingerprint": ({"state": "absent", "fingerprints": ["zz"]}, "not a SHA-256 fingerprint"),
    "same name": ({"name": "good"}, "two bundles have this name"),
    "bad field": ({"path": None, "object": {"kind": "a", "name": "b", "field": "c["}}, "not a field path"),
    "unknown option": ({"certificate": "x"}, "certificate"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("check", [True, False])
def test_bad_input_names_the_item_and_changes_nothing(capsys, tmp_path, case, check):
    change, problem = BAD[case]
    (tmp_path / "good.crt").write_text(certificates()[0])
    before = files_below(tmp_path)
    bad = {"name": "bad", "path": str(tmp_path / "bad.crt"), "certificates": [certificates()[0]], **change}
    did = run(capsys, [good(tmp_path), {key: value for key, value in bad.items() if value is not None}], check=check)
    assert did["failed"]
    assert re.search(problem, did["msg"])
    assert case == "unknown option" or did["msg"].startswith(str(bad["name"]))
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(("content", "problem"), [
    (lambda: certificates()[0][:-40], "truncated or damaged"),
    (lambda: certificates()[0] + made.make_pair("/CN=x")[1], "PRIVATE KEY where only certificates belong"),
    (lambda: "no PEM at all", "holds no PEM certificate"),
    (lambda: made.make_ca("leaf", made.LEAF), "is not a CA certificate"),
])
def test_a_bundle_that_is_not_one_is_left_as_it_is(capsys, tmp_path, content, problem):
    path = tmp_path / "bad.crt"
    path.write_text(content())
    before = files_below(tmp_path)
    did = run(capsys, [good(tmp_path), {"name": "bad", "path": str(path), "certificates": [certificates()[0]]}])
    assert did["failed"] and did["msg"].startswith(f"bad: {path}: ") and problem in did["msg"]
    assert files_below(tmp_path) == before


def test_a_bundle_is_never_emptied(capsys, tmp_path):
    old, _new = certificates()
    path = tmp_path / "ca.crt"
    path.write_text(old)
    did = run(capsys, [{"name": "k", "path": str(path), "state": "absent", "certificates": [old]}])
    assert did["failed"] and "the bundle would be empty" in did["msg"]
    assert path.read_text() == old


def test_one_place_is_asked_for_once(capsys, tmp_path):
    twice = [good(tmp_path), {**good(tmp_path), "name": "again", "path": f"{tmp_path}/./good.crt"}]
    assert "is asked for twice" in run(capsys, twice)["msg"]
    kubeconfig = {"kubeconfig_path": str(tmp_path / "config"), "certificates": [certificates()[0]]}
    overlapping = [{**kubeconfig, "name": "all"}, {**kubeconfig, "name": "one", "cluster": "a"}]
    assert "is asked for twice" in run(capsys, overlapping)["msg"]


def test_a_missing_directory_is_refused_but_in_check_mode_an_earlier_task_may_make_it(capsys, tmp_path):
    asked = [{"name": "k", "path": str(tmp_path / "absent" / "ca.crt"), "certificates": [certificates()[0]]}]
    assert "absent does not exist (create it first)" in run(capsys, asked)["msg"]
    assert run(capsys, asked, check=True)["changed"]
    assert not (tmp_path / "absent").exists()


def test_a_symlink_is_refused(capsys, tmp_path):
    (tmp_path / "real.crt").write_text(certificates()[0])
    (tmp_path / "link.crt").symlink_to("real.crt")
    did = run(capsys, [{"name": "k", "path": str(tmp_path / "link.crt"), "certificates": [certificates()[1]]}])
    assert did["failed"] and "is a symlink" in did["msg"]
    assert (tmp_path / "link.crt").is_symlink() and (tmp_path / "real.crt").read_text() == certificates()[0]
