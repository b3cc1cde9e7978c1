# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weigh who would be hurt, on the controller. Documented in plugins/modules/pki_weigh.py."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import report, stragglers

try:
    import jmespath
    HAS_JMESPATH = True
except ImportError:
    HAS_JMESPATH = False


def argument_spec() -> dict[str, t.Any]:
    """Return the action's options."""
    return {"stragglers": {"type": "list", "elements": "dict", "required": True}, "accept": {"type": "str", "default": ""}}


class ActionModule(ActionBase):
    """Read who was told of, return who is left."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate the arguments and weigh."""
        super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(argument_spec())
        try:
            return {"changed": False, **weigh(given["stragglers"], given["accept"])}
        except PkiError as exc:
            raise AnsibleActionFail(str(exc)) from exc


def weigh(found: list[dict[str, str]], accept: str) -> dict[str, t.Any]:
    """Return who is left and who is accepted, and that as text.

    :raises PkiError: for an expression that is none, or that picks something else than stragglers.
    """
    left, accepted = stragglers.weigh(found, _picked(found, accept) if accept else [])
    return {"left": left, "accepted": accepted,
            "text": [*report.straggler_lines(left), *report.accepted_lines(accepted, accept), *report.go_on_lines(left)]}


def _picked(found: list[dict[str, str]], accept: str) -> t.Any:
    if not HAS_JMESPATH:
        raise PkiError("accept", "needs the Python package jmespath on the controller", "install it beside ansible-core")
    try:
        return jmespath.search(accept, found)
    except jmespath.exceptions.JMESPathError as exc:
        raise PkiError("accept", f"is no JMESPath expression: {exc}", "see https://jmespath.org") from exc
