#!/usr/bin/env bash
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# with_oldest.sh STEP COMMAND ...: run a command with OLDEST naming an environment of Python 3.9 and the oldest cryptography, which is
# made first where it is missing. Without a Python 3.9 on the machine the step is left out.
set -euo pipefail

step=$1
shift
if ! python=$(python3 tests/tools/find_python.py 3.9); then
    exec tests/tools/left_out.sh "$step" "no Python 3.9 on this machine; node-side code was not tried on it"
fi
OLDEST=$("$python" tests/tools/workspace.py make-venv tests/requirements/oldest.txt)
export OLDEST
exec "$@"
