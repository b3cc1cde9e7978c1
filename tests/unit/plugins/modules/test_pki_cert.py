# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.modules import pki_cert
from ansible_collections.rekey.kubernetes.tests.unit.plugins import module_bench
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_bench import is_pair, printed, verify


class Certificates(module_bench.Bench):
    def __init__(self, root: Path, capsys: pytest.CaptureFixture) -> None:
        super().__init__(pki_cert, "certificates", root, capsys)
        self.authorities = [{"name": "kubernetes", **self.ca()}]

    def item(self, name="apiserver", **changes):
        base = str(self.root / name)
        return {"name": name, "authority": "kubernetes", "certificate_path": f"{base}.crt", "key_path": f"{base}.key",
                "common_name": name, "usages": ["server_auth"], "sans": {"dns": ["api.example"], "ip": ["10.96.0.1"]},
                "validity": "9d", "renew_before": "1d", **changes}

    def issue(self, *items, **options):
        return self.run(list(items), authorities=self.authorities, **options)


@pytest.fixture
def bench(tmp_path, capsys) -> Certificates:
    return Certificates(tmp_path, capsys)


def test_many_are_issued_once_and_openssl_accepts_them(bench):
    items = [bench.item(), bench.item("admin", usages=["client_auth"], sans={}, organizations=["system:masters"]),
             bench.item("slow", key_type="rsa-2048", key_mode="0640", certificate_mode="0600")]
    done = bench.four_ways(items, authorities=bench.authorities)
    assert [result["name"] for result in done["results"]] == ["apiserver", "admin", "slow"]
    for item, result in zip(items, done["results"]):
        verify(item["certificate_path"], bench.authorities[0]["certificate_path"])
        assert is_pair(item["certificate_path"], item["key_path"])
        assert stat.S_IMODE(Path(item["key_path"]).stat().st_mode) == int(item.get("key_mode", "0600"), 8)
        assert stat.S_IMODE(Path(item["certificate_path"]).stat().st_mode) == int(item.get("certificate_mode", "0644"), 8)
        assert result["certificate"]["fingerprint_sha256"] == made.fingerprint(Path(item["certificate_path"]).read_text())
    assert "O = system:masters, CN = admin" in printed(items[1]["certificate_path"], "-subject")
    bench.no_key_was_said()


@pytest.mark.parametrize(("change", "reason"), [
    ({"common_name": "other"}, "subject is CN=apiserver, wanted CN=other"),
    ({"organizations": ["acme"]}, "subject is CN=apiserver, wanted CN=apiserver,O=acme"),
    ({"sans": {"dns": ["api.example"], "ip": ["10.96.0.1", "10.96.0.2"]}}, "SAN missing: 10.96.0.2"),
    ({"sans": {"dns": ["api.example"]}}, "SAN extra: 10.96.0.1"),
    ({"usages": ["server_auth", "client_auth"]}, "usages are server_auth, wanted client_auth, server_auth"),
    ({"key_type": "ecdsa-p384"}, "key is ecdsa-p256, wanted ecdsa-p384"),
    ({"validity": "20d", "renew_before": "10d"}, "expires in 8 d"),
])
def test_a_difference_is_issued_anew_with_its_reason(bench, change, reason):
    bench.issue(bench.item())
    old_key = Path(bench.item()["key_path"]).read_text()
    said = bench.issue(bench.item(**change))
    if reason.startswith("expires"):
        # openssl's CA lasts ten days, so the new leaf is cut, and is not issued again for its age alone.
        assert said["results"][0]["warnings"][0].startswith("ends with its CA on ")
        assert bench.issue(bench.item(**change))["changed"] is False
    assert said["results"][0]["reasons"] == [reason]
    verify(bench.item()["certificate_path"], bench.authorities[0]["certificate_path"])
    assert Path(bench.item()["key_path"]).read_text() != old_key


def test_another_generation_is_a_reason_and_the_key_may_stay(bench):
    bench.issue(bench.item())
    key = Path(bench.item()["key_path"]).read_bytes()
    bench.authorities = [{"name": "kubernetes", **bench.ca("next")}]
    said = bench.four_ways([bench.item(rotate_key=False)], authorities=bench.authorities)
    assert said["results"][0]["reasons"] == ["issued by CN=ca, wanted CN=next"]
    assert Path(bench.item()["key_path"]).read_bytes() == key
    verify(bench.item()["certificate_path"], bench.authorities[0]["certificate_path"])


def test_what_is_no_pair_is_mended(bench):
    bench.issue(bench.item(), bench.item("other"))
    Path(bench.item()["key_path"]).write_bytes(Path(bench.item("other")["key_path"]).read_bytes())
    said = bench.four_ways([bench.item()], authorities=bench.authorities)
    assert said["results"][0]["reasons"] == ["key does not match the certificate"]
    assert is_pair(bench.item()["certificate_path"], bench.item()["key_path"])


