# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a rotation is proved: our phase list holds in every state, and no other order nearby does by accident."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, LEAVES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.layouts import KUBEADM, SYSTEMD
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, ROTATION, Phase, phases_of
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import CLIENTS, CONTROL_PLANE, TRUST
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.checker import END, check, walk
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.model import Cluster, cluster_of, host_of

BOTH = (OLD, NEW)
SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(AUTHORITIES, size)]
PHASE = {phase.name: phase for phase in ROTATION}
PRESENTERS = [(phase.name, presenter) for phase in ROTATION for presenter in phase.presents
              if presenter in model.presenters_of(AUTHORITIES)]
LAYOUTS = {"systemd": model.DEFAULT, "kubeadm": cluster_of(2, layout=KUBEADM)}
on_each_layout = pytest.mark.parametrize("layout", LAYOUTS)


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


@on_each_layout
@pytest.mark.parametrize("authorities", SUBSETS, ids="+".join)
@pytest.mark.parametrize("minor", [(1, 35), (1, 36), (1, 37)], ids=str)
def test_the_rotation_holds_in_every_state_for_any_authorities(authorities, minor, layout):
    assert check(ROTATION, LAYOUTS[layout]._replace(minor=minor), authorities) == []


@on_each_layout
@pytest.mark.parametrize("event", sorted(model.EVERYTHING))
def test_the_rotation_does_not_need_that_anything_happens(event, layout):
    assert check(ROTATION, LAYOUTS[layout]._replace(happens=model.EVERYTHING - {event})) == []


ALL = model.components_of(SYSTEMD)
EVERY = model.components_of(KUBEADM)
CLUSTERS = {
    "one control plane": cluster_of(1),
    "three control planes": cluster_of(3),
    "no worker": cluster_of(2, workers=0),
    "two workers": cluster_of(2, workers=2),
    "kubelets on control planes": Cluster((host_of("n1", (*ALL, "kubelet")), host_of("n2", (*ALL, "kubelet")))),
    "etcd on hosts of its own": Cluster((
        host_of("e1", ALL[:1]), host_of("e2", ALL[:1]), host_of("n1", ALL[1:]), host_of("n2", ALL[1:]))),
    "fewer controller-managers than API servers": Cluster((host_of("n1", ALL), host_of("n2", ALL[:2]), host_of("w1", ("kubelet",)))),
    "API servers that judge no kubelet": cluster_of(2)._replace(flags=False),
    "kubeadm, API servers that judge no kubelet": cluster_of(2, layout=KUBEADM)._replace(flags=False),
    "kubeadm, one control plane": cluster_of(1, layout=KUBEADM),
    "kubeadm, one control plane, two workers": cluster_of(1, workers=2, layout=KUBEADM),
    "kubeadm, three control planes": cluster_of(3, layout=KUBEADM),
    "kubeadm, no worker": cluster_of(3, workers=0, layout=KUBEADM),
    "kubeadm, two workers": cluster_of(2, workers=2, layout=KUBEADM),
    "kubeadm, etcd on hosts of its own": Cluster((
        host_of("e1", EVERY[:1], KUBEADM), host_of("e2", EVERY[:1], KUBEADM), host_of("n1", EVERY[1:], KUBEADM),
        host_of("n2", EVERY[1:], KUBEADM), host_of("w1", EVERY[-1:], KUBEADM))),
}


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)
def test_the_rotation_holds_on_any_shape_of_cluster(cluster):
    assert check(ROTATION, cluster) == []


def test_the_walk_visits_every_combination_of_positions():
    assert walk(()).states == 1
    # Four bundles: five positions of either control plane, and the end. To stop and start a service shows nothing new.
    assert walk(ROTATION[:1]).states == 5 * 5 + 1
    # Two leaves, taken over live: three positions of either control plane. The worker's one.
    assert walk(ROTATION[:4]).states == walk(ROTATION[:3]).states + 3 * 3 * 2
    # Static pods: stopped in two steps, three files that somebody reads meanwhile, started in two steps.
    assert walk(ROTATION[:1], LAYOUTS["kubeadm"]).states == 8 * 8 + 1


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
    prompt = model.DEFAULT._replace(happens=model.EVERYTHING - {model.LATE, model.HALF_WAY})
    violation, = check((merged, *ROTATION[2:]), prompt, authorities=("front-proxy",))
    assert (violation.presented_by, violation.verified_by) == ("n1", "n2")


def test_the_signer_before_the_api_servers_breaks_what_it_signs():
    phases = (Phase("sign", "", presents=("signer",)), *without("signer"))
    assert broken_edge(phases) == "sign: signed(new) -> apiserver.client-ca(old)"


def test_the_signer_together_with_the_nodes_lets_a_visited_node_renew_with_the_old_generation():
    prompt = model.DEFAULT._replace(happens=model.EVERYTHING - {model.LATE})
    assert broken_edge(moved("signer", to="trust-clients"), cluster=prompt) == "distrust: kubelet-client(old) -> apiserver.client-ca(new)"


