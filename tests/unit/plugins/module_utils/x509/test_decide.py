# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import decide, issue, items, keys
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_utils.x509 import pairs

CA = pairs.root()
AUTHORITY = decide.Authority("kubernetes", CA.certificate)
LEAF = pairs.leaf(CA)
ITEM = items.Item("apiserver", "", "kubernetes", "/a.crt", "/a.key", pairs.SERVER, pairs.YEAR, 30 * pairs.DAY, "ecdsa-p256", True,
                  "", "", None, None, 0o600, 0o644)


def found(pair: pairs.Pair, *chain) -> decide.Found:
    return decide.Found((pair.certificate, *chain), pair.key)


def decided(state: decide.Found, authority=AUTHORITY, moment=pairs.NOW, **changes) -> decide.Decision:
    return decide.decide(ITEM._replace(**changes), state, authority, moment)


def test_what_is_fine_stays():
    assert decided(found(LEAF)) == decide.Decision([], [])


@pytest.mark.parametrize(("state", "reason"), [
    (decide.Found(), "certificate and key missing"),
    (decide.Found((), LEAF.key), "certificate missing"),
    (decide.Found((LEAF.certificate,), None), "key missing"),
    (decide.Found((LEAF.certificate,), keys.new_key("ecdsa-p256")), "key does not match the certificate"),
])
def test_what_is_missing_or_no_pair_is_issued(state, reason):
    assert decided(state).reasons == [reason]


def test_all_reasons_are_told_at_once():
    assert decided(found(LEAF), moment=pairs.NOW + 353 * pairs.DAY, profile=pairs.SERVER._replace(dns=("b",))).reasons == [
        "SAN missing: b", "SAN extra: api.example", "expires in 11 d"]


def test_another_generation_is_a_reason():
    other = decide.Authority("kubernetes", pairs.root("next").certificate)
    assert decided(found(LEAF), other).reasons == ["issued by CN=root, wanted CN=next"]


def test_an_authority_that_does_not_exist_yet_is_a_reason():
    assert decided(found(LEAF), None).reasons == ["authority kubernetes does not exist yet"]
    assert decided(decide.Found(), None).reasons == ["certificate and key missing"]


def test_the_chain_is_part_of_what_is_presented():
    root = pairs.root("top")
    middle = pairs.intermediate(root)
    authority = decide.Authority("kubernetes", middle.certificate, (middle.certificate,))
    leaf = pairs.leaf(middle)
    assert decided(found(leaf, middle.certificate), authority).reasons == []
    assert decided(found(leaf), authority).reasons == ["chain differs from the authority's"]
    assert decided(found(LEAF, CA.certificate)).reasons == ["chain differs from the authority's"]


def test_a_leaf_that_ends_with_its_ca_is_not_issued_in_every_run():
    ca = pairs.root(dates=pairs.term(-pairs.HOUR, 20 * pairs.DAY))
    start, end, cut = issue.period(pairs.NOW, pairs.YEAR, ca.certificate)
    leaf = pairs.leaf(ca, dates=pairs.term()._replace(start=start, end=end))
    decision = decided(found(leaf), decide.Authority("kubernetes", ca.certificate))
    assert cut is True
    assert decision.reasons == []
    assert decision.warnings == ["expires in 19 d together with its CA: give the authority a new generation first"]
    assert decided(found(leaf), decide.Authority("kubernetes", ca.certificate), key_type="rsa-2048").reasons == [
        "key is ecdsa-p256, wanted rsa-2048", "expires in 19 d"]


@pytest.mark.parametrize(("rotate_key", "key", "kept"), [
    (False, LEAF.key, True), (True, LEAF.key, False), (False, None, False), (False, keys.new_key("ecdsa-p384"), False)])
def test_a_key_is_kept_where_that_is_wanted_and_possible(rotate_key, key, kept):
    assert decide.keeps_key(ITEM._replace(rotate_key=rotate_key), decide.Found((), key)) is kept


def test_a_request_for_more_than_the_item_is_refused():
    key = keys.new_key("ecdsa-p256")
    request = issue.make_request(key, pairs.SERVER._replace(organizations=("system:masters",)))
    with pytest.raises(PkiError, match="apiserver: csr_content asks for more than the item: subject CN=apiserver,O=system:masters"):
        decide.checked_request(ITEM._replace(csr_content=request))
    fine = decide.checked_request(ITEM._replace(csr_content=issue.make_request(key, pairs.SERVER)))
    assert fine.public_numbers() == key.public_key().public_numbers()


@pytest.mark.parametrize(("moment", "profile", "authority", "problem"), [
    (pairs.NOW, pairs.CLIENT, AUTHORITY, "subject is"),
    (pairs.NOW + pairs.YEAR, pairs.SERVER, AUTHORITY, "expired on"),
    (pairs.NOW, pairs.SERVER, decide.Authority("other", pairs.root("other").certificate), "issued by CN=root, wanted CN=other"),
])
def test_a_delivery_that_does_not_fit_is_refused(moment, profile, authority, problem):
    decide.check_delivery(ITEM, [LEAF.certificate], AUTHORITY, pairs.NOW)
    decide.check_delivery(ITEM, [LEAF.certificate], None, pairs.NOW)
    with pytest.raises(PkiError, match=f"apiserver: certificate_content does not fit the item: .*{problem}"):
        decide.check_delivery(ITEM._replace(profile=profile), [LEAF.certificate], authority, moment)


def test_a_diff_foretells_what_it_will_show():
    assert decide.outlook(ITEM, AUTHORITY) == decide.description(LEAF.certificate)
    assert decide.outlook(ITEM, None)["issuer"] == "kubernetes"
