# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import functools
import json
import re

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _bundle, _kubeconfig, _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Machines that are busy with other things shall not fail a property for being slow.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ABSENT, EXACT, PRESENT = _bundle.ABSENT, _bundle.EXACT, _bundle.PRESENT


def anchor_number(number: int) -> _bundle.Anchor:
    block = _pem.Block("CERTIFICATE", bytes([number]))
    return _bundle.Anchor(block, f"CN=ca-{number}", f"ca-{number}", ((("CN", f"ca-{number}"),),), str(number), b"", True)


ANCHORS = st.lists(st.integers(0, 7).map(anchor_number), max_size=10).map(tuple)
STATES = st.sampled_from([ABSENT, EXACT, PRESENT])


@steady
@given(ANCHORS, ANCHORS, STATES)
def test_merging_twice_is_merging_once(current, wanted, state):
    once = _bundle.merge(current, _bundle.Wanted(state, wanted))
    assert _bundle.merge(once, _bundle.Wanted(state, wanted)) == once


@steady
@given(ANCHORS, ANCHORS, STATES)
def test_nothing_is_twice_in_a_merged_bundle(current, wanted, state):
    merged = _bundle.merge(current, _bundle.Wanted(state, wanted))
    assert len({one.fingerprint for one in merged}) == len(merged)


@steady
@given(ANCHORS, ANCHORS)
def test_present_puts_the_given_first_and_keeps_the_others_in_their_order(current, wanted):
    merged = _bundle.merge(current, _bundle.Wanted(PRESENT, wanted))
    given_first = list(dict.fromkeys(wanted))
    assert list(merged[: len(given_first)]) == given_first
    assert list(merged[len(given_first) :]) == [one for one in dict.fromkeys(current) if one not in wanted]


@steady
@given(ANCHORS, ANCHORS)
def test_exact_is_what_is_given_in_its_order(current, wanted):
    assert list(_bundle.merge(current, _bundle.Wanted(EXACT, wanted))) == list(dict.fromkeys(wanted))


@steady
@given(ANCHORS, ANCHORS, st.booleans())
def test_absent_removes_by_certificate_or_by_fingerprint_and_nothing_else(current, unwanted, by_fingerprint):
    fingerprints = frozenset(one.fingerprint for one in unwanted)
    wanted = _bundle.Wanted(ABSENT, (), fingerprints) if by_fingerprint else _bundle.Wanted(ABSENT, unwanted)
    assert list(_bundle.merge(current, wanted)) == [one for one in dict.fromkeys(current) if one not in unwanted]


@steady
@given(ANCHORS, ANCHORS)
def test_absent_after_present_gives_back_the_original(current, wanted):
    original = tuple(dict.fromkeys(one for one in current if one not in wanted))
    added = _bundle.merge(original, _bundle.Wanted(PRESENT, wanted))
    assert _bundle.merge(added, _bundle.Wanted(ABSENT, wanted)) == original


SUBJECTS = [
    ("/CN=kubernetes-ca@20261122T170000Z", False),
    ("/C=DE/O=Example GmbH/OU=a\\+b/CN=käse, \"quoted\"; <x> #1", False),
    ("/DC=org/DC=example/CN=one+UID=two", True),
    ("/CN= leading and trailing ", False),
    ("/CN=#hash\\\\back", False),
    ("/emailAddress=pki@example.org/CN=with an OID", False),
    ("/CN=first/CN=second", False),
]


def parts(subject: str) -> list[list[str]]:
    # Names at one level have no order: RFC 4514 leaves it open.
    return [sorted(re.split(r"(?<!\\)\+", level)) for level in re.split(r"(?<!\\),", subject)]


@pytest.mark.parametrize(("subject", "multivalued"), SUBJECTS)
def test_subject_key_and_fingerprint_are_read_as_openssl_reads_them(subject, multivalued):
    pem = made.make_pair(subject, multivalued=multivalued)[0]
    (one,) = _bundle.anchors(pem, "bundle")
    assert parts(one.subject.replace("1.2.840.113549.1.9.1=", "emailAddress=")) == parts(made.subject(pem))
    assert (one.fingerprint, one.key, one.is_ca) == (made.fingerprint(pem), made.key_sha256(pem), True)
    printed = made.openssl(["x509", "-noout", "-ext", "subjectKeyIdentifier"], pem).split()[-1]
    assert one.key_id.hex() == printed.replace(":", "").lower()


@pytest.mark.parametrize(("extensions", "key", "is_ca", "has_key_id"), [
    (made.CA, "rsa", True, True),
    (made.CA_WITHOUT_KEY_ID, "ec", True, False),
    (made.LEAF, "ec", False, True),
    (made.NO_BASIC_CONSTRAINTS, "ec", False, True),
])
def test_extensions_decide_what_is_a_ca(extensions, key, is_ca, has_key_id):
    (one,) = _bundle.anchors(made.make_pair("/CN=x", extensions, key)[0], "bundle")
    assert (one.is_ca, bool(one.key_id)) == (is_ca, has_key_id)