@on_each_layout
def test_the_kubelet_client_before_the_kubelets_breaks_logs_and_exec(layout):
    phases = moved("apiserver-kubelet-client", to="issue")
    assert broken_edge(phases, cluster=LAYOUTS[layout]) == "issue: apiserver-kubelet-client(new) -> kubelet.client-ca(old)"


def test_the_kubelet_client_in_the_last_window_breaks_logs_and_exec_on_control_planes_that_are_through():
    """Where a host's kubelet and API server share the file: the one forgets what the other hosts' API servers still present."""
    phases = moved("apiserver-kubelet-client", to="distrust")
    violation, = check(phases, LAYOUTS["kubeadm"])
    assert str(violation) == ("distrust: n1 half-way (after writing bundle kubernetes): apiserver-kubelet-client(old) of n2 -> "
                              "kubelet.client-ca of n1 trusts (new)")
    assert check(phases, cluster_of(1, layout=KUBEADM)) == []
    assert check(phases, LAYOUTS["systemd"]) == []


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

# Where one layout shows another edge first, it stands beside: systemd's, kubeadm's.
DROPPED = {
    "trust": "issue: front-proxy-client(new) -> apiserver.requestheader-ca(old)",
    "issue": ("distrust: signed(old) -> apiserver.client-ca(new)", "distrust: apiserver-etcd-client(old) -> etcd.client-ca(new)"),
    "trust-clients": "serve: apiserver(new) -> kubelet.server-ca(old)",
    # A control plane's kubelet judges by the very file that its API server does.
    "serve": ("distrust: kubelet-server(old) -> apiserver.kubelet-ca(new)",
              "distrust: apiserver-kubelet-client(old) -> kubelet.client-ca(new)"),
    "distrust": "end: apiserver.client-ca",
    "distrust-clients": "end: kubelet.client-ca",
}


def of_layout(expected, layout):
    return expected if isinstance(expected, str) else expected[list(LAYOUTS).index(layout)]


@on_each_layout
@pytest.mark.parametrize("dropped", PHASE)
def test_no_phase_can_be_dropped(dropped, layout):
    phases = [phase for phase in ROTATION if phase.name != dropped]
    assert broken_edge(phases, cluster=LAYOUTS[layout]) == of_layout(DROPPED[dropped], layout)


_FORGOT_SIGNED = ("distrust: signed(old) -> apiserver.client-ca(new)",
                  "distrust: apiserver-kubelet-client(old) -> kubelet.client-ca(new)")
_NODES_FORGOT = ("distrust-clients: apiserver-kubelet-client(old) -> kubelet.client-ca(new)",
                 "distrust-clients: apiserver(old) -> kubelet.server-ca(new)")
SWAPPED = {
    ("trust", "issue"): "issue: front-proxy-client(new) -> apiserver.requestheader-ca(old)",
    ("trust", "trust-clients"): "trust-clients: kubelet-client(new) -> apiserver.client-ca(old)",
    ("trust", "serve"): "serve: apiserver(new) -> controller-manager.server-ca(old)",
    ("trust", "distrust"): _FORGOT_SIGNED,
    ("trust", "distrust-clients"): _NODES_FORGOT,
    ("issue", "trust-clients"): "distrust: kubelet-client(old) -> apiserver.client-ca(new)",
    ("issue", "serve"): "serve: apiserver(new) -> kubelet.server-ca(old)",
    ("issue", "distrust"): _FORGOT_SIGNED,
    ("issue", "distrust-clients"): _NODES_FORGOT,
    ("trust-clients", "serve"): "serve: apiserver(new) -> kubelet.server-ca(old)",
    ("trust-clients", "distrust"): ("distrust: kubelet-client(old) -> apiserver.client-ca(new)", _FORGOT_SIGNED[1]),
    ("trust-clients", "distrust-clients"): _NODES_FORGOT,
    ("serve", "distrust"): ("distrust: kubelet-server(old) -> apiserver.kubelet-ca(new)", _FORGOT_SIGNED[1]),
    ("serve", "distrust-clients"): _NODES_FORGOT,
    ("distrust", "distrust-clients"): "end: pods.server-ca",
}


@on_each_layout
@pytest.mark.parametrize("pair", list(itertools.combinations(PHASE, 2)), ids="<->".join)
def test_no_two_phases_can_be_swapped(pair, layout):
    assert broken_edge(swapped(*pair), cluster=LAYOUTS[layout]) == of_layout(SWAPPED[pair], layout)


@on_each_layout
@pytest.mark.parametrize(("phase", "presenter"), PRESENTERS, ids=lambda name: name)
def test_no_presenter_can_be_left_behind(phase, presenter, layout):
    edge = broken_edge(without(presenter), cluster=LAYOUTS[layout])
    assert edge.split(":", maxsplit=1)[0] in ("distrust", "distrust-clients")
    assert f" {'signed' if presenter == 'signer' else presenter}(old) -> " in edge


