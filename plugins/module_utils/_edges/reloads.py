# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Programs on a node that count in their metrics how often they have read a changed CA."""

from __future__ import annotations

import http.client
import re

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import PROGRAMS

TIMEOUT_SECONDS = 2
# client-go's counter, absent before the first look at the file (component-base/metrics/prometheus/restclient/metrics.go).
_TAKEN_OVER = re.compile(rb'^rest_client_transport_ca_reload_total\{reason="updated",result="success"\} (\d+)', re.MULTILINE)


def counted() -> dict[str, int]:
    """Return program → how often it has taken a changed CA over since its start; those that cannot be asked are left out."""
    found = {}
    for name, program in PROGRAMS.items():
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            if answer.status == http.client.OK:
                found[name] = sum(map(int, _TAKEN_OVER.findall(answer.read())))
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return found
