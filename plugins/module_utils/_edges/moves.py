# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Copies of a host's own key pairs at another place on the same host."""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils import _pem
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import batch_files, files

_MODES = {"key": files.KEY_MODE, "certificate": 0o644}


def plan(moves: t.Iterable[t.Mapping[str, str]]) -> list[batch_files.Write]:
    """Return what must be written so that each ``path`` holds its ``source``: a key as it is, of a bundle the first certificate.

    :raises PkiError: when a source is not there.
    """
    steps = []
    for move in moves:
        content = files.require(move["source"])
        if move["kind"] == "certificate":
            content = f"{_pem.certificates(content.decode('utf-8', 'replace'), move['source'])[0].text.rstrip()}\n".encode()
        if files.read(move["path"]) != content:
            steps.append(batch_files.Write(files.Target(move["path"], _MODES[move["kind"]]), content))
    return steps
