#!/usr/bin/env bash
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# need_programs.sh PROGRAM=PACKAGE ... : see that the programs are there. As root on Debian a missing one is installed;
# anyone else is told what to run.
set -euo pipefail

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
find_missing() {
    missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
}

find_missing "$@"
[[ ${#missing[@]} -gt 0 ]] || exit 0

install="apt-get install --yes --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "Missing on this machine: ${missing[*]} (Debian's package names). Install them and run this again." >&2
    exit 1
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "Missing on this machine: ${missing[*]}. Run this first: sudo apt-get update && sudo $install" >&2
    exit 1
fi
# Two steps that run side by side may miss the same package.
exec 9>/var/lock/rekey.kubernetes-packages
flock 9
find_missing "$@"
[[ ${#missing[@]} -gt 0 ]] || exit 0
echo "Installing Debian's packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Package lists may be absent (a new machine) or too old to match the archive: then they are fetched, and it is tried once more.
$install >/dev/null 2>&1 || { apt-get update >/dev/null && $install >/dev/null; }
