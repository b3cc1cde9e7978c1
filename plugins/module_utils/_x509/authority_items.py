# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The items of a batch of authorities: options checked and made into values."""

from __future__ import annotations

import datetime
import os.path
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._duration import parse_duration
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.items import checked_mode, refuse_duplicates
from ansible_collections.rekey.kubernetes.plugins.module_utils._x509.names import checked_subject


class Parent(t.NamedTuple):
    """The pair that signs an intermediate."""

    certificate_path: str
    key_path: str
    chain_path: str


class CrossSign(t.NamedTuple):
    """The old generation's pair, and where the cross-certificate goes."""

    certificate_path: str
    key_path: str
    path: str


class AuthorityItem(t.NamedTuple):
    """One generation of an authority."""

    name: str
    certificate_path: str
    key_path: str
    chain_path: str
    common_name: str
    organizations: tuple[str, ...]
    key_type: str
    validity: datetime.timedelta
    renew_before: datetime.timedelta | None
    path_length: int | None
    external: bool
    parent: Parent | None
    cross_sign: CrossSign | None
    other_certificate_paths: tuple[str, ...]
    owner: str | None
    group: str | None
    key_mode: int
    certificate_mode: int


def checked_authorities(options: t.Sequence[t.Mapping[str, t.Any]]) -> list[AuthorityItem]:
    """Return the items of a batch.

    :param options: list items as the module's argument spec leaves them.
    :raises PkiError: for the first item that asks for something impossible, and for duplicate names or paths.
    """
    items = [_item(option) for option in options]
    refuse_duplicates("name", [(item.name, item.name) for item in items])
    refuse_duplicates("path", [(os.path.normpath(path), item.name) for item in items for path in (
        item.certificate_path, item.key_path, item.chain_path, item.cross_sign.path if item.cross_sign else "") if path])
    return items


def _item(option: t.Mapping[str, t.Any]) -> AuthorityItem:
    name = option["name"]
    validity = parse_duration(option["validity"], name, "validity")
    renew_before = parse_duration(option["renew_before"], name, "renew_before") if option["renew_before"] else None
    if renew_before is not None and renew_before >= validity:
        raise PkiError(name, "renew_before is not shorter than validity, so every run would issue it again", "shorten renew_before")
    if not option["key_path"] and not option["external"]:
        raise PkiError(name, "key_path is missing", "set it, or external if the key is kept elsewhere")
    if option["path_length"] is not None and option["path_length"] < 0:
        raise PkiError(name, f"path_length is {option['path_length']}", "give 0 or more, or leave it out for no limit")
    checked_subject(name, option["common_name"] or name, option["organizations"])
    return AuthorityItem(
        name=name,
        certificate_path=option["certificate_path"],
        key_path=option["key_path"] or "",
        chain_path=option["chain_path"] or "",
        common_name=option["common_name"] or "",
        organizations=tuple(option["organizations"]),
        key_type=option["key_type"],
        validity=validity,
        renew_before=renew_before,
        path_length=option["path_length"],
        external=option["external"],
        parent=_pair(Parent, option["parent"]),
        cross_sign=_pair(CrossSign, option["cross_sign"]),
        other_certificate_paths=tuple(option["other_certificate_paths"]),
        owner=option["owner"],
        group=option["group"],
        key_mode=checked_mode(option["key_mode"], name, "key_mode", forbidden=0o007),
        certificate_mode=checked_mode(option["certificate_mode"], name, "certificate_mode"),
    )


def _pair(kind: t.Callable[..., t.Any], option: t.Mapping[str, t.Any] | None) -> t.Any:
    return kind(**{key: value or "" for key, value in option.items()}) if option else None
