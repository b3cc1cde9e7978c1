# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""PEM blocks without cryptography: split, label, fingerprint, normalise (RFC 7468)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BOUNDARY = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")


class Block(t.NamedTuple):
    """One PEM block: its label (``CERTIFICATE``) and its DER bytes."""

    label: str
    der: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER bytes, lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def text(self) -> str:
        """The block in its normal form: 64 columns, one newline at the end."""
        body = base64.b64encode(self.der).decode("ascii")
        lines = [body[start : start + 64] for start in range(0, len(body), 64)]
        return "\n".join([f"-----BEGIN {self.label}-----", *lines, f"-----END {self.label}-----", ""])


def split(text: str, source: str) -> list[Block]:
    """Return every PEM block of *text*.

    :param source: the file or field, for messages.
    :raises PkiError: for a boundary without its partner or for a body that is not base64. Go's AppendCertsFromPEM passes
        both over in silence and trusts fewer certificates than the file seems to hold.
    """
    blocks: list[Block] = []
    for label, body in _BLOCK.findall(text):
        try:
            der = base64.b64decode("".join(body.split()), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise PkiError(source, f"PEM block {len(blocks) + 1} ({label}) is not valid base64", "restore the file") from exc
        if not der:
            raise PkiError(source, f"PEM block {len(blocks) + 1} ({label}) is empty", "restore the file")
        blocks.append(Block(label, der))
    if len(_BOUNDARY.findall(text)) != 2 * len(blocks):
        raise PkiError(source, "a PEM block is truncated or damaged", "restore the file")
    return blocks


def certificates(text: str, source: str) -> list[Block]:
    """Return the certificates of a bundle.

    :raises PkiError: as :func:`split`, and when the text holds anything but certificates (a private key in a trust bundle).
    """
    blocks = split(text, source)
    for block in blocks:
        if block.label != "CERTIFICATE":
            raise PkiError(source, f"holds a {block.label} where only certificates belong", "remove it")
    return blocks


def join(blocks: t.Iterable[Block]) -> str:
    """Return the blocks as normalised text, one after the other."""
    return "".join(block.text for block in blocks)
