# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes versions, and what follows from one: etcd's version, the staging modules' versions, go.mod, link flags. Pure."""

from __future__ import annotations

import re
import typing as t

from loopback_bed.errors import BedError


class Version(t.NamedTuple):
    """A Kubernetes release."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @property
    def staging(self) -> str:
        """The version of the k8s.io modules that are released with it."""
        return f"v0.{self.minor}.{self.patch}"


DEFAULT = Version(1, 37, 2)
OLDEST = (1, 35)
_PATCH_OF_MINOR = {(1, 35): 4, (1, 36): 2, (1, 37): 2}
SUPPORTED = tuple(Version(*minor, patch) for minor, patch in _PATCH_OF_MINOR.items())
_WITH_ETCD_3_6 = ((1, 35), (1, 36))

KUBERNETES_MODULE = "k8s.io/kubernetes"
ETCD_MODULE = "go.etcd.io/etcd/server/v3"
CONTROL_PLANE_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE_COMMANDS = ("kubeadm", "kubelet", "kube-proxy")  # what only nodes need


def parse(text: str) -> Version:
    """Return the version that a user means by ``v1.37.2``, ``1.37.2`` or ``1.37``.

    :raises BedError: for anything else and for releases that the bed's flags are too new for.
    """
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if not match:
        raise BedError(f"KUBERNETES_VERSION {text!r} is not a version", f"Give one like {DEFAULT} or {DEFAULT.major}.{DEFAULT.minor}.")
    minor = (int(match[1]), int(match[2]))
    if minor < OLDEST:
        raise BedError(f"KUBERNETES_VERSION {text}: the bed runs Kubernetes {OLDEST[0]}.{OLDEST[1]} and later")
    if match[3] is not None:
        return Version(*minor, int(match[3]))
    if minor not in _PATCH_OF_MINOR:
        raise BedError(f"KUBERNETES_VERSION {text}: its newest release is not known here", f"Give one in full, like v{text.lstrip('v')}.0.")
    return Version(*minor, _PATCH_OF_MINOR[minor])


def etcd_version(version: Version) -> str:
    """Return the etcd release that runs with this Kubernetes."""
    return "v3.6.16" if (version.major, version.minor) in _WITH_ETCD_3_6 else "v3.7.3"


def staging_modules(go_mod: str) -> list[str]:
    """Return the modules that Kubernetes' own *go_mod* requires as v0.0.0, because its own tree holds them."""
    return sorted(set(re.findall(r"^\s*(?:require\s+)?(k8s\.io/[\w.-]+) v0\.0\.0\b(?!-)", go_mod, flags=re.MULTILINE)))


def kubernetes_go_mod(version: Version, own_go_mod: str) -> str:
    """Return a go.mod that builds the beds' commands of *version*; *own_go_mod* is the one of that release itself."""
    replacements = [f"\t{module} => {module} {version.staging}" for module in staging_modules(own_go_mod)]
    tools = [f"\t{KUBERNETES_MODULE}/cmd/{command}" for command in (*CONTROL_PLANE_COMMANDS, *NODE_COMMANDS)]
    debug = re.findall(r"^godebug .*$", own_go_mod, flags=re.MULTILINE)
    lines = ["module rekey.invalid/loopback/kubernetes", "", _go_line(own_go_mod), *debug, "", "tool (", *tools, ")", "",
             f"require {KUBERNETES_MODULE} {version}", "", "replace (", *replacements, ")", ""]
    return "\n".join(lines)


def etcd_go_mod(version: str, own_go_mod: str) -> str:
    """Return a go.mod that builds that etcd *version*."""
    return "\n".join(["module rekey.invalid/loopback/etcd", "", _go_line(own_go_mod), "",
                      f"tool {ETCD_MODULE}", "", f"require {ETCD_MODULE} {version}", ""])


def _go_line(go_mod: str) -> str:
    found = re.search(r"^go (\d+)\.(\d+)", go_mod, flags=re.MULTILINE)
    # Older than 1.24, go does not know the tool line.
    return f"go {found[1]}.{found[2]}.0" if found and (int(found[1]), int(found[2])) >= (1, 24) else "go 1.24.0"


def required_version(go_mod: str, module: str) -> str:
    """Return the version of *module* that a go.mod asks for, or an empty string."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", go_mod, flags=re.MULTILINE)
    return found[1] if found else ""


def link_flags(version: Version) -> str:
    """Return the linker flags without which the binaries would report a placeholder as their version."""
    component = "k8s.io/component-base/version"
    values = {
        f"{component}.gitVersion": str(version),
        f"{component}.gitMajor": str(version.major),
        f"{component}.gitMinor": str(version.minor),
        f"{component}.gitTreeState": "clean",
        "k8s.io/client-go/pkg/version.gitVersion": str(version),
    }
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values.items())])
