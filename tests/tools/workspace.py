# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the tools keep what they make: everything below one cache folder outside the tree, named by its content.

``workspace.py venv REQUIREMENTS``          prints where the environment of that file belongs
``workspace.py make-venv REQUIREMENTS``     makes it unless it is complete, and prints where it is
``workspace.py folder PURPOSE``             prints where this checkout keeps what is made for that purpose
``workspace.py collections``                prints a collections root in which this checkout is rekey.kubernetes
``workspace.py copy PURPOSE``               lays out a copy of what git knows of the checkout, and prints where it is

Only the standard library is used: this runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import typing as t
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = Path("ansible_collections", "rekey", "kubernetes")
COMPLETE = ".complete"


def cache_dir() -> Path:
    """The cache folder: ``REKEY_CACHE``, else below the user's cache folder."""
    named = os.environ.get("REKEY_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "rekey.kubernetes"


def _short_hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def checkout_dir(kind: str) -> Path:
    """A folder in the cache that belongs to this checkout and this Python, so that runs side by side share none."""
    return cache_dir() / f"{kind}-{_short_hash(str(CHECKOUT), sys.version)}"


def _requirement_texts(requirements: Path) -> list[str]:
    lines = requirements.read_text().splitlines()
    texts = ["\n".join(lines)]
    for line in lines:
        if line.startswith("-r "):
            texts += _requirement_texts(requirements.parent / line[3:].strip())
    return texts


def venv_path(requirements: Path) -> Path:
    """Where the environment for this requirements file and this Python belongs; either changing means another folder."""
    python = os.path.realpath(sys.executable)
    return cache_dir() / f"venv-{_short_hash(sys.version, python, *_requirement_texts(requirements))}"


@contextmanager
def _locked(name: str) -> t.Iterator[None]:
    cache_dir().mkdir(parents=True, exist_ok=True)
    with open(cache_dir() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_venv(requirements: Path) -> Path:
    """Make the environment, or take the complete one; an interrupted one is made anew.

    The scripts in an environment name its path, so it is made in place and a stamp, written last, says that it is whole.
    """
    venv = venv_path(requirements)
    with _locked(venv.name):
        if (venv / COMPLETE).exists():
            return venv
        if venv.exists():
            print(f"An interrupted installation is done again: {venv}", file=sys.stderr)
            shutil.rmtree(venv)
        print(f"Installing {requirements} for Python {sys.version.split()[0]} into {venv} (a minute or two)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, stdout=sys.stderr)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--progress-bar=off"]
        subprocess.run([*pip, "-r", str(requirements)], check=True, stdout=sys.stderr)
        (venv / COMPLETE).write_text(f"{requirements}\n")
    return venv


def collections_root() -> Path:
    """A collections root that holds a link to the checkout, so that edits are seen at once."""
    root = checkout_dir("collections")
    link = root / COLLECTION
    with _locked(root.name):
        if not link.is_symlink() or Path(os.readlink(link)) != CHECKOUT:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(CHECKOUT)
    return root


def known_files() -> list[str]:
    """What git knows of the checkout: tracked files and new ones that are not ignored, as far as they exist."""
    command = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted({name for name in listing.split("\0") if name and os.path.lexists(CHECKOUT / name)})


def make_copy(purpose: str) -> Path:
    """Lay out a copy of the checkout in a collections root of its own; one for each purpose, so that none pulls it from under another.

    ansible-test refuses a checkout that is reached by a link, writes into the tree that it tests, and looks upwards for a
    repository that tells it which files count: so it gets a real folder, and that an (empty) repository.
    """
    root = checkout_dir(f"copy-{purpose}")
    copy = root / COLLECTION
    with _locked(root.name):
        if copy.exists():
            shutil.rmtree(copy)
        copy.mkdir(parents=True)
        for name in known_files():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target, follow_symlinks=False)
        subprocess.run(["git", "-C", str(copy), "init", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return copy


def main() -> int:
    """Print the path that is asked for; make what belongs there where the verb says so."""
    actions: dict[str, t.Callable[..., Path]] = {
        "venv": lambda requirements: venv_path(Path(requirements)),
        "make-venv": lambda requirements: make_venv(Path(requirements)),
        "folder": checkout_dir,
        "collections": collections_root,
        "copy": make_copy,
    }
    if len(sys.argv) < 2 or sys.argv[1] not in actions:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(actions[sys.argv[1]](*sys.argv[2:]))
    except subprocess.CalledProcessError as error:
        print(f"workspace.py: this command failed: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("workspace.py: interrupted; what was begun is done again next time", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
