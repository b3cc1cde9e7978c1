# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-test in a copy of the checkout: ``run_ansible_test.py PURPOSE ARGUMENT ...``.

ansible-test keeps its environments below HOME, hands its children nothing of the caller's environment but PATH and HOME, bootstraps
pip with a script from a server of its own, and takes any ``pythonX.Y`` on the PATH for a working interpreter. So it gets a
HOME in the cache with pip's settings as they are in force here and a bootstrap script that uses the interpreter's own pip,
and a PATH that begins with interpreters that run.

In an argument ``{python}`` stands for the version of this Python, ``{oldest}`` for what the variable OLDEST says (see with_oldest.sh).
``--target-python`` is added for each of TEST_PYTHONS that is found.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import find_python
import workspace

BOOTSTRAP = '''\
import os, subprocess, sys

environment = {name: value for name, value in os.environ.items() if name != "GET_PIP"}
packages = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, env=environment, stdout=subprocess.DEVNULL)
sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], env=environment).returncode)
'''


def pip_settings() -> configparser.RawConfigParser:
    """pip's settings from all its files and from the environment, as one file's content."""
    listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    settings = configparser.RawConfigParser()
    settings.add_section("global")
    for line in listing.splitlines():
        key, _equals, value = line.partition("=")
        section, _dot, name = key.partition(".")
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, name, str(ast.literal_eval(value)))
    return settings


def pip_version() -> str:
    """The pip that this ansible-test asks its bootstrap script for; the script's name in the cache has it."""
    import ansible_test  # from the environment that the caller's Python belongs to

    source = Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    found = re.search(r"pip='([0-9.]+)'", source.read_text())
    if not found:
        raise SystemExit(f"run_ansible_test.py: {source} names no pip version any more; pip_version() has to learn where it is now")
    return found.group(1)


def make_home() -> Path:
    """A HOME for ansible-test in the cache; its environments stay there from run to run."""
    home = workspace.cache_dir() / "ansible-test-home-{}.{}".format(*sys.version_info[:2])
    pip_file = home / ".config" / "pip" / "pip.conf"
    bootstrap = home / ".ansible" / "test" / "cache" / f"get_pip_{pip_version().replace('.', '_')}.py"
    for path in (pip_file, bootstrap):
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(pip_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        pip_settings().write(stream)
    bootstrap.write_text(BOOTSTRAP)
    return home


def make_path(purpose: str) -> tuple[str, list[str]]:
    """The PATH, and the versions of TEST_PYTHONS that are there."""
    folder = workspace.checkout_dir(f"path-{purpose}")
    folder.mkdir(parents=True, exist_ok=True)
    for link in folder.iterdir():
        link.unlink()
    versions = []
    for version in os.environ.get("TEST_PYTHONS", "").split():
        python = find_python.find(version)
        if python:
            (folder / f"python{version}").symlink_to(python)
            versions.append(version)
    if os.environ.get("KUBECTL"):
        (folder / "kubectl").symlink_to(os.environ["KUBECTL"])
    own = str(Path(sys.executable).parent)
    return os.pathsep.join([str(folder), own, os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]), versions


def main(purpose: str, arguments: list[str]) -> int:
    """Lay out the copy and run there."""
    path, versions = make_path(purpose)
    own = "{}.{}".format(*sys.version_info[:2])
    known = {"python": own, "oldest": os.environ.get("OLDEST", "")}
    command = [str(Path(sys.executable).parent / "ansible-test"), *(argument.format(**known) for argument in arguments)]
    for version in versions:
        command += ["--target-python", version]
    environment = {**os.environ, "PATH": path, "HOME": str(make_home())}
    copy = workspace.make_copy(purpose)
    print(f"ansible-test in {copy}, Python {own}{''.join(f' and {version}' for version in versions)}", flush=True)
    started = time.monotonic()
    code = subprocess.run(command, cwd=copy, env=environment, check=False, stdin=subprocess.DEVNULL).returncode
    print(f"ansible-test {arguments[0]}: {time.monotonic() - started:.1f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
