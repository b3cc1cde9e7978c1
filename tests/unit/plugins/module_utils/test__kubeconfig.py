# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import copy
import json

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _kubeconfig
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._kubeconfig import Entry, Wanted
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Machines that are busy with other things shall not fail a property for being slow.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.sampled_from(["a", "b", "c", ""])
TEXTS = st.text(min_size=1, max_size=4)
UNKNOWN = st.sampled_from([
    None, True, -7, 1.5, "", "text", "1e3", "2026-11-22", "a: b # c", "multi\nline\n", "  ä\t", [], {},
    [{"name": "e", "extension": {"x": [1, None]}}]])
FIELDS = {
    "clusters": st.sampled_from(["server", "certificate-authority", "tls-server-name", "proxy-url"]),
    "users": st.sampled_from(["client-certificate", "client-key", "token", "username"]),
    "contexts": st.sampled_from(["cluster", "user", "namespace"]),
}


def entries_of(kind: str) -> st.SearchStrategy:
    known = st.dictionaries(FIELDS[kind], TEXTS, max_size=2)
    unknown = st.dictionaries(st.sampled_from(["extensions", "exec"]), UNKNOWN, max_size=1)
    entries = st.dictionaries(NAMES, st.builds(lambda one, other: {**one, **other}, unknown, known), max_size=3)
    return entries.map(lambda named: [{"name": name, _kubeconfig.KINDS[kind]: fields} for name, fields in named.items()])


DOCUMENTS = st.builds(
    lambda clusters, users, contexts, rest: {**rest, "clusters": clusters, "users": users, "contexts": contexts},
    entries_of("clusters"), entries_of("users"), entries_of("contexts"),
    st.fixed_dictionaries({}, optional={"preferences": UNKNOWN, "x-unknown": UNKNOWN, "current-context": NAMES}))


@st.composite
def wanted_of(draw: st.DrawFn, exact: bool | None = None) -> Wanted:
    entries = []
    for kind in ("clusters", "users"):
        for name in draw(st.lists(NAMES, max_size=2, unique=True)):
            fields = {**draw(st.dictionaries(FIELDS[kind], TEXTS, max_size=2)), "server": "https://a"}
            entries.append(Entry(kind, name, fields, ("proxy-url",), draw(st.booleans())))
    return Wanted(tuple(entries), None, draw(st.booleans()) if exact is None else exact)


def merged(document: dict | None, wanted: Wanted) -> dict:
    return _kubeconfig.merge(document, wanted, "/etc/k", "item: /etc/k/config")


@steady
@given(st.none() | DOCUMENTS, wanted_of())
def test_merging_twice_is_merging_once(document, wanted):
    once = merged(document, wanted)
    assert merged(once, wanted) == once
    assert _kubeconfig.reasons(once, merged(once, wanted)) == ()


@steady
@given(DOCUMENTS, wanted_of())
def test_merging_leaves_its_input_alone(document, wanted):
    before = copy.deepcopy(document)
    merged(document, wanted)
    assert document == before


@steady
@given(DOCUMENTS, wanted_of(exact=False))
def test_what_is_not_asked_for_stays_where_it_is(document, wanted):
    after = merged(document, wanted)
    asked = {(entry.kind, entry.name) for entry in wanted.entries}
    for kind, inner in _kubeconfig.KINDS.items():
        others = [one for one in document[kind] if (kind, one["name"]) not in asked]
        assert [one for one in after[kind] if (kind, one["name"]) not in asked] == others
        for one in document[kind]:
            entry = next((entry for entry in wanted.entries if (entry.kind, entry.name) == (kind, one["name"])), None)
            if entry is not None and entry.present:
                found = next(other for other in after[kind] if other["name"] == one["name"])[inner]
                kept = {key: value for key, value in one[inner].items() if key not in entry.fields and key not in entry.displaced}
                assert {key: found[key] for key in kept} == kept
    rest = {key: value for key, value in document.items() if key not in _kubeconfig.KINDS}
    assert {key: after[key] for key in rest} == rest


@steady
@given(DOCUMENTS, wanted_of(exact=False))
def test_order_of_entries_stays_and_new_ones_come_last(document, wanted):
    after = merged(document, wanted)
    for kind in _kubeconfig.KINDS:
        before = [one["name"] for one in document[kind]]
        names = [one["name"] for one in after[kind]]
        assert [name for name in names if name in before] == [name for name in before if name in names]
        assert all(name in before for name in names[: len([name for name in names if name in before])])


@steady
@given(DOCUMENTS, wanted_of(exact=False))
def test_absent_after_present_gives_back_the_original(document, wanted):
    new = tuple(entry._replace(present=True) for entry in wanted.entries
                if entry.name not in [one["name"] for one in document[entry.kind]])
    added = merged(document, Wanted(new))
    removed = merged(added, Wanted(tuple(entry._replace(present=False) for entry in new)))
    assert removed == document
    assert _kubeconfig.reasons(document, removed) == ()


