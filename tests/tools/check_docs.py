# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check what users read, in the copy that is named: ``check_docs.py COPY``.

Every module, filter and role is shown by ansible-doc; antsibull-docs finds no broken reference; the changelog's fragments are in order.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NAME = "rekey.kubernetes"


def documented(collection: Path) -> dict[str, list[str]]:
    """What ansible-doc must be able to show, by its kind; private roles are left to their README."""
    kinds = {
        kind: sorted({path.stem for path in (collection / "plugins" / folder).glob("[a-z]*.*")})
        for kind, folder in (("module", "modules"), ("callback", "callback"), ("filter", "filter"))
    }
    return {**kinds, "role": sorted(path.parent.name for path in (collection / "roles").glob("[a-z]*/meta"))}


def run(command: list[str], collection: Path, environment: dict[str, str]) -> bool:
    """Run a check; what it says is shown where it fails."""
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=collection, env=environment, check=False, text=True, **both)
    # A newer ansible-core warns of a collection inside itself, which is not ours to mend.
    warned = any("[WARNING]" in line and "/ansible/_internal/" not in line for line in done.stdout.splitlines())
    passed = done.returncode == 0 and not warned
    print(f"{'passed' if passed else 'FAILED'}  {' '.join(command)}", flush=True)
    if not passed:
        print(done.stdout)
    return passed


def main(collection: Path) -> int:
    """Run all checks, so that one failure does not hide another."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collection.parents[2])}
    lint = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--check-extra-docs-refs"]
    lint += ["--validate-collection-refs", "self", "--disallow-unknown-collection-refs", "."]
    results = []
    for kind, names in documented(collection).items():
        if names:
            results.append(run(["ansible-doc", "--type", kind, *(f"{NAME}.{name}" for name in names)], collection, environment))
    results.append(run(lint, collection, environment))
    results.append(run(["antsibull-changelog", "lint"], collection, environment))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
