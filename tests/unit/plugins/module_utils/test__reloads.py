# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often programs of a node have read their CA again, as their metrics tell it."""

from __future__ import annotations

import contextlib
import http.server
import threading

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.reload import Program
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import reloads

# As kube-proxy v1.37 shows them; the counter is absent until it has looked at the file for the first time.
BEFORE = "# TYPE rest_client_transport_cache_entries gauge\nrest_client_transport_cache_entries 1\n"
AFTER = f"""{BEFORE}# TYPE rest_client_transport_ca_reload_total counter
rest_client_transport_ca_reload_total{{reason="unchanged",result="success"}} 7
rest_client_transport_ca_reload_total{{reason="updated",result="success"}} 2
rest_client_transport_ca_reload_total{{reason="read_error",result="failure"}} 1
"""


@contextlib.contextmanager
def metrics(monkeypatch, text):
    """Serve the metrics of a program that the table knows."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_given):
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    monkeypatch.setattr(reloads, "PROGRAMS", {"kube-proxy": Program((1, 36), 360, server.server_port)})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("text", "count"), [(BEFORE, 0), (AFTER, 2)])
def test_changes_that_were_taken_over_are_counted(monkeypatch, text, count):
    with metrics(monkeypatch, text):
        assert reloads.counted() == {"kube-proxy": count}


def test_a_program_that_does_not_answer_is_left_out(monkeypatch):
    with metrics(monkeypatch, BEFORE):
        pass
    assert reloads.counted() == {}
