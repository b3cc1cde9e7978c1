# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the binaries come from, the first that fits: a directory the user names, the cache, official releases, a build."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import time
import typing as t
from pathlib import Path

from loopback_bed import archives, gobuild, versions
from loopback_bed.errors import BedError
from loopback_bed.progress import Progress
from loopback_bed.versions import Version

NAMES = ("etcd", *versions.CONTROL_PLANE_COMMANDS)
_USUAL_MB = 70


class Binaries(t.NamedTuple):
    """A directory with the binaries asked for, and the Kubernetes version they are."""

    directory: Path
    version: Version


def _missing(directory: Path, names: t.Sequence[str]) -> list[str]:
    return [name for name in names if not os.access(directory / name, os.X_OK)]


def named_by_user(directory: Path, wanted: str, names: t.Sequence[str] = NAMES) -> Binaries:
    """Take the directory that the user names.

    :raises BedError: when a binary is missing there or is not the version that is wanted ("" for any).
    """
    asked_for = tuple(dict.fromkeys(("kube-apiserver", *names)))  # the API server tells the version
    missing = _missing(directory, asked_for)
    if missing:
        raise BedError(f"KUBERNETES_BIN_DIR {directory} has no {', '.join(missing)}", f"It must hold {', '.join(asked_for)}.")
    said = subprocess.run([directory / "kube-apiserver", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"Kubernetes (v\d+\.\d+\.\d+)", said)
    if not match:
        raise BedError(f"{directory}/kube-apiserver does not tell its version: {said.strip()!r}")
    found = versions.parse(match[1])
    if wanted and versions.parse(wanted) != found:
        raise BedError(f"KUBERNETES_BIN_DIR {directory} holds Kubernetes {found}, and KUBERNETES_VERSION asks for {wanted}",
                       "Leave one of them out.")
    return Binaries(directory, found)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def released_dir(cache: Path, version: Version) -> Path:
    """Return where official releases are kept."""
    return cache / "bin" / f"{version}-{_key('release', versions.etcd_version(version))}"


def built_dir(cache: Path, version: Version, go: str) -> Path:
    """Return where binaries are kept that this Go builds from the committed go.sum files."""
    sums = [(gobuild.module_dir(name) / "go.sum").read_text(encoding="utf-8") for name in ("etcd", "kube-apiserver")]
    return cache / "bin" / f"{version}-{_key(versions.etcd_version(version), *sums, go)}"


def _seconds(started: float) -> str:
    return f"{time.monotonic() - started:.0f} s"


@contextlib.contextmanager
def finished_or_absent(target: Path) -> t.Iterator[Path]:
    """Give a temporary name beside *target*, and put it there only when all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.{os.getpid()}"
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}.log").unlink(missing_ok=True)


def _download(directory: Path, version: Version, names: t.Sequence[str], progress: Progress) -> bool:
    """Fetch what is missing; False where the internet, or this release, cannot be reached."""
    missing = _missing(directory, names)
    progress.say(f"Looking for official releases: {', '.join(missing)} for Kubernetes {version} (about {len(missing) * _USUAL_MB} MB)")
    for name in missing:
        started = time.monotonic()
        try:
            content = archives.etcd_binary(version) if name == "etcd" else archives.kubernetes_binary(name, version)
        except OSError as exc:
            progress.say(f"  not to be had: {getattr(exc, 'reason', exc)}")
            return False
        with finished_or_absent(directory / name) as temporary:
            temporary.write_bytes(content)
        progress.say(f"  {name}: {len(content) >> 20} MB, checksum right ({_seconds(started)})")
    return True


def _build(directory: Path, version: Version, names: t.Sequence[str], scratch: Path, progress: Progress) -> None:
    missing = _missing(directory, names)
    usual = sum(gobuild.USUAL_SECONDS[name] for name in missing)
    progress.say(f"Building {', '.join(missing)} from Go modules: on two cores about {usual // 60 + 1} min when Go's caches are empty,"
                 " 1 to 2 min when they are warm. It may be interrupted: finished ones stay.")
    for name in missing:
        started = time.monotonic()
        progress.say(f"  building {name} (usually {gobuild.USUAL_SECONDS[name]} s)")
        with finished_or_absent(directory / name) as temporary:
            gobuild.build(name, version, temporary, scratch, progress)
        progress.say(f"  {name} built ({_seconds(started)})")


def obtain(environment: t.Mapping[str, str], cache: Path, progress: Progress, names: t.Sequence[str] = NAMES) -> Binaries:
    """Return the binaries of a bed, fetched or built where need be.

    :param names: ``etcd`` and commands of Kubernetes; those of the loopback bed if not given.
    :raises BedError: when there is no way to have them.
    """
    wanted = environment.get("KUBERNETES_VERSION", "")
    if environment.get("KUBERNETES_BIN_DIR"):
        return named_by_user(Path(environment["KUBERNETES_BIN_DIR"]).expanduser().absolute(), wanted, names)
    version = versions.parse(wanted or str(versions.DEFAULT))
    go = gobuild.go_version()
    released, built = released_dir(cache, version), built_dir(cache, version, go)
    for directory in (released, built):
        if not _missing(directory, names):
            return Binaries(directory, version)
    if _download(released, version, names, progress):
        return Binaries(released, version)
    gobuild.check_go(go)
    _build(built, version, names, cache / "go", progress)
    return Binaries(built, version)
