# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Reading and writing files so that a crash leaves the old or the new file, whole, and a key is never readable by others."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

TEMPORARY = ".rekey-"  # how the names of files begin that are being written
KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644


class Target(t.NamedTuple):
    """A file that a module is about to write."""

    path: str
    mode: int
    owner: str | None = None
    group: str | None = None


def expanded(path: str) -> str:
    """Return a path as an option of type path would be: variables and ``~`` filled in."""
    return os.path.expanduser(os.path.expandvars(path))


def read(path: str, item: str = "") -> bytes | None:
    """Return the content, or None where there is no such file.

    :raises PkiError: when it cannot be read (permission, a directory, a dangling symlink's loop).
    """
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise PkiError(item, f"{path}: cannot be read: {exc.strerror}", "check the path, its owner and its mode") from exc


def require(path: str, item: str = "") -> bytes:
    """Return the content of a file that must exist; :raises PkiError: otherwise."""
    content = read(path, item)
    if content is None:
        raise PkiError(item, f"{path}: no such file", "check the path")
    return content


def check_target(target: Target, item: str = "", check_mode: bool = False) -> None:
    """Refuse a target that cannot be written safely, before anything is written.

    :param check_mode: a missing directory passes: an earlier task may be the one that would have made it.
    :raises PkiError: for a missing or read-only directory, a symlink, something that is no regular file, an unknown owner.
    """
    directory = os.path.dirname(target.path) or "."
    if check_mode and not os.path.exists(directory):
        return
    if not os.path.isdir(directory):
        raise PkiError(item, f"{target.path}: directory {directory} does not exist", "create it first")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PkiError(item, f"{target.path}: directory {directory} is not writable", "check its owner, mode and mount")
    try:
        kind = os.lstat(target.path).st_mode
    except FileNotFoundError:
        kind = stat.S_IFREG
    if stat.S_ISLNK(kind):
        raise PkiError(item, f"{target.path}: is a symlink", "name the file it points to; a rename would replace the link")
    if not stat.S_ISREG(kind):
        raise PkiError(item, f"{target.path}: is not a regular file", "choose another path")
    _ids(target, item)


def write(target: Target, content: bytes, item: str = "") -> None:
    """Write by temporary file, fsync and rename in the destination's own directory.

    Mode and owner are set on the temporary file (0600 from birth), so the new content never carries wider rights.
    An owner or group that the target does not name stays the replaced file's: whoever reads it now reads it afterwards.
    ``AnsibleModule.atomic_move`` opens a new file to others between its rename and its chmod, hence not used.
    """
    uid, gid = _kept_ids(target, item)
    directory = os.path.dirname(target.path) or "."
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            if (uid, gid) != (-1, -1):
                os.fchown(handle.fileno(), uid, gid)
            if target.mode != KEY_MODE:
                os.fchmod(handle.fileno(), target.mode)
            os.fsync(handle.fileno())
        os.rename(temporary, target.path)
    except OSError as exc:
        os.unlink(temporary)
        raise PkiError(item, f"{target.path}: cannot be written: {exc.strerror}", "check space, owner and mount") from exc
    sync_directory(directory)


def sync_directory(directory: str) -> None:
    """Make a rename or removal in *directory* survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def attribute_reasons(target: Target) -> list[str]:
    """Say how mode and owner of an existing file differ from the target's; empty when they agree or there is no file."""
    try:
        found = os.stat(target.path)
    except FileNotFoundError:
        return []
    uid, gid = _ids(target, "")
    reasons = []
    if stat.S_IMODE(found.st_mode) != target.mode:
        reasons.append(f"mode of {target.path} is {stat.S_IMODE(found.st_mode):04o}, not {target.mode:04o}")
    if uid not in (-1, found.st_uid):
        reasons.append(f"owner of {target.path} is not {target.owner}")
    if gid not in (-1, found.st_gid):
        reasons.append(f"group of {target.path} is not {target.group}")
    return reasons


def set_attributes(target: Target) -> None:
    """Give an existing file the target's owner and mode; it is closed to others first."""
    uid, gid = _ids(target, "")
    if (uid, gid) != (-1, -1):
        os.chmod(target.path, KEY_MODE & target.mode)
        os.chown(target.path, uid, gid)
    os.chmod(target.path, target.mode)


def make_private_directory(path: str, check_mode: bool = False) -> bool:
    """Make a directory that only its owner can enter (0700); say whether it was missing.

    :raises PkiError: when something else is there, or it cannot be made.
    """
    if os.path.isdir(path):
        return False
    try:
        if not check_mode:
            os.mkdir(path, 0o700)
    except OSError as exc:
        raise PkiError("", f"{path}: cannot be made: {exc.strerror}", "check its parent directory, which must exist") from exc
    return True


def remove(path: str) -> bool:
    """Remove a file; say whether there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_directory(os.path.dirname(path) or ".")
    return True


def sweep(directory: str) -> None:
    """Remove what a writer that was killed has left in a directory and below it. Nobody may be writing there meanwhile.

    :raises PkiError: where it cannot be removed.
    """
    for folder, _folders, names in os.walk(directory):
        for name in names:
            if name.startswith(TEMPORARY):
                try:
                    remove(os.path.join(folder, name))
                except OSError as exc:
                    raise PkiError("", f"{os.path.join(folder, name)}: cannot be removed: {exc.strerror}", "check owner and mount") from exc


def _ids(target: Target, item: str) -> tuple[int, int]:
    try:
        uid = pwd.getpwnam(target.owner).pw_uid if target.owner else -1
        gid = grp.getgrnam(target.group).gr_gid if target.group else -1
    except KeyError as exc:
        raise PkiError(item, f"{target.path}: no such user or group: {exc}", "create it first") from exc
    return uid, gid


def _kept_ids(target: Target, item: str) -> tuple[int, int]:
    uid, gid = _ids(target, item)
    try:
        found = os.stat(target.path)
    except FileNotFoundError:
        return uid, gid
    kept = (found.st_uid if uid == -1 else uid, found.st_gid if gid == -1 else gid)
    return (-1, -1) if kept == (os.geteuid(), os.getegid()) else kept
