# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubeadm bed: a real kubeadm cluster on podman nodes with systemd, behind a balancer. See README.md."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import judge
import judge_kubeadm
from kubeadm_bed import cluster, images, node_binaries, nodes, topology, workloads
from kubeadm_bed.commands import podman, run
from loopback_bed.errors import BedError
from loopback_bed.places import cache_of
from loopback_bed.progress import Progress


def _bed() -> nodes.Bed:
    return nodes.bed_of(os.environ)


def _nodes(arguments: argparse.Namespace) -> None:
    bed, progress, cache = _bed(), Progress(), cache_of(os.environ)
    binaries, version = node_binaries.obtain(os.environ, cache, progress)
    listed = run(str(binaries["kubeadm"]), "config", "images", "list", "--kubernetes-version", str(version)).stdout.decode().split()
    pause = next(name for name in listed if "/pause:" in name)
    with images.one_at_a_time(cache):
        root = images.root_file_system(cache, progress)
        archive = images.cluster_images(listed, binaries, root, progress)
        image = images.node_image(root, binaries, pause, progress)
    wanted = topology.nodes(arguments.control_planes, arguments.workers)
    nodes.prepare(bed, image, archive, str(version), wanted)
    progress.say(f"Booting {len(wanted)} nodes")
    nodes.balancer(bed)
    nodes.boot(bed, wanted, progress)


def _choices(arguments: argparse.Namespace) -> cluster.Choices:
    return cluster.Choices(arguments.flags == "graceful", arguments.kubelet_serving)


def _init(arguments: argparse.Namespace) -> None:
    cluster.init(_bed(), nodes.nodes_of(_bed())[0], _choices(arguments), Progress())


def _join(arguments: argparse.Namespace) -> None:
    cluster.join(_bed(), nodes.nodes_of(_bed())[0], topology.node(arguments.node), Progress(), arguments.pki == "upload")


def _add(arguments: argparse.Namespace) -> None:
    bed, record = _bed(), _bed().read()
    nodes.prepare(bed, record["image"], Path(record["archive"]), record["version"],
                  [*nodes.nodes_of(bed), topology.node(arguments.node)])
    nodes.boot(bed, [topology.node(arguments.node)], Progress())


def _up(arguments: argparse.Namespace) -> None:
    _nodes(arguments)
    bed, progress = _bed(), Progress()
    first, *others = nodes.nodes_of(bed)
    cluster.init(bed, first, _choices(arguments), progress)
    for one in others:
        cluster.join(bed, first, one, progress)
    cluster.wait_ready(first, progress)
    if arguments.workloads:
        workloads.deploy(bed, cache_of(os.environ), progress)
    progress.say(f"The cluster is ready at https://{topology.ENDPOINT}")


def _workloads(_arguments: argparse.Namespace) -> None:
    workloads.deploy(_bed(), cache_of(os.environ), Progress())


def _webhook_certificate(_arguments: argparse.Namespace) -> None:
    workloads.renew_webhook(_bed())


def _status(_arguments: argparse.Namespace) -> None:
    print(podman("ps", "--format", "table {{.Names}} {{.Status}}", "--filter", f"name=^{topology.PREFIX}").stdout.decode())
    print(cluster.kubectl(nodes.nodes_of(_bed())[0], "get", "nodes,pods", "-A", "-o", "wide"))


def _judge(_arguments: argparse.Namespace) -> None:
    bed = _bed()
    found = judge.judge(judge_kubeadm.scene_of(bed))
    print("\n".join(found.lines()))
    problems = [*found.problems, *judge_kubeadm.volume_problems(bed)]
    if problems:
        raise BedError("the judge has found:\n  " + "\n  ".join(problems))


def _down(_arguments: argparse.Namespace) -> None:
    nodes.remove(_bed())


def _ssh(arguments: argparse.Namespace) -> None:
    bed = _bed()
    options = ["-i", str(bed.key), "-o", f"UserKnownHostsFile={bed.key.parent}/known_hosts"]
    argv = ["ssh", *options, f"root@{topology.node(arguments.node).address}"]
    raise SystemExit(subprocess.run([*argv, *arguments.argv], check=False).returncode)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bed.py", description=__doc__, epilog="REKEY_KUBEADM_BED numbers beds side by side.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, function, text in (
            ("up", _up, "boot, init, join all"), ("nodes", _nodes, "boot the nodes only"), ("init", _init, "kubeadm init on cp1"),
            ("join", _join, "kubeadm join on a node"), ("add", _add, "boot one more node"),
            ("workloads", _workloads, "deploy the sample workloads"),
            ("webhook-certificate", _webhook_certificate, "have the webhook's certificate signed anew by the cluster's authority"),
            ("status", _status, "show nodes and pods"),
            ("judge", _judge, "ask every listener with clients of every generation, after a rotation"),
            ("down", _down, "remove everything"), ("ssh", _ssh, "log in on a node")):
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        if name in ("up", "nodes"):
            command.add_argument("--control-planes", type=int, choices=range(1, 10), default=3)
            command.add_argument("--workers", type=int, default=2)
        if name == "up":
            command.add_argument("--no-workloads", dest="workloads", action="store_false", help="leave the sample workloads out")
        if name in ("up", "init"):
            command.add_argument("--flags", choices=("default", "graceful"), default="graceful")
            command.add_argument("--kubelet-serving", choices=("self-signed", "bootstrap", "files"), default="self-signed")
        if name in ("join", "add", "ssh"):
            command.add_argument("node")
        if name == "join":
            command.add_argument("--pki", choices=("upload", "provisioned"), default="upload", help="where control planes have their keys")
        if name == "ssh":
            command.add_argument("argv", nargs=argparse.REMAINDER)
    return parser


def main() -> int:
    """Return 0 when the command did what it says."""
    arguments = _parser().parse_args()
    try:
        arguments.function(arguments)
    except (BedError, ValueError) as exc:
        print(f"bed: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
