# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a rotation is proved: our phase list holds in every state, and no other order nearby does by accident."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE, TRUST
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import END, check, walk
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model import Cluster, Host, cluster_of

BOTH = (OLD, NEW)
SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(AUTHORITIES, size)]
PHASE = {phase.name: phase for phase in ROTATION}
PRESENTERS = [(phase.name, presenter) for phase in ROTATION for presenter in phase.presents]


def without(presenter, phases=ROTATION):
    return tuple(phase._replace(presents=tuple(name for name in phase.presents if name != presenter)) for phase in phases)


def moved(presenter, to, phases=ROTATION):
    return tuple(
        phase._replace(presents=(*phase.presents, presenter)) if phase.name == to else phase for phase in without(presenter, phases)
    )


def swapped(first, second):
    names = {first: second, second: first}
    return tuple(PHASE[names.get(phase.name, phase.name)] for phase in ROTATION)


def broken_edge(phases, **kwargs):
    """The first broken edge as one line, after a look at whether it is an edge, and whether it is broken."""
    violations = check(phases, **kwargs)
    assert len(violations) == 1, "the list passes"
    found = violations[0]
    if found.phase == END:
        assert found.generation == OLD or OLD in found.trusts
        return f"{END}: {found.presenter or found.verifier}"
    row = next(row for row in TRUST if row.name == found.verifier)
    assert found.presenter in row.presenters
    assert found.generation not in found.trusts
    return f"{found.phase}: {found.presenter}({found.generation}) -> {found.verifier}({', '.join(found.trusts)})"


# --- our list ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorities", SUBSETS, ids="+".join)
@pytest.mark.parametrize("minor", [(1, 35), (1, 37)], ids=str)
def test_the_rotation_holds_in_every_state_for_any_authorities(authorities, minor):
    assert check(ROTATION, cluster_of(2, minor=minor), authorities) == []


@pytest.mark.parametrize("event", sorted(model.EVERYTHING))
def test_the_rotation_does_not_need_that_anything_happens(event):
    assert check(ROTATION, model.DEFAULT._replace(happens=model.EVERYTHING - {event})) == []


ALL = model.CONTROL_PLANE_COMPONENTS
CLUSTERS = {
    "one control plane": cluster_of(1),
    "three control planes": cluster_of(3),
    "no worker": cluster_of(2, workers=0),
    "two workers": cluster_of(2, workers=2),
    "kubelets on control planes": Cluster((Host("n1", (*ALL, "kubelet")), Host("n2", (*ALL, "kubelet")))),
    "etcd on hosts of its own": Cluster((Host("e1", ALL[:1]), Host("e2", ALL[:1]), Host("n1", ALL[1:]), Host("n2", ALL[1:]))),
    "fewer controller-managers than API servers": Cluster((Host("n1", ALL), Host("n2", ALL[:2]), Host("w1", ("kubelet",)))),
}


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)
def test_the_rotation_holds_on_any_shape_of_cluster(cluster):
    assert check(ROTATION, cluster) == []


def test_the_walk_visits_every_combination_of_positions():
    assert walk(()).states == 1
    # stop, four bundles, three restarts, start: ten positions of either control plane, and the end.
    assert walk(ROTATION[:1]).states == 10 * 10 + 1
    # One leaf, taken over live: two positions of either control plane.
    assert walk(ROTATION[:4]).states == walk(ROTATION[:3]).states + 2 * 2


# --- orders that others use or that seem shorter ------------------------------------------------------------------------

# https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/, its step numbers; the note of step 2 points the
# signing file at the new authority, because it may hold one certificate only.
KUBERNETES_IO = (
    Phase("2 controller-manager", "root CA and, by the note, the signer", "controller-manager.root-ca", BOTH, ("signer",)),
    Phase("4 pods", "restart all", "pod", BOTH),
    Phase("5 API servers", "client CA", "apiserver.client-ca", BOTH),
    Phase("6 scheduler", "its CA", "kube-scheduler", BOTH),
    Phase("7 users", "CA data of kubeconfigs", "admin.server-ca", BOTH, ("admin",)),
    Phase("9.2 kubelets", "client CA, CA data and certificate", "kubelet", BOTH, ("kubelet-client",)),
    Phase("9.3 API servers", "their leaves", presents=("apiserver", "apiserver-kubelet-client", "front-proxy-client")),
    Phase("9.4 pods", "restart all", "pod", BOTH),
    Phase("10 cluster-info", "its CA data", "joining-node", BOTH),
    Phase("12.2 API servers", "drop the old CA", "apiserver.client-ca", (NEW,)),
    Phase("12.2 controller-manager", "drop the old CA", "kube-controller-manager", (NEW,)),
    Phase("12.2 scheduler", "drop the old CA", "kube-scheduler", (NEW,)),
    Phase("12.2 users", "drop the old CA", "admin.server-ca", (NEW,)),
    Phase("12.3 nodes", "drop the old CA", "kubelet", (NEW,)),
)


