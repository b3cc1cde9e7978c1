# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Commands are run by the module that Ansible started; the edges are given a function for it."""

from __future__ import annotations

import typing as t

# (argv, standard input) -> (return code, standard output, standard error); raises OSError where the program cannot be started
Run = t.Callable[[t.Sequence[str], str], "tuple[int, str, str]"]

TIMED_OUT = 124  # of coreutils' timeout
NOT_FOUND = 127


def runner(module: t.Any) -> Run:
    """Return a function that runs commands by an AnsibleModule's ``run_command``; threads may share it."""
    def run(argv: t.Sequence[str], stdin: str = "") -> tuple[int, str, str]:
        return t.cast("tuple[int, str, str]", module.run_command(list(argv), data=stdin or None, handle_exceptions=False))

    return run
