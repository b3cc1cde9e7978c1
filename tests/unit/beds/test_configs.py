# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The supervisor's and the balancer's configuration, and the inventory that says the same to Ansible."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml

import balancer_up
from loopback_bed import configs, places, processes, topology
from loopback_bed.errors import BedError
from loopback_bed.places import Bed
from loopback_bed.versions import DEFAULT

BED = Bed(Path("/somewhere/bed"))


def _supervisor() -> configparser.RawConfigParser:
    parsed = configparser.RawConfigParser()
    parsed.read_string(configs.supervisor(BED, processes.programs(BED, DEFAULT, "/usr/sbin/haproxy")))
    return parsed


def test_the_balancer_is_set_as_measured() -> None:
    lines = [line.strip() for line in configs.balancer(BED).splitlines()]
    for setting in ("mode tcp", "retries 3", "option redispatch 1", "option httpchk GET /readyz", "http-check expect status 200",
                    "default-server check check-ssl verify none inter 500ms fall 1 rise 1", "timeout client 1h", "timeout server 1h",
                    "bind 127.0.10.100:6443", "stats socket /somewhere/bed/haproxy.sock mode 600 level admin"):
        assert setting in lines
    assert [line for line in lines if line.startswith("server ")] == [
        "server n1 127.0.10.1:6443", "server n2 127.0.10.2:6443", "server n3 127.0.10.3:6443"]


def test_the_supervisor_runs_every_program_with_its_whole_command() -> None:
    parsed = _supervisor()
    for program in processes.programs(BED, DEFAULT, "/usr/sbin/haproxy"):
        assert parsed.get(f"program:{program.name}", "command").split() == list(program.command)


def test_a_stop_is_never_a_kill_and_an_end_is_followed_by_a_start() -> None:
    parsed = _supervisor()
    for section in parsed.sections():
        if section.startswith("program:"):
            assert parsed.get(section, "stopsignal") == "TERM"
            assert parsed.getint(section, "stopwaitsecs") == 90
            assert parsed.getboolean(section, "autorestart")


def test_whatever_needs_etcd_is_stopped_before_it() -> None:
    parsed = _supervisor()
    priority = {section: parsed.getint(section, "priority") for section in parsed.sections() if section.startswith("program:")}
    for host in topology.HOSTS:
        names = [f"program:{topology.program_name(host, process)}" for process in host.processes]
        assert priority[names[0]] < priority[names[1]] < min((priority[name] for name in names[2:]), default=9)


def test_the_inventory_has_the_bed_s_hosts_and_names(loopback: Path) -> None:
    known = yaml.safe_load((loopback / "inventory" / "hosts.yml").read_text())["all"]
    members = known["children"]["etcd"]["hosts"]
    assert {name: values["ansible_host"] for name, values in members.items()} == {host.name: host.address for host in topology.HOSTS}
    control_planes = known["children"]["kube_control_plane"]["hosts"]
    for host in topology.HOSTS:
        components = (control_planes[host.name] or {}).get("pki_components", list(topology.HOSTS[0].processes))
        assert tuple(components) == host.processes
    names = {process: name.replace("{{ inventory_hostname }}", "n1") for process, name in known["vars"]["pki_service_names"].items()}
    assert names == {process: topology.program_name(topology.HOSTS[0], process) for process in topology.HOSTS[0].processes}
    assert known["vars"]["pki_api_endpoint"] == f"https://{topology.BALANCER_ADDRESS}:{topology.APISERVER_PORT}"
    assert known["vars"]["pki_service_cidr"] == topology.SERVICE_CIDR


def test_no_two_programs_listen_on_one_port() -> None:
    places_taken = [(listener.address, listener.port) for listener in topology.listeners()]
    assert len(set(places_taken)) == len(places_taken) == 17


@pytest.mark.parametrize(("named", "said"), [
    ("relative/bed", "not an absolute path"), ("/a/../b", "not an absolute path"), ("/with blank/bed", "characters"),
    ("/100%/bed", "characters"), ("/" + "long/" * 25, "too long for a unix socket")])
def test_a_directory_that_cannot_work_is_refused(named: str, said: str) -> None:
    with pytest.raises(BedError, match=said):
        places.bed_of({"REKEY_BED_DIR": named})


def test_the_bed_is_where_the_environment_says() -> None:
    assert places.bed_of({"REKEY_BED_DIR": "/b"}).directory == Path("/b")
    assert places.bed_of({"XDG_CACHE_HOME": "/c"}).directory == Path("/c/rekey.kubernetes/beds/loopback")
    assert places.cache_of({"XDG_CACHE_HOME": "/c"}) == Path("/c/rekey.kubernetes")
    assert places.cache_of({"REKEY_CACHE": "/d", "XDG_CACHE_HOME": "/c"}) == Path("/d")


STATISTICS = """\
# pxname,svname,qcur,status,weight,
apiserver,FRONTEND,,OPEN,,
apiservers,n1,0,UP,1,
apiservers,n2,0,DOWN,1,
apiservers,n3,0,UP 1/2,1,
apiservers,BACKEND,0,UP,2,
"""


@pytest.mark.parametrize(("server", "up"), [("n1", True), ("n2", False), ("n3", True), ("n4", False)])
def test_the_balancer_s_answer_is_read(server: str, up: bool) -> None:
    assert balancer_up.is_up(STATISTICS, server) is up
