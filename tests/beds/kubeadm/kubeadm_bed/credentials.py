# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials of the load that lie in no files of their own: those of a kubeconfig, and a pair in memory."""

from __future__ import annotations

import base64
import os
import ssl
import typing as t
from pathlib import Path

import yaml

from load_clients import Stamp, stamp_of, strict_context


class Pair(t.NamedTuple):
    """What a client trusts and what it presents, as PEM; ``pair`` is its certificate and its key."""

    bundle: str
    pair: str

    def stamp(self) -> Stamp:
        """Return a stamp: this never changes."""
        return ((0, 0, 0),)

    def context(self) -> ssl.SSLContext:
        """Return a context; :raises OSError: where certificate and key are no pair."""
        context = strict_context()
        context.load_verify_locations(cadata=self.bundle)
        # Python reads pairs from files only; this one is in memory and has no name.
        descriptor = os.memfd_create("pair")
        try:
            os.write(descriptor, self.pair.encode())
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return context


class Kubeconfig(t.NamedTuple):
    """A kubeconfig with its certificates inside, read anew whenever the file is another one, as client-go's users do."""

    path: Path

    def stamp(self) -> Stamp:
        """Return what changes when the file is replaced; :raises OSError: where it is not there."""
        return stamp_of([self.path])

    def read(self) -> Pair:
        """Return what it holds; :raises OSError: where that is no whole kubeconfig."""
        try:
            found = yaml.safe_load(self.path.read_text(encoding="utf-8"))
            cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
            return Pair(_decoded(cluster["certificate-authority-data"]),
                        _decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        except (yaml.YAMLError, LookupError, TypeError, ValueError) as exc:
            raise OSError(f"{self.path} is not a kubeconfig with its certificates inside") from exc

    def context(self) -> ssl.SSLContext:
        """Return a context of what it holds; :raises OSError: as :meth:`read`."""
        return self.read().context()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
