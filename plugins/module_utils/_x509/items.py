# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The items of a batch of leaves: options checked and made into values."""

from __future__ import annotations

import datetime
import os.path
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._duration import parse_duration
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.names import Profile, checked_profile

PENDING = ".pending"
_MODE = re.compile(r"0[0-7]{3}")


class Item(t.NamedTuple):
    """One leaf of a batch."""

    name: str
    host: str
    authority: str
    certificate_path: str
    key_path: str
    profile: Profile
    validity: datetime.timedelta
    renew_before: datetime.timedelta
    key_type: str
    rotate_key: bool
    csr_content: str
    certificate_content: str
    owner: str | None
    group: str | None
    key_mode: int
    certificate_mode: int
    store: str = "files"

    @property
    def in_one_file(self) -> bool:
        """Whether key and certificate share a file."""
        return self.store != "files"

    @property
    def label(self) -> str:
        """The name for messages, with its host where the batch spans hosts."""
        return f"{self.host}: {self.name}" if self.host else self.name

    @property
    def pending_path(self) -> str:
        """Where the key waits for its certificate."""
        return self.key_path + PENDING


def checked_items(options: t.Sequence[t.Mapping[str, t.Any]], needs_paths: bool, needs_authority: bool) -> list[Item]:
    """Return the items of a batch.

    :param options: list items as the module's argument spec leaves them.
    :param needs_paths: whether this action reads or writes the items' files.
    :raises PkiError: for the first item that asks for something impossible, and for duplicate names or paths.
    """
    items = [_item(option) for option in options]
    refuse_duplicates("name", [(item.label, item.label) for item in items])
    for item in items:
        for option in ["authority"] * needs_authority + ["certificate_path", "key_path"] * needs_paths:
            if not getattr(item, option):
                raise PkiError(item.label, f"{option} is missing", "set it")
    if needs_paths:
        for item in items:
            if item.in_one_file and item.certificate_path != item.key_path:
                raise PkiError(item.label, f"store {item.store} keeps key and certificate in one file", "give the same path twice")
        paths = [(path, item.label) for item in items
                 for path in (item.key_path, item.pending_path, *[item.certificate_path] * (not item.in_one_file))]
        refuse_duplicates("path", [(os.path.normpath(path), label) for path, label in paths])
    return items


def checked_mode(text: str, item: str, option: str, forbidden: int = 0) -> int:
    """Return a file mode; :raises PkiError: unless it is a quoted octal number without the *forbidden* bits."""
    if not _MODE.fullmatch(text):
        raise PkiError(item, f"{option} is {text!r}, which is no mode", 'write four octal digits in quotes, such as "0600"')
    if int(text, 8) & forbidden:
        raise PkiError(item, f"{option} {text} opens a private key to everyone", 'use "0600" or "0640"')
    return int(text, 8)


def refuse_duplicates(what: str, named: t.Iterable[tuple[str, str]]) -> None:
    """Refuse a value that occurs twice; :raises PkiError: naming both items.

    :param named: value and the item that has it.
    """
    seen: dict[str, str] = {}
    for value, label in named:
        if value in seen:
            twice = f"{seen[value]} and {label}" if seen[value] != label else label
            raise PkiError(twice, f"duplicate {what} {value}", "each certificate and each key needs its own")
        seen[value] = label


def _item(option: t.Mapping[str, t.Any]) -> Item:
    label = f"{option['host']}: {option['name']}" if option["host"] else option["name"]
    validity = parse_duration(option["validity"], label, "validity")
    renew_before = parse_duration(option["renew_before"], label, "renew_before")
    if renew_before >= validity:
        raise PkiError(label, "renew_before is not shorter than validity, so every run would issue it again", "shorten renew_before")
    return Item(
        name=option["name"],
        host=option["host"] or "",
        authority=option["authority"] or "",
        certificate_path=option["certificate_path"] or "",
        key_path=option["key_path"] or "",
        profile=checked_profile(label, option["common_name"], option["organizations"], option["sans"], option["usages"]),
        validity=validity,
        renew_before=renew_before,
        key_type=option["key_type"],
        rotate_key=option["rotate_key"],
        csr_content=option["csr_content"] or "",
        certificate_content=option["certificate_content"] or "",
        owner=option["owner"],
        group=option["group"],
        key_mode=checked_mode(option["key_mode"], label, "key_mode", forbidden=0o007),
        certificate_mode=checked_mode(option["certificate_mode"], label, "certificate_mode"),
        store=option.get("store") or "files",
    )
