# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before anybody can be hurt a rotation stops, unless who would be is accepted by name."""

from __future__ import annotations

import pytest
from ansible_collections.rekey.kubernetes.plugins.action.pki_weigh import weigh
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.stragglers import CERTIFICATE, WORKLOAD, Straggler

BATCH = Straggler(WORKLOAD, "Pod dev/batch", "service account dev/default", "is a bare pod", namespace="dev").told()
SHOP = Straggler(WORKLOAD, "Pod shop/cart", "service account shop/default", "is a bare pod", namespace="shop").told()
ALICE = Straggler(CERTIFICATE, "CertificateSigningRequest alice", "alice", "is of kubernetes/1").told()
REPORT = [BATCH, SHOP, ALICE]


@pytest.mark.parametrize(("accept", "left"), [
    ("", REPORT), ("[*]", []), ("[?namespace=='dev']", [SHOP, ALICE]), ("[?kind=='certificate' || namespace=='dev']", [SHOP]),
    ("[0]", [SHOP, ALICE]), ("[?namespace=='nowhere']", REPORT), ("[7]", REPORT)])
def test_the_expression_picks_who_may_be_hurt(accept, left):
    weighed = weigh(REPORT, accept)
    assert weighed["left"] == left
    assert weighed["accepted"] == [one for one in REPORT if one not in left]


def test_it_says_whom_it_has_accepted_who_is_left_and_how_to_go_on():
    text = "\n".join(weigh(REPORT, "[?namespace=='dev']")["text"])
    assert "accepted by [?namespace=='dev']: 1\n  Pod dev/batch" in text
    assert "2 to look after:" in text
    assert SHOP["text"] in text
    assert "pki_rotate_accept" in text


def test_nobody_left_is_nothing_to_say():
    assert weigh([], "")["text"] == []


@pytest.mark.parametrize("accept", ["[?namespace==", "[*].name", "length(@)", "{a: @}"])
def test_an_expression_that_picks_no_entries_is_refused(accept):
    with pytest.raises(PkiError, match="JMESPath|no entries of the report"):
        weigh(REPORT, accept)