@steady
@given(st.none() | DOCUMENTS, wanted_of(exact=True))
def test_exact_leaves_what_is_asked_for_and_nothing_else(document, wanted):
    after = merged(document, wanted)
    for kind, inner in _kubeconfig.KINDS.items():
        assert {one["name"]: one[inner] for one in after[kind]} == {
            entry.name: dict(entry.fields) for entry in wanted.entries if entry.kind == kind and entry.present}
    assert set(after) <= {"apiVersion", "kind", "current-context", *_kubeconfig.KINDS}


@steady
@given(DOCUMENTS)
def test_what_is_written_is_read_back(document):
    assert _kubeconfig.parse(_kubeconfig.dump(document), "text") == document


@steady
@given(DOCUMENTS)
def test_json_is_read_back_without_yaml(document):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kubeconfig, "HAS_YAML", False)
        text = _kubeconfig.dump(document)
        assert json.loads(text) == document
        assert _kubeconfig.parse(text, "text") == document


@pytest.mark.parametrize("text", [
    "1e3", "y", "n", "on", "0x1f", "012", "1_000", "12:30:45", "2026-11-22", "~", "", " ", "a: b", "#", "=", "null"])
def test_text_that_yaml_readers_disagree_about_is_quoted(text):
    written = _kubeconfig.dump({"clusters": [{"name": "x", "cluster": {"server": text}}]})
    line = next(line for line in written.splitlines() if "server:" in line)
    assert line.split(": ", 1)[1][0] in "\"'"
    assert _kubeconfig.parse(written, "text")["clusters"][0]["cluster"]["server"] == text


def test_yaml_dates_stay_text():
    assert _kubeconfig.parse("extensions:\n- last: 2026-11-22\n", "text") == {"extensions": [{"last": "2026-11-22"}]}


SECRET = "c2VjcmV0LWtleS1ieXRlcw"


@pytest.mark.parametrize(("text", "problem"), [
    ("- a\n- b\n", "is not a mapping"),
    (f"users: [{{name: a, user: {{token: {SECRET}\n", r"is not YAML.*line"),
    (f"\t{SECRET}: [", "is not YAML"),
    ("a: 1\na: 2\n", "repeats a key"),
    ('{"a": 1, "a": 2}', "repeats a key"),
    ("kind: ConfigMap\napiVersion: v1\n", "is a 'ConfigMap', not a kubeconfig"),
    ("clusters: {a: b}\n", "clusters is not a list"),
    ("users:\n- user: {}\n", "users has an entry without a name"),
    ("users:\n- name: a\n  user: text\n", "wrong user"),
    ("users:\n- {name: a, user: {}}\n- {name: a, user: {}}\n", "users has the name a more than once"),
    ("a: &a [*a]\n", "JSON cannot say"),
    ("a: !!binary aGVsbG8=\n", "JSON cannot say"),
    ("a: 1\n---\nb: 2\n", "is not YAML"),
    ("a: !!python/object:os.system {}\n", "is not YAML"),
])
def test_what_is_no_kubeconfig_is_refused_without_quoting_it(text, problem):
    with pytest.raises(PkiError, match=f"^/root/.kube/config: .*{problem}") as raised:
        _kubeconfig.parse(text, "/root/.kube/config")
    assert SECRET not in str(raised.value)


def test_yaml_without_pyyaml_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(_kubeconfig, "HAS_YAML", False)
    with pytest.raises(PkiError, match="^/root/.kube/config: is not JSON, and this Python has no PyYAML"):
        _kubeconfig.parse("clusters: []\n", "/root/.kube/config")


@pytest.mark.parametrize("text", ["", "\n", "null", "{}"])
def test_an_empty_file_is_an_empty_kubeconfig(text):
    assert _kubeconfig.parse(text, "text") == {}


def cluster(name: str = "k", **fields: str) -> Entry:
    return Entry("clusters", name, {key.replace("_", "-"): value for key, value in fields.items()})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def document(**fields: object) -> dict:
    named = {key.replace("_", "-"): value for key, value in fields.items()}
    return {"clusters": [{"name": "k", "cluster": {"server": "https://a", **named}}]}


def test_inline_data_that_says_the_same_is_left_in_its_words():
    pem = made.make_ca("ca")
    wrapped = encoded("# a comment\n" + pem.replace("\n", "\r\n"))
    before = document(certificate_authority_data=wrapped)
    after = merged(before, Wanted((cluster(certificate_authority_data=encoded(pem)),)))
    assert after == before
    assert _kubeconfig.reasons(before, after) == ()


