# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Machines that are busy with other things shall not fail a property for being slow.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

BLOCKS = st.lists(st.builds(_pem.Block, st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "X509 CRL"]), st.binary(min_size=1, max_size=200)))
COMMENTS = st.text(alphabet="abc #:\n\r\t", max_size=20)


@steady
@given(BLOCKS)
def test_splitting_gives_back_what_was_joined(blocks):
    assert _pem.split(_pem.join(blocks), "text") == blocks


COMMENTED = st.lists(st.tuples(COMMENTS, st.binary(min_size=1, max_size=100)), min_size=1)


@steady
@given(COMMENTED, st.sampled_from(["\n", "\r\n", ""]), st.integers(1, 80))
def test_comments_line_ends_widths_and_missing_newlines_do_not_matter(commented, newline, width):
    blocks = [_pem.Block("CERTIFICATE", der) for _comment, der in commented]
    text = ""
    for comment, der in commented:
        body = base64.b64encode(der).decode()
        lines = [body[start : start + width] for start in range(0, len(body), width)]
        text += f"{comment}-----BEGIN CERTIFICATE-----{newline}{newline.join(lines)}{newline}-----END CERTIFICATE-----{newline}"
    assert _pem.split(text, "text") == blocks


def test_openssl_reads_a_block_as_we_write_it(tmp_path):
    first, second = made.make_ca("one"), made.make_ca("two")
    path = tmp_path / "bundle"
    path.write_text(_pem.join(_pem.split(first + second, "text")))
    assert made.bundle_fingerprints(str(path)) == [made.fingerprint(first), made.fingerprint(second)]
    assert [block.fingerprint for block in _pem.split(first + second, "text")] == [made.fingerprint(first), made.fingerprint(second)]
    assert path.read_text() == first + second


def test_a_truncated_block_is_named_and_not_passed_over():
    whole = made.make_ca("one")
    for damaged in (whole[:-30], whole[30:], whole[:200] + "\n" + whole, whole + whole[:100]):
        with pytest.raises(PkiError, match="^/etc/ca.crt: .*(truncated|base64)"):
            _pem.split(damaged, "/etc/ca.crt")


@pytest.mark.parametrize(("body", "problem"), [("", "is empty"), ("!!!!", "is not valid base64"), ("QUJ", "is not valid base64")])
def test_a_bad_body_is_named(body, problem):
    with pytest.raises(PkiError, match=problem):
        _pem.split(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n", "text")


def test_a_private_key_among_certificates_is_named_but_not_shown():
    certificate, key = made.make_pair("/CN=one")
    with pytest.raises(PkiError, match="PRIVATE KEY where only certificates belong") as raised:
        _pem.certificates(certificate + key, "text")
    assert key.splitlines()[1] not in str(raised.value)
    assert len(_pem.certificates(certificate, "text")) == 1
