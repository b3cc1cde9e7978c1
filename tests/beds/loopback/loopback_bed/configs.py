# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The supervisor's and the balancer's configuration, from templates."""

from __future__ import annotations

import typing as t

import jinja2

from loopback_bed import topology
from loopback_bed.places import FOLDER, Bed
from loopback_bed.processes import Program

# Longer than any graceful stop (an API server's default is 60 s), so that a stop is never a kill; modules wait 120 s.
STOP_SECONDS = 90


def _render(template: str, **values: t.Any) -> str:
    loader = jinja2.FileSystemLoader(FOLDER / "loopback_bed" / "templates")
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                     keep_trailing_newline=True, autoescape=False)
    return environment.get_template(template).render(**values)


def supervisor(bed: Bed, programs: t.Sequence[Program]) -> str:
    """Return supervisord.conf."""
    return _render("supervisord.conf.j2", bed=bed, programs=programs, stop_seconds=STOP_SECONDS)


def balancer(bed: Bed) -> str:
    """Return haproxy.cfg."""
    return _render("haproxy.cfg.j2", socket=bed.balancer_socket, address=topology.BALANCER_ADDRESS, port=topology.APISERVER_PORT,
                   servers=topology.hosts_of(topology.APISERVER))
