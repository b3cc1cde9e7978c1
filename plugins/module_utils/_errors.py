# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The one exception that pure rooms and edges raise and that modules turn into a failure."""

from __future__ import annotations


class PkiError(Exception):
    """Something a user can mend.

    The message names the item or file first, then what is wrong, then what to do:
    ``PkiError("apiserver", "/etc/k/ca.crt: no such file", "run provision.yml first")``.
    """

    def __init__(self, subject: str, problem: str, remedy: str = "") -> None:
        self.subject = subject
        self.problem = problem
        self.remedy = remedy
        super().__init__(": ".join(part for part in (subject, problem) if part) + (f" ({remedy})" if remedy else ""))
