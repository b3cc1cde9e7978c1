# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What excuses a failure of logs and exec: only an interruption of that node, at that time."""

from __future__ import annotations

import datetime

import interruptions

JOURNAL = """1764100000.000000 cp1 systemd[1]: Started kubelet.service - kubelet.
1764100500.250000 cp1 kubelet[812]: Stopping the pod, which is not the unit
1764100600.500000 cp1 systemd[1]: Stopping kubelet.service - kubelet...
1764100601.750000 cp1 systemd[1]: Started kubelet.service - kubelet.
"""


def failure(seconds: float, took: float = 0.5) -> dict[str, object]:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return {"time": moment.isoformat(timespec="milliseconds"), "seconds": took, "why": "connection refused"}


def test_a_kubelet_is_away_from_its_stop_until_some_seconds_after_its_start() -> None:
    away = interruptions.kubelet_restarts(JOURNAL)
    assert (1764100600.5 - 1.0, 1764100600.5 + interruptions.KUBELET_SECONDS) in away
    assert not any(begun <= 1764100500.25 <= ended for begun, ended in away)


def test_a_window_is_where_the_api_server_failed_those_who_asked_it() -> None:
    (begun, ended), = interruptions.windows({"errors": [failure(1000.0)]})
    assert begun < 1000.0 - 0.5 < ended
    assert ended - 1000.0 == interruptions.WINDOW_SECONDS


def test_only_a_failure_within_the_times_is_explained() -> None:
    kinds = {"logs": {"errors": [failure(1000.0), failure(2000.0)]}, "exec": {"errors": []}}
    (left,) = interruptions.unexplained(kinds, [(990.0, 1010.0)])
    assert left.endswith("logs: connection refused")
    assert len(interruptions.unexplained(kinds, [])) == 2
    assert interruptions.unexplained(kinds, [(990.0, 2010.0)]) == []


def test_a_swap_of_the_client_certificate_explains_a_cut_and_nothing_else() -> None:
    cut = {**failure(1000.0), "why": "kubectl exec ended with 1: use of closed network connection"}
    kinds = {"exec": {"errors": [cut, failure(1001.0)]}}
    (left,) = interruptions.unexplained(kinds, [], [995.0])
    assert left.endswith("connection refused")
    assert len(interruptions.unexplained(kinds, [], [1005.0])) == 2


def test_a_pod_s_connection_may_end_while_an_api_server_is_stopped_and_nothing_else_may() -> None:
    ended = {**failure(1000.0), "why": 'Get "https://10.96.0.1:443/api": EOF'}
    refused = {**failure(1000.0), "why": "tls: failed to verify certificate: x509: certificate signed by unknown authority"}
    assert interruptions.broken([ended, refused], [(995.0, 1010.0)]) == [refused]
    assert interruptions.broken([ended], [(1005.0, 1010.0)]) == [ended]
    assert interruptions.broken([ended], []) == [ended]