@pytest.mark.parametrize("change", [lambda old, new: new + old, lambda old, new: new, lambda old, new: "", lambda old, new: "damaged"])
def test_inline_data_that_says_something_else_is_replaced(change):
    old, new = made.make_ca("old"), made.make_ca("new")
    wanted = encoded(old + new)
    after = merged(document(certificate_authority_data=encoded(change(old, new))), Wanted((cluster(certificate_authority_data=wanted),)))
    assert after["clusters"][0]["cluster"]["certificate-authority-data"] == wanted


def test_a_relative_path_to_the_same_file_is_left_in_its_words():
    before = document(certificate_authority="pki/../ca.crt")
    assert merged(before, Wanted((cluster(certificate_authority="/etc/k/ca.crt"),))) == before
    after = merged(before, Wanted((cluster(certificate_authority="/etc/ca.crt"),)))
    assert after["clusters"][0]["cluster"]["certificate-authority"] == "/etc/ca.crt"


def test_displaced_fields_go_and_unknown_fields_stay():
    before = document(certificate_authority_data="eA==", proxy_url="http://p", insecure_skip_tls_verify=True)
    entry = Entry("clusters", "k", {"certificate-authority": "/ca.crt"}, ("certificate-authority-data", "insecure-skip-tls-verify"))
    after = merged(before, Wanted((entry,)))
    assert after["clusters"][0]["cluster"] == {"server": "https://a", "proxy-url": "http://p", "certificate-authority": "/ca.crt"}
    assert _kubeconfig.reasons(before, after) == (
        "cluster k: adds certificate-authority /ca.crt", "cluster k: removes certificate-authority-data",
        "cluster k: removes insecure-skip-tls-verify")


def test_every_reason_is_told_without_secrets():
    old, new = made.make_ca("old"), made.make_ca("new")
    before = {
        "clusters": [{"name": "k", "cluster": {"server": "https://a", "certificate-authority-data": encoded(old)}}],
        "users": [{"name": "u", "user": {"token": SECRET, "client-key-data": SECRET}}, {"name": "gone", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}], "current-context": "c", "preferences": {"colors": True},
    }
    wanted = Wanted((
        cluster("k", server="https://b", certificate_authority_data=encoded(new)), Entry("users", "u", {"token": f"{SECRET}2"}),
        Entry("contexts", "d", {"cluster": "k", "user": "u"})), "d", exact=True)
    told = _kubeconfig.reasons(before, merged(before, wanted))
    assert told == (
        f"cluster k: certificate-authority-data becomes sha256:{made.fingerprint(new)}", "cluster k: server becomes https://b",
        "removes user gone", "user u: removes client-key-data", "user u: token becomes (not shown)",
        "adds context d", "removes context c", "current-context: 'c' becomes 'd'", "removes preferences", "adds apiVersion", "adds kind")
    shown = "\n".join([*told, *_kubeconfig.summary(before), *_kubeconfig.summary(merged(before, wanted))])
    assert SECRET not in shown
    assert f"certificate-authority-data: sha256:{made.fingerprint(old)}" in shown
    assert _kubeconfig.reasons(None, merged(None, wanted)) == ("missing",)


def test_a_private_key_in_the_wrong_field_is_not_shown():
    pair = "".join(made.make_pair("/CN=x"))
    assert "  certificate-authority-data: (not shown)" in _kubeconfig.summary(document(certificate_authority_data=encoded(pair)))


@pytest.mark.parametrize("wanted", [
    Wanted((Entry("contexts", "c", {}, (), False),)),
    Wanted((), exact=True),
])
def test_a_current_context_that_is_removed_is_no_longer_current(wanted):
    before = {"contexts": [{"name": "c", "context": {}}], "current-context": "c"}
    assert merged(before, wanted)["current-context"] == ""


@pytest.mark.parametrize(("wanted", "problem"), [
    (Wanted((cluster("new", tls_server_name="x"),)), "cluster new would have no server"),
    (Wanted((Entry("contexts", "c", {"cluster": "k", "user": "u"}),)), "context c names the user 'u', which is not there"),
    (Wanted((Entry("contexts", "c", {"user": "u"}), Entry("users", "u", {}))), "context c names the cluster None"),
    (Wanted((), "absent"), "current_context 'absent' is not there"),
    (Wanted((cluster("k"), cluster("k"))), "asks for k more than once"),
])
def test_references_to_nothing_and_repetitions_are_refused(wanted, problem):
    with pytest.raises(PkiError, match=f"^item: /etc/k/config: .*{problem}"):
        merged(document(), wanted)


def test_a_cluster_without_a_name_of_its_own_is_a_cluster():
    text = json.dumps({"clusters": [{"name": "", "cluster": {"certificate-authority-data": "eA=="}}], "users": None})
    assert _kubeconfig.authority_data(_kubeconfig.parse(text, "cluster-info"), None, "cluster-info") == {"": "eA=="}
