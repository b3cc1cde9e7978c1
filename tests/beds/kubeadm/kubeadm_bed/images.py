# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node image (Debian with systemd, containerd, kubelet) and the cluster's images, made once from packages and static binaries."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tarfile
import typing as t
from pathlib import Path

from kubeadm_bed.commands import podman, run
from loopback_bed.errors import BedError
from loopback_bed.progress import Progress

FILES = Path(__file__).resolve().parent / "files"
RELEASE = "trixie"  # systemd 257: later ones do without cgroup version 1
PACKAGES = ("ca-certificates", "conntrack", "containernetworking-plugins", "curl", "dbus", "ethtool", "haproxy", "iproute2", "ipset",
            "iptables", "kmod", "netbase", "nftables", "openssh-server", "openssl", "procps", "python3", "python3-yaml", "runc", "socat",
            "systemd", "systemd-sysv")
# debootstrap trips over one of its virtual packages.
LATER_PACKAGES = ("python3-cryptography",)
NODE_BINARIES = ("containerd", "containerd-shim-runc-v2", "ctr", "kubeadm", "kubectl", "kubelet")
_COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_PROXY_TOOLS = ("nft", "conntrack", "ipset", "xtables-nft-multi")
# Without the names of protocols nft lists "6" where kube-proxy has added "tcp", and kube-proxy deletes what it does not recognize.
_PROXY_DATA = ("etc/protocols", "usr/lib/*/xtables/*.so")


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@contextlib.contextmanager
def one_at_a_time(cache: Path) -> t.Iterator[None]:
    """Let no two beds make what they share at the same time."""
    folder = cache / "kubeadm"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w", encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def root_file_system(cache: Path, progress: Progress) -> Path:
    """Return Debian's packages as a directory, made once.

    :raises BedError: when debootstrap fails.
    """
    target = cache / "kubeadm" / f"rootfs-{_key(RELEASE, *PACKAGES, *LATER_PACKAGES)}"
    if target.exists():
        return target
    progress.say(f"Making a root file system of Debian {RELEASE} (about 2 min)")
    draft = target.with_name(f".{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(draft), _mirror())
    shutil.copytree("/etc/apt/apt.conf.d", draft / "etc/apt/apt.conf.d", dirs_exist_ok=True)
    shutil.copy("/etc/resolv.conf", draft / "etc/resolv.conf")
    install = ("apt-get", "install", "-y", "--no-install-recommends", *LATER_PACKAGES)
    run("chroot", str(draft), "env", "DEBIAN_FRONTEND=noninteractive", *install)
    draft.rename(target)
    return target


def _mirror() -> str:
    """Return the mirror that this machine's apt uses."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        found = re.search(r"^(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(\S+)", text, flags=re.MULTILINE)
        if found:
            return found[1]
    raise BedError("apt has no source", "add one to /etc/apt/sources.list")


def node_image(root: Path, binaries: t.Mapping[str, Path], pause: str, progress: Progress) -> str:
    """Return the tag of the node image, made once for these packages and binaries."""
    contents = [(FILES / name).read_text(encoding="utf-8") for name in ("kubelet.service", "containerd.service", "containerd.toml")]
    tag = f"localhost/rekey-node:{_key(root.name, pause, *contents, *(str(binaries[name]) for name in NODE_BINARIES))}"
    if podman("image", "exists", tag, check=False).returncode == 0:
        return tag
    progress.say("Making the node image (about 1 min)")
    draft = root.parent / ".node"
    shutil.rmtree(draft, ignore_errors=True)
    run("cp", "-a", str(root), str(draft))
    for name in NODE_BINARIES:
        shutil.copy(binaries[name], draft / "usr/bin" / name)
    for name in ("kubelet.service", "containerd.service"):
        shutil.copy(FILES / name, draft / "etc/systemd/system" / name)
    (draft / "etc/containerd").mkdir(exist_ok=True)
    text = (FILES / "containerd.toml").read_text(encoding="utf-8")
    (draft / "etc/containerd/config.toml").write_text(re.sub(r'sandbox = ".*"', f'sandbox = "{pause}"', text), encoding="utf-8")
    run("chroot", str(draft), "systemctl", "enable", "containerd", "kubelet", "ssh")
    run("chroot", str(draft), "systemctl", "disable", "haproxy", "apt-daily.timer", "apt-daily-upgrade.timer", check=False)
    for path in (*(draft / "etc/ssh").glob("ssh_host_*"), draft / "etc/machine-id"):
        path.unlink(missing_ok=True)
    (draft / "etc/machine-id").touch()
    archive = root.parent / ".node.tar"
    run("tar", "-C", str(draft), "-cf", str(archive), ".")
    podman("import", "--change", 'CMD ["/sbin/init"]', str(archive), tag)
    shutil.rmtree(draft)
    archive.unlink()
    return tag


def cluster_images(names: t.Sequence[str], binaries: t.Mapping[str, Path], root: Path, progress: Progress) -> Path:
    """Return an archive of the images that kubeadm wants, made once.

    :param names: what ``kubeadm config images list`` prints.
    """
    key = _key(*names, *_PROXY_TOOLS, *_PROXY_DATA, "libraries, not links", *(str(path) for path in binaries.values()))
    archive = root.parent / f"images-{key}.tar"
    if archive.exists():
        return archive
    progress.say("Making the cluster's images (about 1 min)")
    for name in names:
        part = name.rpartition("/")[2].partition(":")[0]
        # The components' manifests name their command; these two rely on the image's.
        entry = f"/{part}" if part in ("coredns", "pause") else ""
        files = {entry or f"/usr/local/bin/{part}": binaries[part]}
        if part == "kube-proxy":
            files |= {path: root / path.lstrip("/") for path in _proxy_files(root)}
        _image(name, files, entry, root.parent / ".image.tar")
    draft = archive.with_name(f".{archive.name}")
    podman("save", "--multi-image-archive", "-o", str(draft), *names)
    draft.rename(archive)
    return archive


def workload_image(binary: Path, cache: Path) -> tuple[str, Path]:
    """Return the name of the sample workloads' image and its archive, made once for this program."""
    key = _key(str(binary))
    name, archive = f"localhost/rekey-workload:{key}", cache / "kubeadm" / f"workload-{key}.tar"
    if not archive.exists():
        draft = archive.with_name(f".{archive.name}.{os.getpid()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        _image(name, {"/workload": binary}, "/workload", draft)
        podman("save", "-o", str(draft), name)
        draft.rename(archive)
    return name, archive


def _image(name: str, files: t.Mapping[str, Path], entry: str, draft: Path) -> None:
    with tarfile.open(draft, "w", dereference=True) as tar:
        for path, source in files.items():
            tar.add(source, path.lstrip("/"))
    change = ["--change", "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    change += ["--change", f'ENTRYPOINT ["{entry}"]'] if entry else []
    podman("import", *change, str(draft), name)
    draft.unlink()


def _proxy_files(root: Path) -> list[str]:
    """Return the tools that kube-proxy calls, with the libraries and the tables that they need."""
    found = []
    for tool in _PROXY_TOOLS:
        path = next(str(Path("/") / one.relative_to(root)) for one in root.glob(f"usr/*bin/{tool}"))
        libraries = run("chroot", str(root), "ldd", path).stdout.decode()
        found += [path, *re.findall(r"(/\S+\.so\S*)", libraries)]
    found += [str(Path("/") / one.relative_to(root)) for pattern in ("usr/sbin/ip*tables*", *_PROXY_DATA) for one in root.glob(pattern)]
    return list(dict.fromkeys(found))
