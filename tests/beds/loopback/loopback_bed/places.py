# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a bed lives on disk. Everything hangs from one directory outside the source tree, so that removing it removes the bed."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t
from pathlib import Path

from loopback_bed.errors import BedError

FOLDER = Path(__file__).resolve().parent.parent  # the committed half of the bed
NAME = "rekey.kubernetes"

# A unix socket's path may have 107 bytes (unix(7)); the supervisor first binds a name with its process id appended.
_SOCKET_PATH_LIMIT = 107 - len(".4194304")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+@-]+")


@dataclasses.dataclass(frozen=True)
class Bed:
    """The paths of one bed."""

    directory: Path

    @property
    def record(self) -> Path:
        """What this bed was made with; its presence says that the directory is a bed."""
        return self.directory / "bed.json"

    @property
    def inventory(self) -> Path:
        """Its inventory, which is committed."""
        return FOLDER / "inventory"

    @property
    def load_program(self) -> Path:
        """The program that puts load on it."""
        return FOLDER / "load.py"

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which programs and the inventory find it."""
        return {"REKEY_BED_DIR": str(self.directory)}

    @property
    def binaries(self) -> Path:
        """A link to the directory with the binaries in use."""
        return self.directory / "bin"

    @property
    def supervisor_config(self) -> Path:
        """The supervisor's configuration."""
        return self.directory / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """The supervisor's control socket."""
        return self.directory / "supervisor.sock"

    @property
    def balancer_config(self) -> Path:
        """The balancer's configuration."""
        return self.directory / "haproxy.cfg"

    @property
    def balancer_socket(self) -> Path:
        """The balancer's runtime socket."""
        return self.directory / "haproxy.sock"

    def kubernetes_dir(self, host: str) -> Path:
        """That host's pki_kubernetes_dir."""
        return self.directory / host / "kubernetes"

    def etcd_dir(self, host: str) -> Path:
        """That host's pki_etcd_dir."""
        return self.directory / host / "etcd"

    def etcd_data_dir(self, host: str) -> Path:
        """Where that host's etcd member keeps its data."""
        return self.directory / host / "etcd-data"

    def log_dir(self, host: str) -> Path:
        """Where that host's processes log; the balancer and the supervisor have a host's name of their own."""
        return self.directory / host / "log"


def _cache_home(environment: t.Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def bed_of(environment: t.Mapping[str, str]) -> Bed:
    """Return the bed that REKEY_BED_DIR names, or the default one in the user's cache directory.

    :raises BedError: for a path that the configuration files or the sockets cannot take.
    """
    named = environment.get("REKEY_BED_DIR")
    directory = Path(named) if named else _cache_home(environment) / NAME / "beds" / "loopback"
    remedy = "Set REKEY_BED_DIR to a short absolute path without blanks or special characters."
    if not directory.is_absolute() or ".." in directory.parts:
        raise BedError(f"the bed's directory {directory} is not an absolute path", remedy)
    if not _PLAIN_PATH.fullmatch(str(directory)):
        raise BedError(f"the bed's directory {directory} has characters that the supervisor's configuration gives a meaning", remedy)
    bed = Bed(directory)
    if len(os.fsencode(bed.supervisor_socket)) > _SOCKET_PATH_LIMIT:
        raise BedError(f"{bed.supervisor_socket} is too long for a unix socket", remedy)
    return bed


def cache_of(environment: t.Mapping[str, str]) -> Path:
    """Return the directory that keeps binaries between beds: REKEY_CACHE or the user's cache directory."""
    named = environment.get("REKEY_CACHE")
    return Path(named).expanduser().absolute() if named else _cache_home(environment) / NAME
