# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeadm bed's pure parts: who is where, and what kubeadm is told."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml

from kubeadm_bed import nodes, topology, workloads

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


def init_documents(**choices):
    text = rendered("kubeadm.yaml.j2", node=topology.node("cp1"), version="v1.37.2", endpoint=topology.ENDPOINT,
                    pod_network=topology.POD_NETWORK, service_network=topology.SERVICE_NETWORK, dns_service=topology.DNS_SERVICE, **choices)
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.mark.parametrize("kubelet_serving", ["bootstrap", "files"])
def test_api_servers_check_kubelets_where_those_have_a_serving_certificate(kubelet_serving):
    documents = init_documents(graceful=False, kubelet_serving=kubelet_serving)
    flags = {one["name"]: one["value"] for one in documents["ClusterConfiguration"]["apiServer"]["extraArgs"]}
    assert flags == {"kubelet-certificate-authority": "/etc/kubernetes/pki/ca.crt"}
    kubelet = documents["KubeletConfiguration"]
    assert kubelet.get("serverTLSBootstrap", False) is (kubelet_serving == "bootstrap")
    assert ("tlsCertFile" in kubelet) is (kubelet_serving == "files")


@pytest.mark.parametrize("graceful", [True, False])
def test_the_shutdown_flags_are_set_only_where_asked_for(graceful):
    documents = init_documents(graceful=graceful, kubelet_serving="self-signed")
    assert documents["ClusterConfiguration"]["controlPlaneEndpoint"] == topology.ENDPOINT
    assert ("extraArgs" in documents["ClusterConfiguration"]["apiServer"]) is graceful


def test_a_worker_joins_without_the_keys_of_a_control_plane():
    values = {"endpoint": topology.ENDPOINT, "token": "t", "ca_hash": "h", "certificate_key": "k"}
    assert "controlPlane" in yaml.safe_load(rendered("join.yaml.j2", node=topology.node("cp2"), **values))
    assert "controlPlane" not in yaml.safe_load(rendered("join.yaml.j2", node=topology.node("w1"), **values))


def test_a_control_plane_that_has_its_pki_joins_without_kubeadm_s_upload():
    said = yaml.safe_load(rendered("join.yaml.j2", node=topology.node("cp2"), endpoint=topology.ENDPOINT, token="t", ca_hash="h",
                                   certificate_key=""))
    assert "certificateKey" not in said["controlPlane"]


@pytest.mark.parametrize(("control_planes", "workers"), [(3, 2), (1, 1), (2, 0)])
def test_the_inventory_names_the_nodes_that_the_bed_has(tmp_path, control_planes, workers):
    found = topology.nodes(control_planes, workers)
    bed = nodes.Bed(tmp_path)
    nodes.write_inventory(bed, found)
    groups = yaml.safe_load(bed.inventory.read_text())["all"]["children"]
    hosts = {**groups["kube_control_plane"]["hosts"], **groups["kube_node"]["hosts"]}
    assert {name: one["ansible_host"] for name, one in hosts.items()} == {one.name: one.address for one in found}
    assert len(groups["kube_control_plane"]["hosts"]) == control_planes
    assert groups["kube_control_plane"]["vars"]["pki_rotate_window_ready_command"][-1].endswith(":8404/{{ inventory_hostname }}")


def sample_workloads():
    text = rendered("workloads.yaml.j2", image="localhost/image:1", namespace=workloads.NAMESPACE, counts_path=workloads.COUNTS,
                    people=workloads.PEOPLE, servers=(workloads.WEBHOOK, workloads.APISERVER))
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}


def test_clients_of_every_kind_keep_their_counts_on_the_node():
    found = sample_workloads()
    pods = [found[kind]["spec"]["template"]["spec"] for kind in (("Deployment", "client"), ("StatefulSet", "client-set"),
                                                                 ("DaemonSet", workloads.EVERYWHERE))]
    pods.append(found["Pod", "straggler"]["spec"])
    assert len({entry["value"] for pod in pods for entry in pod["containers"][0]["env"] if entry["name"] == "WORKLOAD"}) == 4
    for pod in pods:
        assert {"name": "counts", "hostPath": {"path": workloads.COUNTS, "type": "DirectoryOrCreate"}} in pod["volumes"]
        assert pod["containers"][0]["args"] == ["client"]


def test_the_straggler_reads_a_file_that_never_changes():
    container = sample_workloads()["Pod", "straggler"]["spec"]["containers"][0]
    mounts = {one["mountPath"] for one in container["volumeMounts"] if "subPath" in one}
    assert [one["value"] for one in container["env"] if one["name"] == "CA_FILE"] == list(mounts)


def test_the_servers_outlive_a_rolling_update():
    found = sample_workloads()
    for name in (workloads.WEBHOOK, workloads.APISERVER):
        spec = found["Deployment", name]["spec"]
        assert (spec["replicas"], spec["strategy"]["rollingUpdate"]["maxUnavailable"]) == (2, 0)
        assert found["PodDisruptionBudget", name]["spec"]["selector"] == found["Deployment", name]["spec"]["selector"]


def test_the_webhook_is_asked_for_nothing_but_the_loads_own_objects():
    text = rendered("registrations.yaml.j2", namespace=workloads.NAMESPACE, webhook_authority="eA==", apiserver_authority="eQ==")
    found = {one["kind"]: one for one in yaml.safe_load_all(text)}
    (webhook,) = found["ValidatingWebhookConfiguration"]["webhooks"]
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": workloads.NAMESPACE}
    assert webhook["objectSelector"]["matchLabels"] == {workloads.VALIDATED: "true"}
    assert found["APIService"]["metadata"]["name"] == f"v1.{workloads.GROUP}"
