# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the load has seen: counted while it runs, every failure written down at once."""

from __future__ import annotations

import collections
import datetime
import json
import threading
import time
import typing as t

NEW = "new connections"
KEPT = "kept connection"
WATCH = "watch"
BALANCED = (NEW, KEPT, WATCH)
ERRORS_KEPT = 100  # of each client, in the summary; the log has them all


class Away:
    """How long an endpoint did not answer: from the start of the first request that failed to that of the next that did not."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.times = 0
        self._since: float | None = None

    def note(self, started: float, failed: bool) -> None:
        """Take in a request that was started at that time of the clock."""
        if failed and self._since is None:
            self._since = started
            self.times += 1
        elif not failed and self._since is not None:
            self.seconds += started - self._since
            self._since = None

    def seconds_until(self, now: float) -> float:
        """Return the seconds away, with those of an absence that has not ended."""
        return self.seconds + (now - self._since if self._since is not None else 0.0)


class Tally:
    """Counts per client; may be used by many threads.

    :param balanced: the clients that go through the balancer. Of all others it is told how long they were not answered.
    """

    def __init__(self, log: t.TextIO, clock: t.Callable[[], float] = time.monotonic, balanced: t.Sequence[str] = BALANCED) -> None:
        self._log = log
        self._clock = clock
        self._balanced = balanced
        self._lock = threading.Lock()
        self._counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._errors: dict[str, list[dict[str, t.Any]]] = collections.defaultdict(list)
        self._slowest: dict[str, float] = collections.defaultdict(float)
        self._away: dict[str, Away] = collections.defaultdict(Away)
        self._heard: float | None = None
        self._gap = 0.0
        self._began = clock()

    def begin(self) -> None:
        """Let the time of the load begin now."""
        with self._lock:
            self._began = self._clock()

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock()

    def request(self, client: str, started: float, error: str = "") -> None:
        """Count a request that has ended now, and write it down where it failed."""
        with self._lock:
            self._counts[client]["requests"] += 1
            seconds = self._clock() - started
            self._slowest[client] = max(self._slowest[client], seconds)
            if client not in self._balanced:
                self._away[client].note(started, bool(error))
            if error:
                self._counts[client]["failed"] += 1
                self._failed(client, seconds, error)

    def retry(self, client: str, why: str) -> None:
        """Count a retry, which is no request of its own, and write it down."""
        with self._lock:
            self._counts[client]["retries"] += 1
            self._write(client, "retried", why)

    def count(self, client: str, what: str) -> None:
        """Count something else."""
        with self._lock:
            self._counts[client][what] += 1

    def event(self) -> None:
        """Count an event of the watch."""
        with self._lock:
            now = self._clock()
            self._counts[WATCH]["events"] += 1
            if self._heard is not None:
                self._gap = max(self._gap, now - self._heard)
            self._heard = now

    def summary(self) -> dict[str, t.Any]:
        """Return everything as one object that can be written as JSON."""
        with self._lock:
            now = self._clock()
            seconds = now - self._began
            gap = self._gap if self._heard is None else max(self._gap, now - self._heard)
            clients = {name: self._client(name) for name in self._balanced}
            clients[WATCH]["longest_gap_seconds"] = round(gap, 2)
            direct = {name: {**self._client(name), "times_away": away.times, "seconds_away": round(away.seconds_until(now), 1)}
                      for name, away in sorted(self._away.items())}
            return {
                "seconds": round(seconds, 1),
                "new_connections_per_second": round(clients[NEW]["requests"] / seconds, 1) if seconds else 0.0,
                "requests_total": sum(client["requests"] for client in clients.values()),
                "requests_failed": sum(client["failed"] for client in clients.values()),
                "retries": sum(client["retries"] for client in clients.values()),
                "clients": clients,
                "direct": direct,
            }

    def _client(self, name: str) -> dict[str, t.Any]:
        return {"requests": 0, "failed": 0, "retries": 0, **self._counts[name], "slowest_seconds": round(self._slowest[name], 2),
                "errors": list(self._errors[name])}

    def _failed(self, client: str, seconds: float, why: str) -> None:
        """Write down a failure: when it ended, and how many seconds after its start."""
        entry = {"time": self._write(client, "failed", why), "seconds": round(seconds, 2), "why": why}
        if len(self._errors[client]) < ERRORS_KEPT:
            self._errors[client].append(entry)

    def _write(self, client: str, what: str, why: str) -> str:
        time_now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        self._log.write(json.dumps({"time": time_now, "client": client, "what": what, "why": why}) + "\n")
        self._log.flush()
        return time_now
