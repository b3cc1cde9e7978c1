#!/usr/bin/env bash
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# unit_oldest.sh TESTS ...: unit tests of node-side code on Python 3.9, the oldest that nodes may have. VENV is the main environment.
set -euo pipefail

if ! python=$(python3 tests/tools/find_python.py 3.9); then
    exec tests/tools/left_out.sh unit-oldest "no Python 3.9 on this machine; node-side code was not tried on it"
fi
oldest=$("$python" tests/tools/workspace.py make-venv tests/requirements/oldest.txt)
# ansible-core cannot be installed for a Python this old, but the part of it that runs on nodes works there.
ansible=$(mktemp -d)
trap 'rm -r "$ansible"' EXIT
ln -s "$("$VENV/bin/python" -c 'import ansible; print(ansible.__path__[0])')" "$ansible/ansible"
PYTHONPATH="$ansible:$PYTHONPATH" "$oldest/bin/python" -m pytest "$@"