def test_the_order_of_the_kubernetes_page_lets_the_signer_run_ahead_of_the_api_servers():
    assert broken_edge(KUBERNETES_IO) == "2 controller-manager: signed(new) -> apiserver.client-ca(old)"


def test_the_kubernetes_page_names_no_step_that_trusts_the_new_front_proxy():
    edge = broken_edge(KUBERNETES_IO, authorities=("front-proxy",))
    assert edge == "9.3 API servers: front-proxy-client(new) -> apiserver.requestheader-ca(old)"


def test_the_kubernetes_page_forgets_etcd():
    assert broken_edge(KUBERNETES_IO, authorities=("etcd",)) == "end: apiserver-etcd-client"


@pytest.mark.parametrize("trusts", [(NEW,), BOTH], ids=str)
@pytest.mark.parametrize("authorities", SUBSETS, ids="+".join)
def test_a_swap_in_one_step_breaks_whatever_it_trusts(trusts, authorities):
    everything = tuple(presenter for _phase, presenter in PRESENTERS)
    swap = Phase("swap", "all at once", CONTROL_PLANE, trusts, everything)
    assert broken_edge((swap, Phase("swap-clients", "", CLIENTS, (NEW,)), PHASE["distrust"]), authorities=authorities).startswith("swap: ")


def test_trust_and_client_certificates_in_one_step_break_on_the_hosts_that_come_later():
    merged = PHASE["trust"]._replace(presents=PHASE["issue"].presents)
    prompt = model.DEFAULT._replace(happens=model.EVERYTHING - {model.LATE})
    violation, = check((merged, *ROTATION[2:]), prompt, authorities=("front-proxy",))
    assert (violation.presented_by, violation.verified_by) == ("n1", "n2")


def test_the_signer_before_the_api_servers_breaks_what_it_signs():
    phases = (Phase("sign", "", presents=("signer",)), *without("signer"))
    assert broken_edge(phases) == "sign: signed(new) -> apiserver.client-ca(old)"


def test_the_signer_together_with_the_nodes_lets_a_visited_node_renew_with_the_old_generation():
    prompt = model.DEFAULT._replace(happens=model.EVERYTHING - {model.LATE})
    assert broken_edge(moved("signer", to="trust-clients"), cluster=prompt) == "distrust: kubelet-client(old) -> apiserver.client-ca(new)"


def test_the_kubelet_client_before_the_kubelets_breaks_logs_and_exec():
    phases = moved("apiserver-kubelet-client", to="issue")
    assert broken_edge(phases) == "issue: apiserver-kubelet-client(new) -> kubelet.client-ca(old)"


def test_serving_certificates_before_the_clients_bundles_break_kubelets():
    assert broken_edge(moved("apiserver", to="issue")) == "issue: apiserver(new) -> kubelet.server-ca(old)"


def test_serving_certificates_before_the_clients_bundles_break_pods():
    only_pods = cluster_of(2, workers=0)._replace(happens=model.EVERYTHING - {model.JOIN})
    assert broken_edge(moved("apiserver", to="issue"), cluster=only_pods) == "issue: apiserver(new) -> pods.server-ca(old)"


def test_serving_certificates_before_cluster_info_break_joining_nodes():
    phases = (*ROTATION[:2], PHASE["trust-clients"]._replace(side="kubelet"), Phase("pods", "", "pod", BOTH), *ROTATION[3:])
    violation, = check(phases, cluster_of(2, workers=0))
    assert (violation.phase, violation.verifier, violation.trusts) == ("serve", "kubelet.server-ca", (OLD,))
    assert violation.verified_by == "a node that joined or renewed in trust-clients"
    nobody_yet = cluster_of(2, workers=0)._replace(happens=model.EVERYTHING - {model.JOIN})
    assert broken_edge(phases, cluster=nobody_yet) == "serve: apiserver(new) -> joining-node.server-ca(old)"


# --- every mutation of our list -----------------------------------------------------------------------------------------

DROPPED = {
    "trust": "issue: signed(new) -> apiserver.client-ca(old)",
    "issue": "distrust: admin(old) -> controller-manager.client-ca(new)",
    "trust-clients": "serve: apiserver(new) -> kubelet.server-ca(old)",
    "serve": "distrust: apiserver(old) -> controller-manager.server-ca(new)",
    "distrust": "distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
    "distrust-clients": "end: kubelet.client-ca",
}


@pytest.mark.parametrize("dropped", PHASE)
def test_no_phase_can_be_dropped(dropped):
    assert broken_edge([phase for phase in ROTATION if phase.name != dropped]) == DROPPED[dropped]


