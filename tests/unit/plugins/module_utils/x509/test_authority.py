# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import authority, facts, keys, load, names
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs

KEY_USAGE = "X509v3 Key Usage: critical\n                Digital Signature, Certificate Sign, CRL Sign"


def adopted(extensions: str = made.CA, subject: str = "/CN=adopted", key: str = "ec") -> pairs.Pair:
    certificate, private = made.make_pair(subject, extensions, key=key)
    return pairs.Pair(load.load_certificate(certificate, "ca"), load.load_key(private.encode(), "key"))


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048"])
def test_a_root_is_what_strict_verifiers_want(key_type):
    root = pairs.root("kubernetes-ca@20261122T170000Z", key_type, path_length=1)
    text = pairs.text(root.certificate)
    assert pairs.verdict(root.certificate, [root.certificate]) == "OK"
    assert "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:1" in text
    assert KEY_USAGE in text
    assert "Subject: CN = kubernetes-ca@20261122T170000Z" in text
    assert facts.authority_key_id(root.certificate) == facts.subject_key_id(root.certificate)


def test_an_intermediate_and_its_leaves_are_trusted_through_the_root():
    root = pairs.root(path_length=1)
    middle = pairs.intermediate(root, path_length=0)
    leaf = pairs.leaf(middle).certificate
    assert pairs.verdict(middle.certificate, [root.certificate]) == "OK"
    assert pairs.verdict(leaf, [root.certificate], [middle.certificate]) == "OK"
    assert "error" in pairs.verdict(leaf, [root.certificate])


@pytest.mark.parametrize("key", ["ec", "rsa"])
def test_issued_again_under_the_same_key_all_leaves_stay_valid(key):
    extensions = made.CA + "nameConstraints=critical,permitted;DNS:example\n"
    old = adopted(extensions, "/O=acme/CN=adopted", key)
    leaf = pairs.leaf(old, pairs.SERVER._replace(organizations=()), dates=pairs.term(end=pairs.DAY)).certificate
    new = authority.reissued_authority(old.certificate, old.key, None, pairs.term(end=1000 * pairs.DAY))
    assert new.subject == old.certificate.subject
    assert facts.subject_key_id(new) == facts.subject_key_id(old.certificate)
    assert new.serial_number != old.certificate.serial_number
    assert "Permitted:\n                  DNS:example" in pairs.text(new)
    assert pairs.verdict(leaf, [new]) == "OK"
    assert pairs.verdict(new, [new]) == "OK"
    assert facts.not_after(new) > facts.not_after(old.certificate)


def test_issued_again_an_old_authority_gets_what_it_lacked():
    old = adopted("basicConstraints=CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n")
    leaf = pairs.leaf(old, dates=pairs.term(end=pairs.DAY)).certificate
    assert "error" in pairs.verdict(leaf, [old.certificate])
    new = authority.reissued_authority(old.certificate, old.key, None, pairs.term())
    assert pairs.verdict(leaf, [new]) == "OK"
    assert KEY_USAGE in pairs.text(new)
    assert "Basic Constraints: critical" in pairs.text(new)


def test_an_intermediate_is_issued_again_by_its_parent():
    root = pairs.root()
    middle = pairs.intermediate(root)
    again = authority.reissued_authority(middle.certificate, middle.key, root.issuer, pairs.term())
    assert pairs.verdict(again, [root.certificate]) == "OK"
    assert pairs.verdict(pairs.leaf(middle).certificate, [root.certificate], [again]) == "OK"


@pytest.mark.parametrize(("old_length", "new_length", "expected"), [
    (None, None, "CA:TRUE\n"), (None, 0, "CA:TRUE, pathlen:0"), (2, None, "CA:TRUE, pathlen:1"), (1, 3, "CA:TRUE, pathlen:0")])
def test_who_trusts_the_old_generation_trusts_the_new_ones_leaves_by_its_cross_certificate(old_length, new_length, expected):
    old, new = pairs.root("ca@1", path_length=old_length), pairs.root("ca@2", "rsa-2048", path_length=new_length)
    cross = authority.cross_certificate(new.certificate, old.certificate, old.key, pairs.term())
    leaf = pairs.leaf(new).certificate
    assert pairs.verdict(leaf, [old.certificate], [cross]) == "OK"
    assert "error" in pairs.verdict(leaf, [old.certificate])
    assert expected in pairs.text(cross)


def test_an_old_generation_with_path_length_zero_cannot_cross_sign():
    old, new = pairs.root("ca@1", path_length=0), pairs.root("ca@2")
    with pytest.raises(PkiError, match="ca@1: has path length 0"):
        authority.cross_certificate(new.certificate, old.certificate, old.key, pairs.term())


