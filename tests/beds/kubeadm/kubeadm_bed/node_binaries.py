# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The binaries of nodes and images: Kubernetes' as the loopback bed gets its own, others built from the modules in go/."""

from __future__ import annotations

import hashlib
import os
import typing as t
from pathlib import Path

from kubeadm_bed.commands import run
from loopback_bed import binaries, gobuild, versions
from loopback_bed.progress import Progress

GO = Path(__file__).resolve().parents[1] / "go"
_CONTAINERD = "github.com/containerd/containerd/v2"
# name -> (module folder, package, linker flags, usual seconds on two cores)
PACKAGES = {
    "coredns": ("coredns", "github.com/coredns/coredns", "-s -w", 140),
    "containerd": ("containerd", f"{_CONTAINERD}/cmd/containerd", f"-s -w -X {_CONTAINERD}/version.Version=2.2.0", 60),
    "containerd-shim-runc-v2": ("containerd", f"{_CONTAINERD}/cmd/containerd-shim-runc-v2", "-s -w", 5),
    "ctr": ("containerd", f"{_CONTAINERD}/cmd/ctr", "-s -w", 5),
}
# The pause container does nothing but wait for its end; with -v it ends at once, which is kubeadm's health check before an upgrade.
_PAUSE = """package main

import (
\t"os"
\t"os/signal"
\t"syscall"
)

func main() {
\tif len(os.Args) > 1 && os.Args[1] == "-v" {
\t\treturn
\t}
\tstop := make(chan os.Signal, 1)
\tsignal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
\t<-stop
}
"""


def obtain(environment: t.Mapping[str, str], cache: Path, progress: Progress) -> tuple[dict[str, Path], versions.Version]:
    """Return name → file of every binary, and the Kubernetes version; :raises BedError: when one cannot be had."""
    names = (*binaries.NAMES, *versions.NODE_COMMANDS)
    kubernetes = binaries.obtain(environment, cache, progress, names)
    return {**{name: kubernetes.directory / name for name in names}, **_others(cache, progress)}, kubernetes.version


def _others(cache: Path, progress: Progress) -> dict[str, Path]:
    """Return what is the same for every version of Kubernetes."""
    sums = "".join((GO / folder / "go.sum").read_text(encoding="utf-8") for folder in ("coredns", "containerd"))
    directory = cache / "bin" / f"nodes-{hashlib.sha256(sums.encode()).hexdigest()[:12]}"
    found = {name: directory / name for name in PACKAGES}
    found["pause"] = directory / f"pause-{hashlib.sha256(_PAUSE.encode()).hexdigest()[:12]}"
    for name, (folder, package, flags, usual) in PACKAGES.items():
        if not found[name].exists():
            progress.say(f"  building {name} (usually {usual} s)")
            with binaries.finished_or_absent(found[name]) as temporary:
                _build(GO / folder, package, flags, temporary)
    if not found["pause"].exists():
        source = directory / "pause.go"
        source.write_text(_PAUSE, encoding="utf-8")
        with binaries.finished_or_absent(found["pause"]) as temporary:
            _build(directory, str(source), "-s -w", temporary)
    return found


def workload(cache: Path, progress: Progress) -> Path:
    """Return the program of the sample workloads, built once for these sources; :raises BedError: when it cannot be built."""
    folder = GO / "workload"
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()))
    found = cache / "bin" / f"workload-{hashlib.sha256(sources.encode()).hexdigest()[:12]}" / "workload"
    if not found.exists():
        progress.say("  building the sample workloads (usually 10 s)")
        with binaries.finished_or_absent(found) as temporary:
            _build(folder, ".", "-s -w", temporary)
    return found


def _build(folder: Path, package: str, flags: str, target: Path) -> None:
    gobuild.check_go(gobuild.go_version())
    run("go", "build", "-trimpath", "-ldflags", flags, "-o", str(target), package, cwd=folder, env={**os.environ, "CGO_ENABLED": "0"})