@steady
@given(st.data())
def test_damaged_der_is_an_error_that_names_the_file_and_never_another_failure(data):
    whole = made.der(made.make_ca("one"))
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(st.sampled_from([whole[:place], whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]]))
    if damaged:
        try:
            _bundle.anchor(_pem.Block("CERTIFICATE", damaged), "/etc/ca.crt")
        except PkiError as exc:
            assert exc.subject == "/etc/ca.crt"


@steady
@given(st.binary(min_size=1, max_size=60))
def test_bytes_that_are_no_certificate_are_refused(content):
    with pytest.raises(PkiError, match="^bundle: certificate sha256:"):
        _bundle.anchor(_pem.Block("CERTIFICATE", content), "bundle")


@pytest.mark.parametrize("change", [lambda der: der[:-1], lambda der: der + b"\0", lambda der: der[:1] + b"\x80" + der[2:]])
def test_der_that_is_cut_short_or_too_long_is_refused(change):
    with pytest.raises(PkiError, match="cut short|no X.509|not DER"):
        _bundle.anchor(_pem.Block("CERTIFICATE", change(made.der(made.make_ca("one")))), "bundle")


def test_a_negative_serial_number_is_refused():
    der = made.der(made.make_ca("one"))
    serial = der.index(b"\xa0\x03\x02\x01\x02\x02") + 6
    negative = der[: serial + 1] + bytes([der[serial + 1] | 0x80]) + der[serial + 2 :]
    with pytest.raises(PkiError, match="negative serial"):
        _bundle.anchor(_pem.Block("CERTIFICATE", negative), "bundle")


def decide(current: str | None, *certificates: str, state: str = EXACT) -> _bundle.Decision:
    return _bundle.decide(current, _bundle.Wanted(state, _bundle.anchors("".join(certificates), "given")), "/etc/ca.crt")


OLD, NEW, OTHER = (functools.partial(made.make_ca, name) for name in ("ca@old", "ca@new", "other"))


def test_a_missing_bundle_is_made():
    decision = decide(None, NEW(), OLD())
    assert decision.text == NEW() + OLD()
    assert decision.changed and decision.trust_changed
    assert decision.reasons[0] == "missing"
    assert f"adds ca@new sha256:{made.fingerprint(NEW())[:12]}" in decision.reasons


def test_a_bundle_that_is_right_does_not_change():
    decision = decide(OLD() + NEW(), OLD(), NEW())
    assert (decision.changed, decision.trust_changed, decision.reasons) == (False, False, ())


@pytest.mark.parametrize(("current", "reason", "trust_changed"), [
    (lambda: NEW() + OLD(), "order: ca@old .* comes first", False),
    (lambda: OLD() + OLD() + NEW(), "drops a duplicate of ca@old", False),
    (lambda: "# comment\n" + OLD() + "\n" + NEW(), "normal form", False),
    (lambda: (OLD() + NEW()).replace("\n", "\r\n"), "normal form", False),
    (lambda: OLD().rstrip("\n") + NEW(), "normal form", True),
    (lambda: OLD() + "  " + NEW(), "normal form", True),
    (lambda: OLD() + NEW() + OTHER(), "removes other", True),
    (NEW, "adds ca@old", True),
])
def test_every_reason_says_what_changes_and_whether_trust_does(current, reason, trust_changed):
    decision = decide(current(), OLD(), NEW())
    assert decision.text == OLD() + NEW()
    assert decision.changed and decision.trust_changed is trust_changed
    assert any(re.search(reason, one) for one in decision.reasons)


@steady
@given(st.data())
def test_deciding_on_the_result_changes_nothing(data):
    pool = [OLD(), NEW(), OTHER(), made.make_ca("fourth")]
    current = "".join(data.draw(st.lists(st.sampled_from([*pool, "text\n", "\n"]), max_size=6)))
    wanted = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
    state = data.draw(STATES)
    try:
        first = decide(current or None, *wanted, state=state)
    except PkiError as exc:
        assert exc.problem in ("the bundle would be empty", "holds no PEM certificate")
        return
    second = decide(first.text, *wanted, state=state)
    assert second.before == first.after
    assert not second.changed and not second.trust_changed


def test_an_empty_bundle_is_refused():
    with pytest.raises(PkiError, match="would be empty"):
        decide(OLD(), OLD(), state=ABSENT)


def test_absent_needs_no_bundle():
    decision = decide(None, OLD(), state=ABSENT)
    assert (decision.text, decision.changed) == (None, False)


@pytest.mark.parametrize("extensions", [made.LEAF, made.NO_BASIC_CONSTRAINTS])
def test_a_certificate_that_is_no_ca_is_refused(extensions):
    with pytest.raises(PkiError, match="is not a CA certificate"):
        decide(None, made.make_ca("leaf", extensions))


