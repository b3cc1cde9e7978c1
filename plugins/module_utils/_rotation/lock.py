# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Who carries out a rotation, and who may take the place of whom. Pure.

A lock says who holds it, it does not expire: a run that waits for a person, or a laptop that was closed, must not find another run in
its place. Only a holder that is known to have ended is replaced without being asked for.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError


class Holder(t.NamedTuple):
    """One run: ``run`` names it among all, ``since`` is when it took the lock (ISO 8601, UTC)."""

    run: str
    operator: str
    controller: str
    since: str

    def told(self) -> str:
        """Return it for people."""
        return f"{self.operator} on {self.controller} since {self.since} ({self.run})"


def holder(given: t.Mapping[str, t.Any]) -> Holder:
    """Return a holder as it was written down; what is missing of it is told of as unknown."""
    return Holder(*(str(given.get(name) or "unknown") for name in Holder._fields))


def may_take(place: str, found: Holder | None, ours: Holder, replaces: str) -> bool:
    """Say whether the lock is to be written: not where the run holds it already.

    :param place: where the lock is, for the message.
    :param replaces: the run that is known, or said, to have ended.
    :raises PkiError: where another run holds it.
    """
    if found is None or found.run == replaces:
        return True
    if found.run == ours.run:
        return False
    raise PkiError(place, f"another run is at work: {found.told()}",
                   f"let it end; if you know that it has ended (ask its operator, look for its process), run again with "
                   f"-e pki_rotate_break_lock={found.run}")
