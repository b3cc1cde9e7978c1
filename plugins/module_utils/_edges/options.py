# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Items that one module hands to the edges of another are checked as that one checks its options."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError

Options = t.Mapping[str, t.Any]


def checked(name: str, spec: Options, given: t.Sequence[Options]) -> list[dict[str, t.Any]]:
    """Return items with their defaults; :raises PkiError: for what another module would refuse."""
    validator = ArgumentSpecValidator({name: {"type": "list", "elements": "dict", "options": spec}})
    found = validator.validate({name: list(given)})
    if found.error_messages:
        raise PkiError(name, "; ".join(found.error_messages), "see the documentation of the module that is named for this option")
    return t.cast("list[dict[str, t.Any]]", found.validated_parameters[name])