BUNDLES = [(name, row.name) for name, cluster in LAYOUTS.items() for row in cluster.hosts[0].layout.bundles if row.authority in AUTHORITIES]


@pytest.mark.parametrize(("layout", "bundle"), [one for one in BUNDLES if one != ("kubeadm", "kubernetes")])
def test_no_bundle_of_a_layout_can_be_left_behind(layout, bundle):
    """People's kubeconfigs among them: an API server shows the new generation to whoever has not got the bundle yet."""
    whole = LAYOUTS[layout].hosts[0].layout
    forgets = whole._replace(bundles=tuple(row for row in whole.bundles if row.name != bundle))
    violation, = check(ROTATION, cluster_of(2, layout=forgets))
    row = next(row for row in TRUST if row.name == violation.verifier)
    assert whole.same.get(row.bundle, row.bundle) == bundle
    assert (violation.generation, violation.trusts) == (NEW, (OLD,))


# ``issue`` is early for the leaves that only control planes verify: any phase before ``distrust`` does for them. They move there
# because client certificates move before serving certificates (L2), and to leave ``serve`` to the serving certificate alone.
# Nodes trust old and new alike until the very last phase, so the API servers' client certificate towards them can wait as well.
HARMLESS_LATER = {
    *itertools.product(
        ("controller-manager", "scheduler", "admin", "super-admin", "front-proxy-client", "apiserver-etcd-client",
         "etcd-healthcheck-client", "etcd-peer", "etcd-server"), ("trust-clients", "serve")),
    ("kubelet-client", "serve"),
    ("apiserver-kubelet-client", "distrust"),
}
MOVES = [(presenter, here, there) for here, presenter in PRESENTERS for there in PHASE if there != here]


# There a control plane's kubelet forgets the old generation in ``distrust``, together with the API server.
HARMFUL_ON = {("apiserver-kubelet-client", "distrust"): "kubeadm"}


@on_each_layout
@pytest.mark.parametrize(("presenter", "here", "there"), MOVES, ids=lambda name: name)
def test_a_presenter_moves_in_another_phase_only_where_that_is_known_to_be_harmless(presenter, here, there, layout):
    passes = check(moved(presenter, to=there), LAYOUTS[layout]) == []
    harmless = (presenter, there) in HARMLESS_LATER and HARMFUL_ON.get((presenter, there)) != layout
    assert passes == harmless


# --- the tables ---------------------------------------------------------------------------------------------------------


def test_every_presenter_is_moved_by_exactly_one_phase():
    named = {presenter for row in TRUST for presenter in row.presenters}
    # What is signed moves with the signer; what a pod has read was in its volume before.
    expected = sorted(named - {"signed"} | {"signer", "projected-token"})
    everything = phases_of((*AUTHORITIES, SERVICE_ACCOUNTS))
    assert sorted(presenter for phase in everything for presenter in phase.presents) == expected


def test_every_leaf_of_the_catalogue_is_presented_to_a_verifier_of_its_authority():
    for leaf in LEAVES:
        assert {row.authority for row in TRUST if leaf.name in row.presenters} == {leaf.authority}


def test_the_model_knows_every_row_of_the_trust_table():
    read = {one.name for host in model.DEFAULT.hosts for one in model.inputs_of(host, (1, 37), (*AUTHORITIES, SERVICE_ACCOUNTS))}
    assert {row.name for row in TRUST} - read == {model.PODS, model.CLUSTER_INFO, *model.PUBLISHED}


@pytest.mark.parametrize("phase", [Phase("typo", "", presents=("etcd-pear",)), Phase("typo", "", "control-plain", BOTH)])
def test_a_phase_that_names_nothing_known_is_refused(phase):
    with pytest.raises(PkiError, match="phase typo: unknown"):
        check((phase,))


# --- what is said -------------------------------------------------------------------------------------------------------


def test_a_violation_reads_as_phase_positions_and_edge():
    violation, = check(moved("signer", to="trust"))
    assert str(violation) == (
        "trust: n1 half-way (after writing signer): signed(new) of n1 -> apiserver.client-ca of n1 trusts (old)")


def test_what_is_left_at_the_end_reads_as_such():
    assert str(check(ROTATION[:4])[0]) == "end: apiserver.client-ca of every host trusts (old, new)"
    assert str(check(())[0]) == "end: signer(old) of every host is still in use"


def test_the_witness_is_a_shortest_one_and_always_the_same():
    # The node that joins would do as well, a step later.
    violations = check(swapped("trust", "trust-clients"))
    assert violations[0].positions == (("w1", "half-way (after writing kubelet-client)"),)
    assert violations == check(swapped("trust", "trust-clients"))
