# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where binaries come from, without the internet and without Go."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from loopback_bed import archives, binaries, gobuild, versions
from loopback_bed.errors import BedError
from loopback_bed.progress import Progress
from loopback_bed.versions import DEFAULT, Version


def _released(name: str, content: bytes, checksum_of: bytes) -> archives.Fetch:
    pages = {f"{name}": content, f"{name}.sha256": hashlib.sha256(checksum_of).hexdigest().encode() + b"\n"}
    return lambda url: pages[url.rsplit("/", maxsplit=1)[1]]


def _etcd_release(checksum_of: bytes | None = None) -> archives.Fetch:
    name = f"etcd-v3.7.3-linux-{archives.architecture()}"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"{name}/etcd")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"ELF"))
    content = packed.getvalue()
    sums = f"{'0' * 64}  etcd-v3.7.3-darwin-amd64.zip\n{hashlib.sha256(checksum_of or content).hexdigest()}  {name}.tar.gz\n"
    return lambda url: sums.encode() if url.endswith("SHA256SUMS") else content


def test_a_released_binary_with_the_right_checksum_is_taken() -> None:
    assert archives.kubernetes_binary("kubectl", DEFAULT, _released("kubectl", b"ELF", b"ELF")) == b"ELF"
    assert archives.etcd_binary(DEFAULT, _etcd_release()) == b"ELF"


def test_a_released_binary_with_another_checksum_is_refused() -> None:
    with pytest.raises(BedError, match="checksum"):
        archives.kubernetes_binary("kubectl", DEFAULT, _released("kubectl", b"ELF", b"else"))
    with pytest.raises(BedError, match="checksum"):
        archives.etcd_binary(DEFAULT, _etcd_release(b"else"))


def _stand_ins(directory: Path, version: str) -> Path:
    for name in binaries.NAMES:
        (directory / name).write_text(f"#!/bin/sh\necho Kubernetes {version}\n")
        (directory / name).chmod(0o755)
    return directory


def test_the_user_s_directory_comes_first_and_tells_its_version(tmp_path: Path) -> None:
    named = _stand_ins(tmp_path, "v1.36.3")
    found = binaries.obtain({"KUBERNETES_BIN_DIR": str(named)}, tmp_path / "cache", Progress())
    assert found == binaries.Binaries(named, Version(1, 36, 3))


def test_the_user_s_directory_must_be_complete(tmp_path: Path) -> None:
    (_stand_ins(tmp_path, "v1.36.3") / "etcd").unlink()
    with pytest.raises(BedError, match="has no etcd"):
        binaries.named_by_user(tmp_path, "")


def test_a_bed_that_needs_more_of_kubernetes_asks_for_it_by_name(tmp_path: Path) -> None:
    with pytest.raises(BedError, match="has no kubeadm, kubelet, kube-proxy"):
        binaries.named_by_user(_stand_ins(tmp_path, "v1.36.3"), "", (*binaries.NAMES, *versions.NODE_COMMANDS))
    (tmp_path / "kube-apiserver").unlink()
    with pytest.raises(BedError, match="has no kube-apiserver"):
        binaries.named_by_user(tmp_path, "", ("kubectl",))


def test_the_user_s_directory_must_be_of_the_version_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BedError, match=r"holds Kubernetes v1\.36\.3, and KUBERNETES_VERSION asks for 1\.37"):
        binaries.named_by_user(_stand_ins(tmp_path, "v1.36.3"), "1.37")


def test_the_cache_is_used_before_anything_is_fetched(tmp_path: Path) -> None:
    kept = binaries.released_dir(tmp_path, Version(1, 36, 2))
    kept.mkdir(parents=True)
    _stand_ins(kept, "v1.36.2")
    assert binaries.obtain({"KUBERNETES_VERSION": "1.36"}, tmp_path, Progress()) == binaries.Binaries(kept, Version(1, 36, 2))


def test_another_go_another_version_or_a_release_has_another_place_in_the_cache() -> None:
    cache = Path("/cache")
    kept = [binaries.built_dir(cache, DEFAULT, "go1.26.8"), binaries.built_dir(cache, DEFAULT, "go1.27.0"),
            binaries.built_dir(cache, Version(1, 36, 2), "go1.26.8"), binaries.released_dir(cache, DEFAULT)]
    assert len(set(kept)) == len(kept)
    assert all(path.parent == cache / "bin" for path in kept)
    assert kept[0].name.startswith("v1.37.2-")


@pytest.mark.parametrize(("found", "said"), [("", "no go command"), ("go1.25.9", "is go1.25.9"), ("devel", "no go command")])
def test_a_go_that_will_not_do_is_told(found: str, said: str) -> None:
    with pytest.raises(BedError, match=f"needs Go 1.26 or later.*{said}"):
        gobuild.check_go(found)


def test_an_unfinished_binary_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "bin" / "etcd"
    with pytest.raises(KeyboardInterrupt), binaries.finished_or_absent(target) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(target.parent.iterdir()) == []