SWAPPED = {
    ("trust", "issue"): "issue: signed(new) -> apiserver.client-ca(old)",
    ("trust", "trust-clients"): "trust-clients: kubelet-client(new) -> apiserver.client-ca(old)",
    ("trust", "serve"): "serve: apiserver(new) -> controller-manager.server-ca(old)",
    ("trust", "distrust"): "distrust: apiserver(old) -> controller-manager.server-ca(new)",
    ("trust", "distrust-clients"): "distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
    ("issue", "trust-clients"): "distrust: kubelet-client(old) -> apiserver.client-ca(new)",
    ("issue", "serve"): "serve: apiserver(new) -> kubelet.server-ca(old)",
    ("issue", "distrust"): "distrust: apiserver(old) -> controller-manager.server-ca(new)",
    ("issue", "distrust-clients"): "distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
    ("trust-clients", "serve"): "serve: apiserver(new) -> kubelet.server-ca(old)",
    ("trust-clients", "distrust"): "distrust: apiserver(old) -> controller-manager.server-ca(new)",
    ("trust-clients", "distrust-clients"): "distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
    ("serve", "distrust"): "distrust: apiserver(old) -> controller-manager.server-ca(new)",
    ("serve", "distrust-clients"): "distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
    ("distrust", "distrust-clients"): "distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
}


@pytest.mark.parametrize("pair", list(itertools.combinations(PHASE, 2)), ids="<->".join)
def test_no_two_phases_can_be_swapped(pair):
    assert broken_edge(swapped(*pair)) == SWAPPED[pair]


@pytest.mark.parametrize(("phase", "presenter"), PRESENTERS, ids=lambda name: name)
def test_no_presenter_can_be_left_behind(phase, presenter):
    assert broken_edge(without(presenter)).split(":", maxsplit=1)[0] in ("distrust", "distrust-clients")


# Visited in ``issue`` already, a kubelet is visited again in ``trust-clients``, when only the new generation signs: harmless, but
# one restart of every kubelet more.
# The API servers' client certificate towards nodes could move once nodes trust it. It waits for the window, where it cuts nobody.
HARMLESS_EARLIER = {("kubelet-client", "issue"), ("apiserver-kubelet-client", "serve")}
# ``issue`` is early for the leaves that only control planes verify: any phase before ``distrust`` does for them. They move there
# because client certificates move before serving certificates (L2), and to leave ``serve`` to the serving certificate alone.
HARMLESS_LATER = {
    *itertools.product(
        ("controller-manager", "scheduler", "admin", "super-admin", "front-proxy-client", "apiserver-etcd-client",
         "etcd-healthcheck-client", "etcd-peer", "etcd-server"), ("trust-clients", "serve")),
    ("kubelet-client", "serve"),
}
MOVES = [(presenter, here, there) for here, presenter in PRESENTERS for there in PHASE if there != here]


@pytest.mark.parametrize(("presenter", "here", "there"), MOVES, ids=lambda name: name)
def test_a_presenter_moves_in_another_phase_only_where_that_is_known_to_be_harmless(presenter, here, there):
    passes = check(moved(presenter, to=there)) == []
    assert passes == ((presenter, there) in HARMLESS_EARLIER | HARMLESS_LATER)


# --- the tables ---------------------------------------------------------------------------------------------------------


def test_every_presenter_is_moved_by_exactly_one_phase():
    named = {presenter for row in TRUST for presenter in row.presenters}
    expected = sorted(named - {"signed"} | {"signer"})  # what is signed moves with the signer
    assert sorted(presenter for _phase, presenter in PRESENTERS) == expected


def test_every_leaf_of_the_catalogue_is_presented_to_a_verifier_of_its_authority():
    for leaf in LEAVES:
        assert {row.authority for row in TRUST if leaf.name in row.presenters} == {leaf.authority}


def test_the_model_knows_every_row_of_the_trust_table():
    read = {one.name for host in model.DEFAULT.hosts for one in model.inputs_of(host, (1, 37), AUTHORITIES)}
    assert {row.name for row in TRUST} - read == {model.PODS, model.CLUSTER_INFO, *model.PUBLISHED}


@pytest.mark.parametrize("phase", [Phase("typo", "", presents=("etcd-pear",)), Phase("typo", "", "control-plain", BOTH)])
def test_a_phase_that_names_nothing_known_is_refused(phase):
    with pytest.raises(PkiError, match="phase typo: unknown"):
        check((phase,))


# --- what is said -------------------------------------------------------------------------------------------------------


def test_a_violation_reads_as_phase_positions_and_edge():
    violation, = check(moved("signer", to="trust"))
    assert str(violation) == (
        "trust: n1 half-way (after writing signer): signed(new) of n1 -> apiserver.client-ca of n2 trusts (old)")


def test_what_is_left_at_the_end_reads_as_such():
    assert str(check(moved("apiserver-kubelet-client", to="serve")[:4])[0]) == "end: apiserver.client-ca of every host trusts (old, new)"
    assert str(check(())[0]) == "end: signer(old) of every host is still in use"


def test_the_witness_is_a_shortest_one_and_always_the_same():
    # The worker's own certificate would do as well, two steps later.
    violations = check(swapped("trust", "trust-clients"))
    assert violations[0].positions == (("cluster-info", "after"),)
    assert violations == check(swapped("trust", "trust-clients"))
