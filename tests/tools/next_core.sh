#!/usr/bin/env bash
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# next_core.sh STEP ...: run make targets with the current stable ansible-core, which needs a newer Python than Debian 12's.
set -euo pipefail

if ! python=$(python3 tests/tools/find_python.py 3.14 3.13 3.12); then
    exec tests/tools/left_out.sh next-core "no Python 3.12 or later on this machine; only ansible-core 2.19 was tried"
fi
exec make PYTHON="$python" "$@"
