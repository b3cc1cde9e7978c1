# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes and balancer as containers on one network: booted and reachable by ssh, with nothing of Kubernetes started yet."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import typing as t
from pathlib import Path

import jinja2

from kubeadm_bed import topology
from kubeadm_bed.commands import entering, inside, podman, run, wait
from kubeadm_bed.topology import Node
from loopback_bed.places import cache_of
from loopback_bed.progress import Progress

FOLDER = Path(__file__).resolve().parents[1]
TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent / "templates"), trim_blocks=True,
                               keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
BOOT_SECONDS = 120
# More than any other process of the machine: version 1 control groups give all containers together the weight of one process.
CPU_SHARES = 4096
INOTIFY_INSTANCES = 1024
_WITHIN = f"""
table inet rekey-bed {{
  chain leaving {{
    type filter hook postrouting priority 0
    ip daddr {topology.SERVICE_NETWORK} drop
  }}
}}
"""
_LIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=8192:8192")
_FLAGS = (*_LIMITS, "--privileged", "--cgroupns=private", "--systemd=false", "--tmpfs", "/run:exec", "--tmpfs", "/run/lock",
          "--tmpfs", "/tmp:exec", "-e", "container=podman", "--network", topology.NETWORK)


class Bed(t.NamedTuple):
    """Where a bed lives."""

    directory: Path

    @property
    def workloads(self) -> Path:
        """Where the keys and certificates of the sample workloads are."""
        return self.directory / "workloads"

    @property
    def person(self) -> Path:
        """The kubeconfig of a person, with a certificate from the API."""
        return self.workloads / "person.conf"

    @property
    def record(self) -> Path:
        """What the bed was made with."""
        return self.directory / "bed.json"

    @property
    def key(self) -> Path:
        """The key with which its user logs in on the nodes."""
        return self.directory / "ssh" / "id_ed25519"

    @property
    def host_key(self) -> Path:
        """The nodes' own key."""
        return self.directory / "ssh" / "host_ed25519"

    @property
    def inventory(self) -> Path:
        """An inventory of the bed's nodes, as a user would write it."""
        return self.directory / "hosts.yml"

    @property
    def load_program(self) -> Path:
        """The program that puts load on it."""
        return FOLDER / "load.py"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs find it, and its load the modules that it shares with the other bed's."""
        paths = [str(FOLDER.with_name("loopback")), os.environ.get("PYTHONPATH", "")]
        return {"REKEY_KUBEADM_BED": str(topology.NUMBER), "REKEY_KUBEADM_BED_DIR": str(self.directory), "PYTHONPATH": ":".join(paths)}

    def read(self) -> dict[str, t.Any]:
        """Return the record."""
        found: dict[str, t.Any] = json.loads(self.record.read_text(encoding="utf-8"))
        return found


def prepare(bed: Bed, image: str, archive: Path, version: str, names: t.Sequence[Node]) -> None:
    """Make keys, network, record and inventory."""
    bed.key.parent.mkdir(parents=True, exist_ok=True)
    for key in (bed.key, bed.host_key):
        if not key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rekey", "-f", str(key))
    if podman("network", "exists", topology.NETWORK, check=False).returncode:
        podman("network", "create", "--subnet", topology.SUBNET, "--disable-dns", topology.NETWORK)
    known = bed.read() if bed.record.exists() else {}
    record = {"image": image, "archive": str(archive), "version": version, "nodes": [one.name for one in names]}
    bed.record.write_text(json.dumps({**known, **record}), encoding="utf-8")
    write_inventory(bed, names)


def write_inventory(bed: Bed, names: t.Sequence[Node]) -> None:
    """Write the inventory of these nodes."""
    text = TEMPLATES.get_template("hosts.yml.j2").render(
        bed=bed, control_planes=[one for one in names if one.control_plane], workers=[one for one in names if not one.control_plane],
        balancer=topology.BALANCER, endpoint=topology.ENDPOINT, service_network=topology.SERVICE_NETWORK, state_port=topology.STATE_PORT)
    bed.inventory.write_text(text, encoding="utf-8")


def keep_image(bed: Bed, archive: Path) -> None:
    """Give all nodes, those to come too, the image of the sample workloads."""
    bed.record.write_text(json.dumps({**bed.read(), "workload": str(archive)}), encoding="utf-8")
    for one in nodes_of(bed):
        _import_workload(bed, one)


def _import_workload(bed: Bed, one: Node) -> None:
    archive = bed.read().get("workload")
    if archive:
        inside(one.container, "ctr", "-n", "k8s.io", "images", "import", "-", stdin=Path(archive).read_bytes())


def nodes_of(bed: Bed) -> list[Node]:
    """Return the nodes of a bed."""
    return [topology.node(name) for name in bed.read()["nodes"]]


