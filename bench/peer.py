# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The peer's way to the same leaves: a loop over three modules of community.crypto, which this collection's own tools do not install."""

from __future__ import annotations

import typing as t

Task = dict[str, t.Any]
TASKS = 3


def playbook() -> list[dict[str, t.Any]]:
    """Return the playbook. Variables: ``bench_folder`` (holds ca.crt and ca.key, takes the leaves), ``bench_count``."""
    leaf = "{{ bench_folder }}/{{ bench_name }}"
    tasks = [
        _loop("Make the keys", "openssl_privatekey", path=f"{leaf}.key", type="ECC", curve="secp256r1", mode="0600"),
        _loop("Make the requests", "openssl_csr", path=f"{leaf}.csr", privatekey_path=f"{leaf}.key", mode="0644",
              common_name="{{ bench_name }}", organization_name="bench",
              subject_alt_name=["DNS:{{ bench_name }}.example.com", "IP:192.0.2.1"],
              basic_constraints=["CA:FALSE"], basic_constraints_critical=True,
              key_usage=["digitalSignature"], key_usage_critical=True, extended_key_usage=["serverAuth", "clientAuth"]),
        _loop("Sign them", "x509_certificate", path=f"{leaf}.crt", csr_path=f"{leaf}.csr", mode="0644", provider="ownca",
              ownca_path="{{ bench_folder }}/ca.crt", ownca_privatekey_path="{{ bench_folder }}/ca.key", ownca_not_after="+365d"),
    ]
    return [{"name": "Keep the leaves one by one", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def _loop(name: str, module: str, **options: t.Any) -> Task:
    return {
        "name": name,
        f"community.crypto.{module}": options,
        "loop": "{{ range(bench_count) | map('string') | map('regex_replace', '^', 'leaf-') }}",
        "loop_control": {"loop_var": "bench_name"},
    }
