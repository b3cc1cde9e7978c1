# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import kubectl as edge
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError


class Recorder:
    """Stands for the program: keeps what it is asked and answers what it is told."""

    def __init__(self, code: int = 0, output: str = "{}", message: str = "") -> None:
        self.answer = (code, output, message)
        self.asked: list[tuple[list[str], str]] = []

    def __call__(self, argv: list[str], stdin: str) -> tuple[int, str, str]:
        self.asked.append((argv, stdin))
        return self.answer

    def kubectl(self) -> edge.Kubectl:
        return edge.Kubectl(self, "/bin/kubectl", "/etc/admin.conf", 7)


COMMAND = ["/bin/kubectl", "--request-timeout=7s", "--kubeconfig=/etc/admin.conf"]
SECRET = {"data": {"token": "c2VjcmV0"}}


@pytest.mark.parametrize(("ask", "arguments"), [
    (lambda kubectl: kubectl.get("node", "a"), ["get", "node", "a", "--ignore-not-found"]),
    (lambda kubectl: kubectl.get("configmap", "a", "b"), ["get", "configmap", "a", "--ignore-not-found", "--namespace=b"]),
    (lambda kubectl: kubectl.list("pods"), ["get", "pods", "--all-namespaces"]),
    (lambda kubectl: kubectl.list("pods", "a", "b=c", "d=e"),
     ["get", "pods", "--namespace=a", "--field-selector=b=c", "--selector=d=e"]),
    (lambda kubectl: kubectl.create(SECRET), ["create", "--field-manager=rekey.kubernetes", "-f", "-"]),
    (lambda kubectl: kubectl.replace(SECRET), ["replace", "--field-manager=rekey.kubernetes", "-f", "-"]),
    (lambda kubectl: kubectl.apply(SECRET), ["apply", "--server-side", "--field-manager=rekey.kubernetes", "-f", "-"]),
    (lambda kubectl: kubectl.patch("secret", "a", SECRET, "b"),
     ["patch", "secret", "a", "--namespace=b", "--type=merge", "--field-manager=rekey.kubernetes", "--patch-file=/dev/stdin"]),
])
def test_arguments_are_names_and_contents_go_through_standard_input(ask, arguments):
    program = Recorder()
    ask(program.kubectl())
    ((argv, stdin),) = program.asked
    assert argv == [*COMMAND, *arguments, "-o", "json"]
    assert stdin == (json.dumps(SECRET) if arguments[0] in ("create", "replace", "apply", "patch") else "")


def test_approving_names_the_request():
    program = Recorder()
    program.kubectl().approve("csr-1")
    assert program.asked == [([*COMMAND, "certificate", "approve", "csr-1"], "")]


def test_without_a_kubeconfig_kubectl_chooses():
    program = Recorder()
    edge.Kubectl(program).text(["version"])
    assert program.asked[0][0] == ["kubectl", "--request-timeout=10s", "version"]


def test_answers_are_parsed():
    assert Recorder(output='{"a": 1}').kubectl().get("a", "b") == {"a": 1}
    assert Recorder(output="\n").kubectl().get("a", "b") is None
    assert Recorder(output='{"items": [{"a": 1}]}').kubectl().list("a") == [{"a": 1}]
    assert Recorder(output='{"items": null}').kubectl().list("a") == []
    with pytest.raises(PkiError, match="the answer is not JSON"):
        Recorder(output="<html>").kubectl().get("a", "b")


@pytest.mark.parametrize(("message", "remedy"), [
    ('Error from server (Forbidden): configmaps is forbidden: User "x" cannot get', "the right to do this"),
    ("error: You must be logged in to the server (Unauthorized)", "give a kubeconfig it accepts"),
    ("Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
     "does not fit what the API server serves"),
    ("The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?", "check that the API server runs"),
    ("dial tcp 127.0.0.1:6443: connect: connection refused", "check that the API server runs"),
    ("Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded)", "healthy"),
    ('error: the server doesn\'t have a resource type "foo"', "check the kind"),
    ("something else", "run the same command by hand"),
    ("", "no message"),
])
def test_a_failure_says_what_was_asked_what_came_back_and_what_to_do(message, remedy):
    with pytest.raises(PkiError) as raised:
        Recorder(1, "", message + "\n").kubectl().get("configmap", "a", "b")
    assert str(raised.value).startswith("/bin/kubectl: get configmap a --ignore-not-found --namespace=b -o json: exit status 1: ")
    assert message in str(raised.value) and remedy in str(raised.value)
    assert not isinstance(raised.value, edge.Conflict)


def test_a_conflict_is_told_from_other_failures():
    message = "Error from server (Conflict): Operation cannot be fulfilled on configmaps: the object has been modified; please apply"
    with pytest.raises(edge.Conflict, match="run again"):
        Recorder(1, "", message).kubectl().replace({})


def test_a_program_that_cannot_be_started_is_named():
    def run(argv: list[str], stdin: str) -> tuple[int, str, str]:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(PkiError, match=r"^/opt/kubectl: cannot be run: No such file .*install kubectl"):
        edge.Kubectl(run, "/opt/kubectl").text(["version"])


OBJECT = {"data": {"ca.crt": "x"}, "webhooks": [{"clientConfig": {"caBundle": "y", "url": None}}], "spec": {}}


@pytest.mark.parametrize(("field", "value"), [
    ('data["ca.crt"]', "x"), ("data['ca.crt']", "x"), ("webhooks[0].clientConfig.caBundle", "y"), ("webhooks[0].clientConfig.url", None),
    ("spec.caBundle", None)])
def test_fields_are_found_and_set(field, value):
    assert edge.field_value(OBJECT, field, "object") == value
    changed = edge.with_field(OBJECT, field, "new", "object")
    assert edge.field_value(changed, field, "object") == "new"
    assert edge.field_value(OBJECT, field, "object") == value


@pytest.mark.parametrize(("field", "problem"), [
    ("", "names no field"), ("webhooks[0]", "names no field"), (".data", "not a field path"), ("data[ca.crt]", "not a field path"),
    ("data..x", "not a field path"), ("data[", "not a field path"), ("webhooks[1].clientConfig.caBundle", "nothing to hold"),
    ("absent.caBundle", "nothing to hold"), ('data["ca.crt"].x', "nothing to hold"), ("webhooks", "is not a text")])
def test_paths_that_lead_nowhere_are_refused(field, problem):
    with pytest.raises(PkiError, match=f"^object: .*{problem}"):
        edge.field_value(OBJECT, field, "object")
