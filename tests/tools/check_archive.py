# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection's archive from the checkout, look into it, install it, and use it from there as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import check_docs
import workspace

NAME = "rekey.kubernetes"
MADE_BY_THE_BUILD = {"FILES.json", "MANIFEST.json"}
# What a user gets: the collection proper and what describes it.
PRODUCT_FILES = {"CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "README.md"}
INVENTORY = "[pki_authority]\nlocalhost\n[etcd]\nlocalhost\n[kube_control_plane]\nlocalhost\n"
PRODUCT_FOLDERS = {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}


def build(folder: Path) -> Path:
    """Build the archive from the checkout itself, with whatever lies about there: it must not get in."""
    for old in folder.glob("*.tar.gz"):
        old.unlink()
    subprocess.run(["ansible-galaxy", "collection", "build", "--force", "--output-path", str(folder), str(workspace.CHECKOUT)], check=True)
    (archive,) = folder.glob("rekey-kubernetes-*.tar.gz")
    return archive


def strangers(archive: Path) -> list[str]:
    """Files in the archive that git does not know or that are not the product."""
    known = set(workspace.known_files())
    with tarfile.open(archive) as content:
        files = {member.name for member in content.getmembers() if not member.isdir()} - MADE_BY_THE_BUILD
    product = {name for name in files if name in PRODUCT_FILES or name.split("/")[0] in PRODUCT_FOLDERS}
    return sorted((files - known) | (files - product))


def use(archive: Path, root: Path) -> None:
    """Install the archive below root; check the syntax of each playbook there and have ansible-doc show what is documented."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(root)}
    install = ["ansible-galaxy", "collection", "install", "--offline", "--force", "--collections-path", str(root), str(archive)]
    subprocess.run(install, check=True, env=environment)
    installed = root / workspace.COLLECTION
    inventory = root / "hosts"
    inventory.write_text(INVENTORY)
    check_syntax = ["ansible-playbook", "--inventory", str(inventory), "--syntax-check"]
    for playbook in sorted((installed / "playbooks").glob("*.yml")):
        # A name with a hyphen is for people who have the file; by its full name only an identifier can be called.
        called = f"{NAME}.{playbook.stem}" if playbook.stem.isidentifier() else str(playbook)
        subprocess.run([*check_syntax, called], check=True, env=environment, cwd=root)
    for kind, names in check_docs.documented(installed).items():
        if names and not check_docs.run(["ansible-doc", "--type", kind, *(f"{NAME}.{name}" for name in names)], root, environment):
            raise SystemExit("ansible-doc does not show everything from the installed archive")


def main() -> int:
    """Build, look, use."""
    folder = workspace.checkout_dir("build")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        archive = build(folder)
        unwanted = strangers(archive)
        if unwanted:
            print("These do not belong into the archive (see build_ignore in galaxy.yml):", *unwanted, sep="\n  ")
            return 1
        use(archive, folder / "installed")
    except subprocess.CalledProcessError as error:
        print(f"check_archive.py: this command failed: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    print(f"The archive is clean and works installed: {archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
