# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509 import names
from hypothesis import given
from hypothesis import strategies as st

LABEL = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
DNS_NAME = st.tuples(st.sampled_from(["", "*."]), st.lists(LABEL, min_size=1, max_size=4), st.sampled_from(["", ".example"])).map(
    lambda parts: parts[0] + ".".join(parts[1]) + parts[2]).filter(lambda name: not name.rpartition(".")[2].isdigit())
ADDRESS = st.ip_addresses().map(str)


def profile(usages=("client_auth",), **sans) -> names.Profile:
    return names.checked_profile("item", "name", [], sans, usages)


@given(dns=st.lists(DNS_NAME), ip=st.lists(ADDRESS))
def test_names_are_normalised_once_and_keep_their_order(dns, ip):
    first = profile(dns=dns, ip=ip)
    assert profile(dns=first.dns, ip=first.ip) == first
    assert first.dns == tuple(dict.fromkeys(name.lower() for name in dns))
    assert first.ip == tuple(dict.fromkeys(str(ipaddress.ip_address(value)) for value in ip))


@given(address=ADDRESS)
def test_an_address_among_the_dns_names_is_an_error(address):
    with pytest.raises(PkiError, match=r"item: sans.dns holds the IP address .*sans\.ip"):
        profile(dns=[address])


@given(name=DNS_NAME)
def test_a_name_among_the_addresses_is_an_error(name):
    with pytest.raises(PkiError, match=r"item: sans.ip holds .*no IP address.*sans\.dns"):
        profile(ip=[name])


@pytest.mark.parametrize("name", [
    "", " ", "a b", "a..b", ".a", "a.", "-a", "a*.b", "10.0.0.300", "10.0.0.0/8", "ä.example", "a/b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_what_is_no_dns_name_is_an_error(name):
    with pytest.raises(PkiError, match="no DNS name"):
        profile(dns=[name])


def test_the_shortest_form_of_an_address_counts():
    assert profile(ip=["fd00:0::0001", "FD00::1", "10.0.0.1"]).ip == ("fd00::1", "10.0.0.1")


@pytest.mark.parametrize("value", ["no-scheme", "spiffe://ä", "spiffe:"])
def test_what_is_no_uri_is_an_error(value):
    with pytest.raises(PkiError, match="no URI"):
        profile(uri=[value])


@pytest.mark.parametrize(("common_name", "organizations", "problem"), [
    ("", [], "common_name is empty"),
    ("x" * 65, [], "longer than 64"),
    ("x", [" "], "organizations is empty"),
    ("x", ["o" * 65], "longer than 64"),
])
def test_a_subject_that_cannot_be_written_is_an_error(common_name, organizations, problem):
    with pytest.raises(PkiError, match=problem):
        names.checked_profile("item", common_name, organizations, {}, ["client_auth"])


def test_a_certificate_is_for_something_and_a_server_has_a_name():
    with pytest.raises(PkiError, match="usages is empty"):
        profile(usages=[])
    with pytest.raises(PkiError, match="without SAN"):
        profile(usages=["server_auth"])
    assert profile(usages=["server_auth"], ip=["10.0.0.1"]).sans == ["10.0.0.1"]


def test_organizations_come_before_the_common_name():
    assert names.subject_name("admin", ["one", "two"]).rfc4514_string() == "CN=admin,O=two,O=one"
