# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print the path of the bed's kubectl; its binaries are fetched or built first where they are missing (progress on stderr)."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "beds" / "loopback"))

from loopback_bed import binaries
from loopback_bed.errors import BedError
from loopback_bed.places import cache_of
from loopback_bed.progress import Progress


def main() -> int:
    """Find kubectl, print it."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = binaries.obtain(os.environ, cache_of(os.environ), Progress())
    except BedError as error:
        print(f"kubectl_path.py: {error}", file=sys.stderr)
        return 1
    print(found.directory / "kubectl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
