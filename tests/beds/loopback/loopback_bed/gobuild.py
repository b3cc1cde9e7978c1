# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building the binaries from Go modules: from the committed go.mod for its version, from one made beside the cache for others."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from loopback_bed import versions
from loopback_bed.errors import BedError
from loopback_bed.places import FOLDER
from loopback_bed.progress import Progress
from loopback_bed.versions import Version

OLDEST_GO = (1, 26)
# Measured on two cores with empty caches, in this order: the first one of Kubernetes pays for what all of them share.
USUAL_SECONDS = {"etcd": 80, "kube-apiserver": 420, "kube-controller-manager": 160, "kube-scheduler": 15, "kubectl": 35,
                 "kubeadm": 60, "kubelet": 120, "kube-proxy": 30}
_POLL_SECONDS = 0.2
_INSTALL_GO = "Install it (https://go.dev/dl), or name a directory with binaries in KUBERNETES_BIN_DIR."


def go_version() -> str:
    """Return the version of the go command (``go1.26.8``), or an empty string where there is none."""
    if not shutil.which("go"):
        return ""
    return subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/").stdout.strip()


def check_go(found: str) -> None:
    """Make sure that Go is there and new enough.

    :raises BedError: saying what is needed and what is there.
    """
    match = re.match(r"go(\d+)\.(\d+)", found)
    wanted = f"building the binaries needs Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or later"
    if not match:
        raise BedError(f"{wanted}, and there is no go command", _INSTALL_GO)
    if (int(match[1]), int(match[2])) < OLDEST_GO:
        raise BedError(f"{wanted}, and {shutil.which('go')} is {found}", _INSTALL_GO)


def module_dir(name: str) -> Path:
    """Return the committed module that builds this binary."""
    return FOLDER / "go" / ("etcd" if name == "etcd" else "kubernetes")


def committed(name: str, version: Version) -> bool:
    """Whether the committed go.mod builds this binary in the version wanted."""
    return versions.required_version((module_dir(name) / "go.mod").read_text(encoding="utf-8"), _module(name)) == _release(name, version)


def _module(name: str) -> str:
    return versions.ETCD_MODULE if name == "etcd" else versions.KUBERNETES_MODULE


def _release(name: str, version: Version) -> str:
    return versions.etcd_version(version) if name == "etcd" else str(version)


def _prepare(name: str, version: Version, scratch: Path, progress: Progress) -> Path:
    """Return a module directory that builds this binary."""
    if committed(name, version):
        return module_dir(name)
    folder = scratch / _release(name, version) / module_dir(name).name
    if not (folder / "go.mod").exists():
        module, release = _module(name), _release(name, version)
        progress.say(f"  making a go.mod for {module} {release}")
        own = Path(_download(module, release)).read_text(encoding="utf-8")
        text = versions.etcd_go_mod(release, own) if name == "etcd" else versions.kubernetes_go_mod(version, own)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".go.mod.{os.getpid()}"
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(folder / "go.mod")
    return folder


def _download(module: str, release: str) -> str:
    """Return the path of a module's own go.mod."""
    done = subprocess.run(["go", "mod", "download", "-json", f"{module}@{release}"], capture_output=True, text=True, check=False, cwd="/")
    answer = json.loads(done.stdout) if done.stdout.strip() else {}
    if not answer.get("GoMod"):
        raise BedError(f"{module} {release} cannot be had as a Go module: {answer.get('Error') or done.stderr.strip()}",
                       "Not every release is there; choose another KUBERNETES_VERSION.")
    return str(answer["GoMod"])


def build(name: str, version: Version, target: Path, scratch: Path, progress: Progress) -> None:
    """Build one binary into *target*; an interrupted build leaves nothing there.

    :raises BedError: when Go fails, with the end of what it said.
    """
    folder = _prepare(name, version, scratch, progress)
    package = versions.ETCD_MODULE if name == "etcd" else f"{versions.KUBERNETES_MODULE}/cmd/{name}"
    flags = "-s -w" if name == "etcd" else versions.link_flags(version)
    mode = "readonly" if committed(name, version) else "mod"
    command = ["go", "build", f"-mod={mode}", "-trimpath", "-ldflags", flags, "-o", str(target), package]
    log = target.with_name(f"{target.name}.log")
    with log.open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, "CGO_ENABLED": "0"}, stdout=output, stderr=output)
        started = time.monotonic()
        try:
            while process.poll() is None:
                progress.still(f"  building {name}: {time.monotonic() - started:.0f} s (usually {USUAL_SECONDS[name]} s)")
                time.sleep(_POLL_SECONDS)
        finally:
            process.send_signal(signal.SIGINT)  # go passes only this one on to its compilers
            process.wait()
        output.seek(0)
        said = output.read().strip().splitlines()
    log.unlink()
    if process.returncode:
        raise BedError(f"go build {name} failed:\n  " + "\n  ".join(said[-15:]))
