# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bed's life: made, provisioned, started, shown, ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from loopback_bed import addresses, binaries, configs, processes, readiness, topology, versions
from loopback_bed.binaries import Binaries
from loopback_bed.errors import BedError
from loopback_bed.places import Bed, cache_of
from loopback_bed.progress import Progress
from loopback_bed.supervision import State, Supervisor, end_left_over, left_over

PROVISION = "rekey.kubernetes.provision"
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # not on everybody's PATH


def _haproxy() -> str:
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}")
    if not found:
        raise BedError("haproxy is not installed", "On Debian: apt-get install haproxy")
    return found


def _recorded(bed: Bed) -> Binaries | None:
    if not bed.record.exists():
        return None
    known = json.loads(bed.record.read_text(encoding="utf-8"))
    return Binaries(Path(known["binaries"]), versions.parse(known["kubernetes_version"]))


def _binaries_for(bed: Bed, environment: t.Mapping[str, str], progress: Progress) -> Binaries:
    """Return the binaries to use: a bed that was stopped goes on with its own version unless another one is asked for."""
    known = _recorded(bed)
    if known and not any(environment.get(name) for name in ("KUBERNETES_VERSION", "KUBERNETES_BIN_DIR")):
        environment = {**environment, "KUBERNETES_VERSION": str(known.version)}
    return binaries.obtain(environment, cache_of(environment), progress)


def _check_is_ours(bed: Bed) -> None:
    if bed.directory.is_dir() and any(bed.directory.iterdir()) and not bed.record.exists():
        raise BedError(f"{bed.directory} holds something that is not a loopback bed: it stays untouched", "Name another in REKEY_BED_DIR.")


def _make(bed: Bed, using: Binaries, haproxy: str) -> None:
    """Write everything of the bed but its PKI."""
    bed.directory.mkdir(parents=True, exist_ok=True)
    bed.directory.chmod(0o700)
    bed.record.write_text(json.dumps({"kubernetes_version": str(using.version), "binaries": str(using.directory)}) + "\n", encoding="utf-8")
    for host in topology.HOSTS:
        for folder in (bed.kubernetes_dir(host.name), bed.etcd_dir(host.name), bed.etcd_data_dir(host.name), bed.log_dir(host.name)):
            folder.mkdir(parents=True, exist_ok=True)
        bed.etcd_data_dir(host.name).chmod(0o700)
    for name in (topology.BALANCER, "supervisor"):
        bed.log_dir(name).mkdir(parents=True, exist_ok=True)
    bed.binaries.unlink(missing_ok=True)
    bed.binaries.symlink_to(using.directory)
    programs = processes.programs(bed, using.version, haproxy)
    bed.supervisor_config.write_text(configs.supervisor(bed, programs), encoding="utf-8")
    bed.balancer_config.write_text(configs.balancer(bed), encoding="utf-8")


def _provision(bed: Bed, progress: Progress) -> None:
    progress.say(f"Provisioning: ansible-playbook {PROVISION}")
    command: list[str | Path] = [Path(sys.executable).parent / "ansible-playbook", "-i", bed.inventory, PROVISION]
    done = subprocess.run(command, env={**os.environ, **bed.environment}, check=False)
    if done.returncode:
        raise BedError(f"the playbook {PROVISION} failed", "What it said stands above; 'down' removes what there is of this bed.")


def _check_provisioned(bed: Bed, version: versions.Version) -> None:
    missing = [path for path in processes.needed_files(bed, version) if not path.exists()]
    if missing:
        raise BedError(f"{len(missing)} files of the PKI are not there, the first is {missing[0]}", "'up' provisions the bed first.")


def _same_version(running: Binaries | None, environment: t.Mapping[str, str]) -> Binaries:
    wanted = environment.get("KUBERNETES_VERSION")
    if running is None or (wanted and versions.parse(wanted) != running.version):
        raise BedError(f"a bed runs already, with Kubernetes {running.version if running else 'of an unknown version'}",
                       "Stop it with 'down' first.")
    return running


