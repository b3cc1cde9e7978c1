# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.rekey.kubernetes.plugins.module_utils._edges import batch_files
from ansible_collections.rekey.kubernetes.plugins.modules import pki_cert
from ansible_collections.rekey.kubernetes.tests.unit.plugins import module_bench
from ansible_collections.rekey.kubernetes.tests.unit.plugins import openssl_certificates as made
from ansible_collections.rekey.kubernetes.tests.unit.plugins.module_bench import is_pair, printed, verify

NAMES = ("apiserver", "admin")


class Site(module_bench.Bench):
    """An authority host and a node, as two directories: what one has the other does not see."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture) -> None:
        super().__init__(pki_cert, "certificates", root, capsys)
        (root / "node").mkdir()
        self.use("ca")

    def use(self, name: str) -> None:
        """Let another generation sign."""
        self.signer = {"name": "kubernetes", **self.ca(name)}
        self.known = {"name": "kubernetes", "certificate_content": Path(self.signer["certificate_path"]).read_text()}

    def item(self, name="apiserver", **changes):
        base = str(self.root / "node" / name)
        return {"name": name, "host": "one", "authority": "kubernetes", "certificate_path": f"{base}.crt", "key_path": f"{base}.key",
                "common_name": name, "usages": ["server_auth"], "sans": {"dns": [f"{name}.example"]}, "validity": "9d",
                "renew_before": "1d", **changes}

    def request(self, *items, **options):
        return self.run(list(items), action="request", authorities=[self.known], **options)

    def sign(self, items, requested, **options):
        asked = [{**item, "csr_content": result.get("csr")} for item, result in zip(items, requested["results"])]
        return self.run(asked, action="sign", authorities=[self.signer], **options)

    def delivery(self, items, signed):
        return [{**item, "certificate_content": result.get("certificate_content")} for item, result in zip(items, signed["results"])]

    def install(self, *items, **options):
        return self.run(list(items), action="install", **options)

    def all_three(self, *items):
        return self.install(*self.delivery(items, self.sign(items, self.request(*items))))

    def node(self) -> list[str]:
        return sorted(path.name for path in (self.root / "node").iterdir())


@pytest.fixture
def site(tmp_path, capsys) -> Site:
    return Site(tmp_path, capsys)


def test_keys_are_born_on_the_node_and_never_leave_it(site):
    items = [site.item(name) for name in NAMES]
    foretold = site.request(*items, check=True)
    assert site.node() == []
    assert [result["needed"] for result in foretold["results"]] == [True, True]
    assert all("csr" not in result for result in foretold["results"])

    requested = site.request(*items, diff=True)
    assert module_bench.reasons(requested) == module_bench.reasons(foretold) == [["certificate and key missing"]] * 2
    assert requested["changed"] is True
    assert site.node() == ["admin.key.pending", "apiserver.key.pending"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (site.root / "node").iterdir()} == {0o600}
    for item, result in zip(items, requested["results"]):
        assert made.openssl(["req", "-verify", "-noout", "-pubkey"], result["csr"]) == made.openssl(
            ["pkey", "-in", f"{item['key_path']}.pending", "-pubout"])

    before = site.snapshot()
    signed = site.sign(items, requested, diff=True)
    assert (signed["changed"], site.snapshot()) == (False, before)
    assert [result["signed"] for result in signed["results"]] == [True, True]

    foretold = site.install(*site.delivery(items, signed), check=True)
    assert site.snapshot() == before
    installed = site.install(*site.delivery(items, signed), diff=True)
    assert module_bench.reasons(installed) == module_bench.reasons(foretold) == [["new key and certificate"]] * 2
    assert site.node() == ["admin.crt", "admin.key", "apiserver.crt", "apiserver.key"]
    for item in items:
        verify(item["certificate_path"], site.signer["certificate_path"])
        assert is_pair(item["certificate_path"], item["key_path"])
    site.no_key_was_said()


def test_nothing_is_done_twice(site):
    items = [site.item(name) for name in NAMES]
    first = site.request(*items)
    before = site.snapshot()
    again = site.request(*items)
    assert (again["changed"], site.snapshot()) == (False, before)
    assert [result["needed"] for result in again["results"]] == [True, True]
    assert [made.openssl(["req", "-noout", "-pubkey"], result["csr"]) for result in again["results"]] == [
        made.openssl(["req", "-noout", "-pubkey"], result["csr"]) for result in first["results"]]
    delivery = site.delivery(items, site.sign(items, again))
    assert site.install(*delivery)["changed"] is True
    before = site.snapshot()
    for check in (False, True):
        assert site.install(*delivery, check=check)["changed"] is False
        done = site.request(*items, check=check)
        assert done["changed"] is False
        assert [(result["needed"], result["reasons"], "csr" in result) for result in done["results"]] == [(False, [], False)] * 2
    assert site.sign(items, done)["results"][0]["signed"] is False
    assert site.snapshot() == before


@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----\nMIG", "rsa"])
def test_a_pending_key_that_does_not_serve_is_replaced(site, content):
    item = site.item()
    Path(f"{item['key_path']}.pending").write_text(made.make_pair("/CN=a", key="rsa")[1] if content == "rsa" else content)
    assert site.request(item)["changed"] is True
    assert site.all_three(item)["changed"] is True
    assert is_pair(item["certificate_path"], item["key_path"])


def test_a_key_is_kept_through_all_three_calls(site):
    item = site.item(rotate_key=False)
    site.all_three(item)
    key = Path(item["key_path"]).read_bytes()
    site.use("next")
    requested = site.request(item)
    assert (requested["changed"], requested["results"][0]["needed"]) == (False, True)
    assert requested["results"][0]["reasons"] == ["issued by CN=ca, wanted CN=next"]
    installed = site.install(*site.delivery([item], site.sign([item], requested)))
    assert installed["results"][0]["reasons"] == ["new certificate"]
    assert Path(item["key_path"]).read_bytes() == key
    verify(item["certificate_path"], site.signer["certificate_path"])


def test_a_half_installed_pair_is_finished(site, monkeypatch):
    item = site.item()
    site.all_three(item)
    site.use("next")
    requested = site.request(item)
    delivery = site.delivery([item], site.sign([item], requested))
    renames = []

    def one_rename(source, target):
        if renames:
            raise KeyboardInterrupt
        renames.append(target)
        real(source, target)

    real = os.rename
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(batch_files.os, "rename", one_rename)
        try:
            site.install(*delivery)
        finally:
            site.capsys.readouterr()
    assert renames == [item["key_path"]]
    assert not is_pair(item["certificate_path"], item["key_path"])
    assert site.install(*delivery)["results"][0]["reasons"] == ["new certificate"]
    assert is_pair(item["certificate_path"], item["key_path"])
    assert site.install(*delivery)["changed"] is False
    assert site.node() == ["apiserver.crt", "apiserver.key"]


def test_after_a_half_installation_a_new_request_finishes_too(site):
    item = site.item()
    site.request(item)
    os.rename(f"{item['key_path']}.pending", item["key_path"])
    assert site.request(item)["results"][0]["reasons"] == ["certificate missing"]
    site.all_three(item)
    assert is_pair(item["certificate_path"], item["key_path"])
    assert site.request(item)["changed"] is False


def test_what_is_signed_is_what_the_item_says(site):
    item = site.item(organizations=["acme"])
    key = made.make_pair("/CN=apiserver")[1]
    (site.root / "own.key").write_text(key)
    request = made.openssl(["req", "-new", "-key", str(site.root / "own.key"), "-subj", "/O=acme/CN=apiserver"])
    (result,) = site.run([{**item, "csr_content": request}], action="sign", authorities=[site.signer])["results"]
    text = made.openssl(["x509", "-noout", "-text"], result["certificate_content"])
    assert "DNS:apiserver.example" in text
    assert "TLS Web Server Authentication" in text


def test_a_request_for_more_than_the_item_is_refused(site):
    item = site.item()
    requested = site.request({**item, "sans": {"dns": ["apiserver.example", "evil.example"]}})
    site.refuses([{**item, "csr_content": requested["results"][0]["csr"]}], "one: apiserver: ", "SAN evil.example",
                 action="sign", authorities=[site.signer])


def test_one_batch_signs_for_all_hosts(site):
    items = [site.item(host=host) for host in ("one", "two")]
    requested = {"results": [site.request(items[0])["results"][0], {}]}
    signed = site.sign(items, requested)
    assert [(result["host"], result["signed"]) for result in signed["results"]] == [("one", True), ("two", False)]
    assert "certificate_content" not in site.sign(items, requested, check=True)["results"][0]


def test_the_certificate_of_another_key_is_refused(site):
    item, other = site.item(), site.item("other", common_name="apiserver", sans={"dns": ["apiserver.example"]})
    requested = site.request(item, other)
    delivery = site.delivery([item, other], site.sign([item, other], requested))
    swapped = [{**item, "certificate_content": delivery[1]["certificate_content"]}]
    site.refuses(swapped, "one: apiserver: ", "belongs neither to", "apiserver.key.pending", "request, sign and install again",
                 action="install")


def test_the_certificate_of_another_item_or_authority_is_refused(site):
    items = [site.item(name) for name in NAMES]
    delivery = site.delivery(items, site.sign(items, site.request(*items)))
    swapped = [{**items[0], "certificate_content": delivery[1]["certificate_content"]}]
    site.refuses(swapped, "one: apiserver: ", "subject is CN=admin, wanted CN=apiserver", action="install")
    site.use("next")
    site.refuses(delivery, "issued by CN=ca, wanted CN=next", action="install", authorities=[site.known])


def test_installing_gives_mode_and_mends_it(site):
    item = site.item(key_mode="0640")
    site.all_three(item)
    assert stat.S_IMODE(Path(item["key_path"]).stat().st_mode) == 0o640
    delivery = [{**item, "key_mode": "0600", "certificate_content": Path(item["certificate_path"]).read_text()}]
    (result,) = site.install(*delivery)["results"]
    assert result["reasons"] == [f"mode of {item['key_path']} is 0640, not 0600"]
    assert stat.S_IMODE(Path(item["key_path"]).stat().st_mode) == 0o600
    assert site.request({**item, "key_mode": "0640"})["results"][0]["reasons"] == [f"mode of {item['key_path']} is 0600, not 0640"]
    assert stat.S_IMODE(Path(item["key_path"]).stat().st_mode) == 0o640


def test_a_chain_travels_with_the_certificate(site):
    site.signer["chain_path"] = site.signer["certificate_path"]
    site.known["chain_content"] = site.known["certificate_content"]
    item = site.item()
    site.all_three(item)
    assert Path(item["certificate_path"]).read_text().count("BEGIN CERTIFICATE") == 2
    assert site.request(item)["changed"] is False
    assert "CN = apiserver" in printed(item["certificate_path"], "-subject")
