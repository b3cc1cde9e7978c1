#!/usr/bin/env bash
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# unit_oldest.sh TESTS ...: unit tests of node-side code in the environment that OLDEST names. VENV is the main environment.
set -euo pipefail

# ansible-core cannot be installed for a Python this old, but the part of it that runs on nodes works there.
ansible=$(mktemp -d)
trap 'rm -r "$ansible"' EXIT
ln -s "$("$VENV/bin/python" -c 'import ansible; print(ansible.__path__[0])')" "$ansible/ansible"
PYTHONPATH="$ansible:$PYTHONPATH" "$OLDEST/bin/python" -m pytest "$@"
