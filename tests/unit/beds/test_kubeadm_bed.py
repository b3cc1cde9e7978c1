# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeadm bed's pure parts: who is where, and what kubeadm is told."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml

from kubeadm_bed import topology

TEMPLATES = Path(topology.__file__).resolve().parent / "templates"


def rendered(name, **values):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(name).render(**values)


def test_addresses_and_pod_networks_are_each_nodes_own():
    found = [*topology.nodes(3, 4), topology.BALANCER]
    assert len({one.address for one in found}) == len({one.pods for one in found}) == 8
    assert [one.name for one in found if one.control_plane] == ["cp1", "cp2", "cp3"]


@pytest.mark.parametrize("name", ["", "cp", "cp0", "cp10", "x1", "w"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="cp1 to cp9 and w1 to w9"):
        topology.node(name)


@pytest.mark.parametrize("graceful", [True, False])
def test_the_shutdown_flags_are_set_only_where_asked_for(graceful):
    text = rendered("kubeadm.yaml.j2", node=topology.node("cp1"), version="v1.37.2", endpoint=topology.ENDPOINT, graceful=graceful,
                    pod_network=topology.POD_NETWORK, service_network=topology.SERVICE_NETWORK, dns_service=topology.DNS_SERVICE)
    documents = {one["kind"]: one for one in yaml.safe_load_all(text)}
    assert documents["ClusterConfiguration"]["controlPlaneEndpoint"] == topology.ENDPOINT
    assert ("extraArgs" in documents["ClusterConfiguration"]["apiServer"]) is graceful


def test_a_worker_joins_without_the_keys_of_a_control_plane():
    values = {"endpoint": topology.ENDPOINT, "token": "t", "ca_hash": "h", "certificate_key": "k"}
    assert "controlPlane" in yaml.safe_load(rendered("join.yaml.j2", node=topology.node("cp2"), **values))
    assert "controlPlane" not in yaml.safe_load(rendered("join.yaml.j2", node=topology.node("w1"), **values))
