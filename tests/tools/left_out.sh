#!/usr/bin/env bash
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# left_out.sh STEP REASON: say loudly that a step does not run on this machine. Where CI runs, nothing may be left out.
set -euo pipefail

echo "#### LEFT OUT: $1: $2" | tee -a "${STEP_NOTES:-/dev/null}"
if [[ "${CI:-}" == true ]]; then
    echo "#### With CI=true that is a failure." >&2
    exit 1
fi