def test_two_keys_under_one_subject_are_refused_without_distinct_key_identifiers():
    bare, other_bare = (made.make_ca("same", made.CA_WITHOUT_KEY_ID, generation) for generation in (0, 1))
    with_id, other_with_id = (made.make_ca("same", made.CA, generation) for generation in (0, 1))
    for first, second in ((bare, other_bare), (bare, with_id), (with_id, bare)):
        with pytest.raises(PkiError, match="one subject"):
            decide(first, second, state=PRESENT)
    assert decide(with_id, other_with_id, state=PRESENT).text == other_with_id + with_id


def test_subjects_that_openssl_holds_for_one_are_one_subject():
    first = made.make_ca("Same  Name", made.CA_WITHOUT_KEY_ID)
    second = made.make_ca("same name", made.CA_WITHOUT_KEY_ID)
    with pytest.raises(PkiError, match="one subject"):
        decide(None, first, second)


@pytest.mark.parametrize("text", ["MIIB", "not a certificate", "\x30\x82"])
def test_text_without_certificates_is_not_taken_for_an_empty_bundle(text):
    with pytest.raises(PkiError, match="holds no PEM certificate"):
        decide(text, OLD())


@pytest.mark.parametrize("form", [lambda hexa: hexa, str.upper, lambda hexa: "sha256:" + hexa,
                                  lambda hexa: ":".join(hexa[start : start + 2] for start in range(0, 64, 2))])
def test_fingerprints_are_read_in_every_usual_form(form):
    hexa = made.fingerprint(OLD())
    assert _bundle.fingerprint(form(hexa), "item") == hexa


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "0" * 40, "0" * 65])
def test_what_is_no_sha256_fingerprint_is_refused(text):
    with pytest.raises(PkiError, match="SHA-256"):
        _bundle.fingerprint(text, "item")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decide_encoded(value: str | None, encoding: str, *certificates: str, cluster: str | None = None) -> _bundle.Decision:
    wanted = _bundle.Wanted(PRESENT, _bundle.anchors("".join(certificates), "given"))
    return _bundle.decide_encoded(value, encoding, cluster, wanted, "object")


def test_base64_fields_are_read_and_written_as_base64():
    decision = decide_encoded(encoded(OLD()), _bundle.BASE64, NEW())
    assert base64.b64decode(decision.text).decode() == NEW() + OLD()
    assert not decide_encoded(decision.text, _bundle.BASE64, NEW()).changed
    assert base64.b64decode(decide_encoded(None, _bundle.BASE64, NEW()).text).decode() == NEW()


def test_a_field_that_is_not_base64_is_refused():
    with pytest.raises(PkiError, match="not base64"):
        decide_encoded(OLD(), _bundle.BASE64, NEW())


def kubeconfig(**clusters: dict) -> str:
    return json.dumps({"kind": "Config", "clusters": [{"name": name, "cluster": fields} for name, fields in clusters.items()],
                       "preferences": {"colors": True}})


def test_every_cluster_with_inline_data_is_changed_and_no_other():
    text = kubeconfig(one={"server": "https://a", "certificate-authority-data": encoded(OLD())},
                      two={"certificate-authority-data": encoded(OTHER())}, three={"certificate-authority": "/etc/ca.crt"})
    decision = decide_encoded(text, _bundle.KUBECONFIG, NEW())
    document = _kubeconfig.parse(decision.text, "text")
    assert [one["cluster"].get("certificate-authority-data") for one in document["clusters"]] == [
        encoded(NEW() + OLD()), encoded(NEW() + OTHER()), None]
    assert document["preferences"] == {"colors": True}
    assert [reason.split(":")[0] for reason in decision.reasons] == ["cluster one", "cluster two"]
    assert not decide_encoded(decision.text, _bundle.KUBECONFIG, NEW()).changed


def test_one_named_cluster_is_changed_alone():
    text = kubeconfig(one={"certificate-authority-data": encoded(OLD())}, two={"server": "https://b"})
    document = _kubeconfig.parse(decide_encoded(text, _bundle.KUBECONFIG, NEW(), cluster="two").text, "text")
    assert document["clusters"][0]["cluster"] == {"certificate-authority-data": encoded(OLD())}
    assert document["clusters"][1]["cluster"] == {"server": "https://b", "certificate-authority-data": encoded(NEW())}


@pytest.mark.parametrize(("cluster", "problem"), [
    (None, "no cluster has inline CA data"), ("absent", "has no cluster 'absent'"), ("file", "a CA file"), ("blind", "verifies nothing")])
def test_clusters_without_inline_data_are_refused(cluster, problem):
    text = kubeconfig(file={"certificate-authority": "/etc/ca.crt"}, blind={"insecure-skip-tls-verify": True})
    with pytest.raises(PkiError, match=problem):
        decide_encoded(text, _bundle.KUBECONFIG, NEW(), cluster=cluster)
