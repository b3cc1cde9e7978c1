# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Complaints in pods' logs: who does not trust what it is shown any more. Nothing else shows a stale client. Pure."""

from __future__ import annotations

import re

# What a server says about a client that it refuses. To refuse the old generation's is what a rotation is for, and our canaries provoke it.
_OF_CLIENTS = ("Unable to authenticate the request", "rejected connection", "TLS handshake error from", "failed to verify client")
_LONGEST = 300
_LINE = re.compile(r"\[pod/([^/\]]+)/[^\]]*\] (.*)")


def complaints(log: str) -> list[str]:
    """Return for each pod its newest line about a certificate that it does not accept from a server.

    :param log: what ``kubectl logs --prefix`` prints.
    """
    found: dict[str, str] = {}
    for line in log.splitlines():
        match = _LINE.match(line)
        if match and _is_complaint(match.group(2)):
            found[match.group(1)] = match.group(2)[:_LONGEST]
    return [f"pod {name}: {text}" for name, text in sorted(found.items())]


def unread(log: str) -> list[str]:
    """Return what kubectl could not read, in its words."""
    return [line for line in log.splitlines() if line.startswith("error: ")]


def _is_complaint(text: str) -> bool:
    return "x509: " in text and not any(other in text for other in _OF_CLIENTS)