def allow_watchers() -> None:
    """Let root have as many inotify instances as several beds need; with the usual 128, the systemd of the sixth node ends at its start."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text(encoding="ascii")) < INOTIFY_INSTANCES:
        limit.write_text(f"{INOTIFY_INSTANCES}\n", encoding="ascii")


def boot(bed: Bed, names: t.Sequence[Node], progress: Progress) -> None:
    """Boot nodes, two at a time, and let all nodes of the bed know each other's pods."""
    allow_watchers()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_boot_one, bed, one, progress) for one in names]:
            done.result()
    everyone = nodes_of(bed)
    for one in everyone:
        for other in everyone:
            if other != one:
                inside(one.container, "ip", "route", "replace", other.pods, "via", other.address)
    public = bed.host_key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
    lines = [f"{one.address} {' '.join(public)}\n" for one in everyone]
    (bed.key.parent / "known_hosts").write_text("".join(lines), encoding="utf-8")


def balancer(bed: Bed) -> None:
    """Start the balancer in front of the bed's control planes."""
    servers = [one for one in nodes_of(bed) if one.control_plane]
    config = TEMPLATES.get_template("haproxy.cfg.j2").render(
        servers=servers, port=topology.API_PORT, state_port=topology.STATE_PORT, admin_port=topology.ADMIN_PORT)
    (bed.directory / "haproxy.cfg").write_text(config, encoding="utf-8")
    podman("run", "-d", "--replace", "--name", topology.BALANCER.container, "--network", topology.NETWORK,
           "--ip", topology.BALANCER.address, *_LIMITS,
           "-v", f"{bed.directory}/haproxy.cfg:/etc/haproxy/haproxy.cfg:ro", bed.read()["image"],
           "haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg")
    shares = Path("/sys/fs/cgroup/cpu/libpod_parent/cpu.shares")
    if shares.exists():
        shares.write_text(f"{CPU_SHARES}\n", encoding="ascii")


def _boot_one(bed: Bed, one: Node, progress: Progress) -> None:
    record, data = bed.read(), bed.directory / "containerd" / one.name
    data.mkdir(parents=True, exist_ok=True)
    podman("run", "-d", "--replace", "--name", one.container, "--hostname", one.name, *_FLAGS, "--ip", one.address,
           "-v", f"{data}:/var/lib/containerd", "-v", f"{record['archive']}:/images.tar:ro", record["image"], "/sbin/init")
    public = bed.key.with_suffix(".pub").read_bytes()
    for path, content, mode in (
            ("/root/.ssh/authorized_keys", public, "600"), ("/etc/ssh/ssh_host_ed25519_key", bed.host_key.read_bytes(), "600"),
            ("/etc/ssh/ssh_host_ed25519_key.pub", bed.host_key.with_suffix(".pub").read_bytes(), "644"),
            ("/etc/cni/net.d/10-bridge.conflist", TEMPLATES.get_template("cni.conflist.j2").render(node=one).encode(), "644")):
        put(one, path, content, mode)
    # As long as its kube-proxy does not know a service, what is sent to it must not find somebody else outside the bed.
    inside(one.container, "nft", "-f", "-", stdin=_WITHIN.encode())
    # Its system bus is there some time after its first process, later on a busy machine.
    wait(f"{one.name}: systemd", lambda: _succeeds(one, "systemctl", "list-units"), BOOT_SECONDS)
    # Without its key, it may have used up its attempts by now.
    inside(one.container, "systemctl", "reset-failed", "ssh")
    inside(one.container, "systemctl", "restart", "ssh")
    wait(f"{one.name}: containerd", lambda: _succeeds(one, "ctr", "version"), BOOT_SECONDS)
    inside(one.container, "ctr", "-n", "k8s.io", "images", "import", "/images.tar")
    _import_workload(bed, one)
    progress.say(f"  {one.name} is up at {one.address}")


def put(one: Node, path: str, content: bytes, mode: str) -> None:
    """Write a file in a node; its directory is made, for its owner alone."""
    script = 'umask 077; mkdir -p "$(dirname "$0")" && cat > "$0" && chmod "$1" "$0"'
    inside(one.container, "sh", "-c", script, path, mode, stdin=content)


def _succeeds(one: Node, *argv: str) -> bool:
    return run(*entering(one.container), *argv, check=False).returncode == 0


def bed_of(environment: t.Mapping[str, str]) -> Bed:
    """Return the bed that REKEY_KUBEADM_BED_DIR names, or the numbered one in the cache."""
    named = environment.get("REKEY_KUBEADM_BED_DIR")
    return Bed(Path(named).expanduser() if named else cache_of(environment) / "beds" / f"kubeadm{topology.NUMBER}")


def remove(bed: Bed) -> None:
    """Remove all containers, the network and the bed's directory, however far it had come."""
    names = podman("ps", "-a", "--format", "{{.Names}}", "--filter", f"name=^{topology.PREFIX}").stdout.decode().split()
    if names:
        podman("rm", "-f", "-t", "2", *names)
    podman("network", "rm", "-f", topology.NETWORK, check=False)
    if bed.directory.exists() and (bed.record.exists() or not os.listdir(bed.directory)):
        shutil.rmtree(bed.directory)