def test_a_cross_certificate_is_made_when_it_is_missing_or_of_others():
    old, new, other = pairs.root("ca@1"), pairs.root("ca@2"), pairs.root("ca@3")
    cross = authority.cross_certificate(new.certificate, old.certificate, old.key, pairs.term())

    def reasons(found, ca=new, by=old, moment=pairs.NOW):
        return authority.cross_reasons(found, ca.certificate, by.certificate, moment)

    assert reasons(cross) == []
    assert reasons(None) == ["cross-certificate missing"]
    assert reasons(cross, ca=other) == ["cross-certificate is for another authority"]
    assert reasons(cross, by=other) == ["cross-certificate is not issued by CN=ca@3"]
    assert reasons(cross, moment=pairs.NOW + pairs.YEAR)[0].startswith("cross-certificate expired on ")


def adoption_problems(pair: pairs.Pair, name="", depth=0, parent=None) -> list[str]:
    return authority.adoption_problems(pair.certificate, name, depth, parent, pairs.NOW + pairs.HOUR)


def test_an_authority_that_may_sign_is_adopted():
    assert adoption_problems(adopted()) == []
    assert adoption_problems(adopted(), name="adopted", depth=3) == []
    root = pairs.root()
    assert adoption_problems(pairs.intermediate(root), parent=root.certificate) == []


def test_an_authority_that_does_not_fit_is_not_adopted():
    assert adoption_problems(adopted(), name="ca@2") == ["is CN=adopted, wanted CN=ca@2: another generation needs paths of its own"]
    assert adoption_problems(pairs.root(path_length=0), depth=1) == ["may not sign CAs (path length 0)"]
    assert adoption_problems(pairs.root("a"), parent=pairs.root("b").certificate) == ["is not issued by CN=b"]
    assert adoption_problems(adopted(made.LEAF, "/CN=leaf")) == ["is not a CA certificate"]


def test_what_strict_verifiers_miss_is_a_warning():
    assert authority.adoption_warnings(adopted().certificate) == []
    (warning,) = authority.adoption_warnings(adopted(made.CA_WITHOUT_KEY_ID).certificate)
    assert warning.startswith("has no key usage and no subject key identifier: ")


def test_an_authority_is_renewed_in_its_last_days_unless_its_parent_ends_first():
    ca = pairs.root().certificate
    assert authority.renewal(ca, 30 * pairs.DAY, None, pairs.NOW) == ([], [])
    assert authority.renewal(ca, 30 * pairs.DAY, None, pairs.NOW + 350 * pairs.DAY) == (["expires in 14 d"], [])
    assert authority.renewal(ca, 30 * pairs.DAY, None, pairs.NOW + pairs.YEAR)[0][0].startswith("expired on ")
    reasons, warnings = authority.renewal(ca, 30 * pairs.DAY, ca, pairs.NOW + 350 * pairs.DAY)
    assert reasons == []
    assert warnings[0].startswith("ends with its parent on ")


@pytest.mark.parametrize(("wanted", "allowed", "expected"), [
    (None, None, None), (2, None, 2), (None, 1, 0), (None, 3, 2), (0, 1, 0), (1, 3, 1)])
def test_a_childs_path_length_fits_its_parents(wanted, allowed, expected):
    assert authority.child_path_length(wanted, pairs.root(path_length=allowed).certificate, "child") == expected


@pytest.mark.parametrize(("wanted", "allowed"), [(None, 0), (0, 0), (1, 1)])
def test_a_parent_may_not_allow_the_child(wanted, allowed):
    with pytest.raises(PkiError, match=f"child: parent CN=root has path length {allowed}"):
        authority.child_path_length(wanted, pairs.root(path_length=allowed).certificate, "child")


def test_two_keys_never_bear_one_name():
    first, namesake = pairs.root("ca@1"), keys.new_key("ecdsa-p256")
    taken = [("/ca/old.crt", first.certificate)]
    authority.refuse_namesake("new", "ca@1", first.key.public_key(), taken)
    authority.refuse_namesake("new", "ca@2", namesake.public_key(), taken)
    with pytest.raises(PkiError, match="new: common name ca@1 is that of another authority, /ca/old.crt"):
        authority.refuse_namesake("new", "ca@1", namesake.public_key(), taken)


def test_a_root_issues_itself():
    root = pairs.root()
    assert authority.is_self_issued(root.certificate)
    assert not authority.is_self_issued(pairs.intermediate(root).certificate)
    assert names.subject_name("root", ()) == root.certificate.issuer