def test_modes_are_mended_without_a_new_certificate(bench):
    bench.issue(bench.item())
    item = bench.item()
    Path(item["key_path"]).chmod(0o644)
    Path(item["certificate_path"]).chmod(0o600)
    certificate = Path(item["certificate_path"]).read_bytes()
    said = bench.four_ways([item], authorities=bench.authorities)
    assert said["results"][0]["reasons"] == [f"mode of {item['key_path']} is 0644, not 0600",
                                             f"mode of {item['certificate_path']} is 0600, not 0644"]
    assert Path(item["certificate_path"]).read_bytes() == certificate


def test_a_leaf_never_outlives_its_ca_and_is_not_issued_in_every_run(bench):
    item = bench.item(validity="365d", renew_before="30d")
    first = bench.issue(item, bench.item("other", validity="365d", renew_before="30d"))
    # Ansible says a warning once a process, so what the module warned of is looked up in its results.
    assert all(result["warnings"][0].startswith("ends with its CA on ") for result in first["results"])
    assert printed(item["certificate_path"], "-enddate") == printed(bench.authorities[0]["certificate_path"], "-enddate")
    again = bench.issue(item)
    assert again["changed"] is False
    assert again["results"][0]["warnings"][0].endswith("together with its CA: give the authority a new generation first")
    assert again["results"][0]["warnings"][0].startswith("expires in ")


def test_the_key_of_the_authority_is_read_only_when_something_is_signed(bench):
    bench.issue(bench.item())
    Path(bench.authorities[0]["key_path"]).unlink()
    assert bench.issue(bench.item())["changed"] is False
    bench.refuses([bench.item(), bench.item("other")], "authority kubernetes: ", "ca.key: no such file", authorities=bench.authorities)


def test_a_chain_follows_the_certificate(bench):
    root = bench.ca("root")
    made.openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(bench.root / "middle.key")])
    middle = {"certificate_path": str(bench.root / "middle.crt"), "key_path": str(bench.root / "middle.key")}
    made.openssl(["req", "-x509", "-new", "-key", middle["key_path"], "-subj", "/CN=middle", "-CA", root["certificate_path"], "-CAkey",
                  root["key_path"], "-days", "10", "-addext", "keyUsage=critical,keyCertSign", "-out", middle["certificate_path"]])
    bench.authorities = [{"name": "kubernetes", **middle, "chain_path": middle["certificate_path"]}]
    item = bench.item()
    bench.four_ways([item], authorities=bench.authorities)
    verify(item["certificate_path"], root["certificate_path"], "-untrusted", item["certificate_path"])
    leaf = Path(item["certificate_path"]).read_text().partition("-----END CERTIFICATE-----\n")
    Path(item["certificate_path"]).write_text(leaf[0] + leaf[1])
    assert bench.issue(item)["results"][0]["reasons"] == ["chain differs from the authority's"]
    verify(item["certificate_path"], root["certificate_path"], "-untrusted", item["certificate_path"])


def test_a_diff_shows_public_facts_alone(bench):
    bench.issue(bench.item())
    bench.authorities = [{"name": "kubernetes", **bench.ca("next")}]
    for check in (True, False):
        (difference,) = bench.issue(bench.item(organizations=["acme"]), check=check, diff=True)["diff"]
        assert difference["before"]["issuer"] == "CN=ca"
        assert difference["after"] == {
            "common_name": "apiserver", "organizations": ["acme"], "sans": {"dns": ["api.example"], "ip": ["10.96.0.1"], "uri": []},
            "usages": ["server_auth"], "issuer": "CN=next", "key_type": "ecdsa-p256"}
    assert bench.issue(bench.item(organizations=["acme"]), diff=True)["diff"] == []
    bench.no_key_was_said()


def test_check_mode_foresees_what_earlier_tasks_would_have_made(bench):
    items = [bench.item(certificate_path=str(bench.root / "absent" / "a.crt"), key_path=str(bench.root / "absent" / "a.key"))]
    absent = [{"name": "kubernetes", "certificate_path": str(bench.root / "absent" / "ca.crt"), "key_path": str(bench.root / "ca.key")}]
    assert bench.run(items, check=True, authorities=absent)["results"][0]["reasons"] == ["certificate and key missing"]
    bench.refuses(items, "authority kubernetes: ", "absent/ca.crt: no such file", "pki_ca", check=[False], authorities=absent)
    bench.issue(bench.item())
    assert bench.run([bench.item()], check=True, authorities=absent)["results"][0]["reasons"] == ["authority kubernetes does not exist yet"]


def test_without_cryptography_the_usual_message_is_given(bench, monkeypatch):
    monkeypatch.setitem(pki_cert.require_cryptography.__globals__, "IMPORT_TRACEBACK", "Traceback: no cryptography")
    assert "cryptography >= 38" in bench.issue(bench.item())["msg"]


def test_a_too_old_cryptography_is_named(bench, monkeypatch):
    library = pki_cert.require_cryptography.__globals__["cryptography"]
    monkeypatch.setattr(library, "__version__", "3.4.8")
    assert "found 3.4.8" in bench.issue(bench.item())["msg"]
