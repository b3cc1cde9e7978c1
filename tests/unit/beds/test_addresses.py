# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses that are taken are named, with who has them."""

from __future__ import annotations

import os
import socket

import pytest

from loopback_bed import addresses
from loopback_bed.errors import BedError
from loopback_bed.topology import Listener

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 010A007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 010A007F:192B 0100007F:A001 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
   3: 020A007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0 100 0 0 10 0
"""


def test_listeners_of_an_address_are_its_own_and_the_wildcard_s() -> None:
    assert addresses.listening_inodes(TABLE, "127.0.10.1", 6443) == {"111", "222"}
    assert addresses.listening_inodes(TABLE, "127.0.10.3", 6443) == {"222"}
    assert addresses.listening_inodes(TABLE, "127.0.10.1", 6444) == set()


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BedError) as caught:
            addresses.check_free([Listener("127.0.0.1", port, "n1-etcd")])
    said = str(caught.value)
    assert f"127.0.0.1:{port} (for n1-etcd): in use by" in said
    assert f"(process {os.getpid()})" in said


def test_an_address_that_this_machine_does_not_have_is_named() -> None:
    with pytest.raises(BedError, match=r"192\.0\.2\.1:6443 \(for balancer\)"):
        addresses.check_free([Listener("192.0.2.1", 6443, "balancer")])


def test_a_port_that_was_given_back_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    addresses.check_free([Listener("127.0.0.1", port, "n1-etcd")])
    with socket.create_server(("127.0.0.1", port)) as again:
        assert again.getsockname()[1] == port
