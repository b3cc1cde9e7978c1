# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which phase is the first that locks out a host which the run no longer reaches: what is said of it is what the walk finds."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import ROTATION
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import checker, model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.absent import first_phase_that_locks_out

LAYOUTS = {"systemd": model.DEFAULT, "kubeadm": model.cluster_of(2, layout=KUBEADM)}
NAMES = [phase.name for phase in ROTATION]
# By the first phase that does not reach the host. "": it is served as before, and is left with what is old.
LOCKED_OUT = {
    ("systemd", "n1"): ["issue", "distrust", "distrust", "distrust", "", ""],
    ("systemd", "w1"): ["serve", "serve", "serve", "distrust", "", ""],
    # The kubelet of a kubeadm control plane is of the clients' side in what it trusts API servers by.
    ("kubeadm", "n1"): ["issue", "serve", "serve", "distrust", "", ""],
    ("kubeadm", "w1"): ["serve", "serve", "serve", "distrust", "", ""],
}


def said(cluster, absent, since):
    on = next(host for host in cluster.hosts if host.name == absent)
    return first_phase_that_locks_out(on, [host for host in cluster.hosts if host is not on], since)


def walked(cluster, absent, since):
    """Return the first violation of a rotation that reaches the host until this phase; None where there is none."""
    start = checker.start_of_rotation(cluster, AUTHORITIES)
    for phase in ROTATION[:NAMES.index(since)]:
        found = checker.walk_phase(phase, cluster, AUTHORITIES, start)
        start = start._replace(standing=found.change.wanted, world=found.gate())
    rest = ROTATION[NAMES.index(since):]
    return next(iter(checker.walk(rest, cluster, AUTHORITIES, start._replace(away=(absent,))).violations), None)


@pytest.mark.parametrize(("layout", "absent"), LOCKED_OUT)
def test_a_host_is_locked_out_where_it_is_known_to_be(layout, absent):
    assert [said(LAYOUTS[layout], absent, since) for since in NAMES] == LOCKED_OUT[layout, absent]


@pytest.mark.parametrize("absent", ["n1", "n2", "w1"])
@pytest.mark.parametrize(("layout", "since"), list(itertools.product(LAYOUTS, NAMES)))
def test_the_walk_breaks_first_where_an_absent_host_is_said_to_be_locked_out(layout, since, absent):
    found = walked(LAYOUTS[layout], absent, since)
    locked_out = said(LAYOUTS[layout], absent, since)
    assert (found.phase if found and found.phase != checker.END else "") == locked_out
    assert not locked_out or absent in (found.presented_by, found.verified_by)