def start(bed: Bed, environment: t.Mapping[str, str], progress: Progress, provision: bool) -> None:
    """Bring the bed to ready, from wherever it stands.

    :raises BedError: when it cannot be brought there.
    """
    _check_is_ours(bed)
    haproxy = _haproxy()
    supervisor = Supervisor(bed)
    if supervisor.answers():
        using = _same_version(_recorded(bed), environment)
        progress.say(f"The supervisor of the bed in {bed.directory} runs already")
    else:
        addresses.check_free(topology.listeners())
        using = _binaries_for(bed, environment, progress)
        progress.say(f"Kubernetes {using.version} from {using.directory}; bed in {bed.directory}")
        _make(bed, using, haproxy)
    if provision:
        _provision(bed, progress)
    _check_provisioned(bed, using.version)
    if not supervisor.answers():
        progress.say("Starting processes")
        supervisor.launch()
    for names, gates in readiness.stages(bed):
        supervisor.start(names)
        for gate in gates:
            readiness.wait(gate, supervisor, bed, progress)
    progress.say(f"The control plane is ready at https://{topology.BALANCER_ADDRESS}:{topology.APISERVER_PORT}")


def status(bed: Bed) -> bool:
    """Print a table of processes; whether all are ready."""
    using = _recorded(bed)
    supervisor = Supervisor(bed)
    if using is None or not supervisor.answers():
        print(f"No bed runs in {bed.directory}")
        return False
    print(f"Kubernetes {using.version} in {bed.directory}\n\n{'PROGRAM':<26} {'STATE':<9} {'PID':>7} {'UP FOR':>8}  READY")
    known = {state.name: state for state in supervisor.states()}
    rows = [(topology.program_name(host, process), _readiness(bed, host, process)) for host in topology.HOSTS for process in host.processes]
    servers = readiness.balanced(bed)
    rows.append((topology.BALANCER, "yes, uses " + ", ".join(servers) if servers else "no"))
    for name, answer in rows:
        state: State = known[name]
        print(f"{name:<26} {state.state:<9} {state.pid or '-':>7} {state.seconds:>6} s  {answer}")
    return not any(answer.startswith("no") for _name, answer in rows) and len(servers) == len(topology.hosts_of(topology.APISERVER))


def _readiness(bed: Bed, host: topology.Host, process: str) -> str:
    if not readiness.ready(host, process):
        return "no"
    if process == topology.ETCD and readiness.etcd_leads(host):
        return "yes, leads"
    if process == topology.APISERVER and host.name not in readiness.balanced(bed):
        return "no, not UP in the balancer"
    return "yes"


def end(bed: Bed, progress: Progress) -> None:
    """Stop everything that this bed started and remove its directory.

    :raises BedError: for a directory that is not a bed.
    """
    _check_is_ours(bed)
    supervisor = Supervisor(bed)
    if supervisor.answers():
        members = [topology.program_name(host, topology.ETCD) for host in topology.hosts_of(topology.ETCD)]
        progress.say("Stopping API servers and what uses them")
        supervisor.stop(state.name for state in supervisor.states() if state.name not in members)
        progress.say("Stopping etcd")
        # Members that stop together wait for each other's votes; their data goes with the directory.
        supervisor.stop(members, patience_seconds=1)
        supervisor.shut_down()
    ended = end_left_over(bed)
    if ended:
        progress.say("Ended without a supervisor: " + ", ".join(f"{name} (process {pid})" for pid, name in ended.items()))
    if left_over(bed):
        raise BedError(f"these processes do not end: {left_over(bed)}", f"{bed.directory} stays until they are gone.")
    if bed.directory.exists():
        shutil.rmtree(bed.directory)
        progress.say(f"Removed {bed.directory}")
    else:
        progress.say(f"There is no bed in {bed.directory}")
