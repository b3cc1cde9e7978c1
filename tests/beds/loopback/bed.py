# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loopback bed: a highly available control plane as plain processes on 127.0.10.x, behind a balancer. See README.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import typing as t

import balancer_up
from loopback_bed import binaries, lifecycle
from loopback_bed.errors import BedError
from loopback_bed.places import bed_of, cache_of
from loopback_bed.progress import Progress


def _up(_arguments: argparse.Namespace) -> int:
    lifecycle.start(bed_of(os.environ), os.environ, Progress(), provision=True)
    return 0


def _start(_arguments: argparse.Namespace) -> int:
    lifecycle.start(bed_of(os.environ), os.environ, Progress(), provision=False)
    return 0


def _status(_arguments: argparse.Namespace) -> int:
    return 0 if lifecycle.status(bed_of(os.environ)) else 1


def _down(_arguments: argparse.Namespace) -> int:
    lifecycle.end(bed_of(os.environ), Progress())
    return 0


def _binaries(_arguments: argparse.Namespace) -> int:
    progress = Progress()
    found = binaries.obtain(os.environ, cache_of(os.environ), progress)
    progress.say(f"Kubernetes {found.version}: {found.directory}")
    return 0


def _balancer_up(arguments: argparse.Namespace) -> int:
    return balancer_up.main([str(bed_of(os.environ).balancer_socket), arguments.host])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bed.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""environment:
  KUBERNETES_VERSION  1.35, 1.36, 1.37 or a full release; default v1.37.2
  KUBERNETES_BIN_DIR  take the binaries from this directory
  REKEY_BED_DIR       where the bed lives; default ~/.cache/rekey.kubernetes/beds/loopback
  REKEY_CACHE         where binaries are kept; default ~/.cache/rekey.kubernetes""")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    known: tuple[tuple[str, str, t.Callable[[argparse.Namespace], int]], ...] = (
        ("up", "provision and start the bed, and wait until it is ready", _up),
        ("start", "start a bed that is provisioned, and wait until it is ready", _start),
        ("status", "show processes and readiness; exit 1 unless all are ready", _status),
        ("down", "stop the bed and remove it", _down),
        ("binaries", "fetch or build the binaries only", _binaries),
        ("balancer-up", "exit 0 when the balancer uses this host's API server", _balancer_up),
    )
    for name, purpose, function in known:
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.set_defaults(function=function)
        if name == "balancer-up":
            command.add_argument("host", help="n1, n2 or n3")
    return parser


def _terminated(_number: int, _frame: object) -> t.NoReturn:
    # As an exception, so that what is half done is tidied up; the status is the shell's for SIGTERM.
    raise SystemExit(128 + signal.SIGTERM)


def main() -> int:
    """Run one command and return its exit status."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return int(arguments.function(arguments))
    except BedError as exc:
        print(f"bed: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bed: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
