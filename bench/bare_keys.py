# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``bare_keys.py COUNT``: make RSA-2048 keys on all cores and nothing else; what no program that makes keys can go below."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.asymmetric import rsa


def main(count: int) -> None:
    """Make the keys and forget them."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        keys = list(pool.map(lambda _number: rsa.generate_private_key(public_exponent=65537, key_size=2048), range(count)))
    print(len(keys))


if __name__ == "__main__":
    main(int(sys.argv[1]))
