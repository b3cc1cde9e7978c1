# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Where each authority stands, read from the certificates that the hosts use. Pure.

An authority is *steady* when everything uses its newest generation, else a rotation to the newest one is *pending*: it was
minted by a run that has not ended yet. So a second new generation is never minted while one is pending.

A pending rotation can be turned round: to roll back is to rotate from the newest generation to the one before, by the same phases,
which leave alone what is there already. So every law of their order holds for the way back, too.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation.plan import Observation

SIGNED_SECRETS = "signed-secrets"  # what Secrets hold of an old key keeps no rotation pending: nothing makes those tokens anew
COMING = "coming"  # stands for the stamp of a generation that is not minted yet


class Stand(t.NamedTuple):
    """One authority: the generation in use, the one to come, and whether that one is minted already."""

    old: str
    new: str
    pending: bool
    age_days: float  # of the generation in use

    def back(self) -> Stand:
        """Return the stand of the way back."""
        return self._replace(old=self.new, new=self.old)


Objects = t.Mapping[str, t.Mapping[str, t.Sequence[str]]]  # object -> place -> generations


def in_use(authority: str, observed: t.Mapping[str, Observation], objects: Objects) -> set[str]:
    """Return the generations of an authority that bundles, leaves and copies of the hosts, or the cluster's objects, hold."""
    names = {
        row["generation"]
        for observation in observed.values()
        for kind in ("pairs", "copies")
        for row in observation[kind].values()
    }
    names |= {name for observation in observed.values() for row in observation["bundles"].values() for name in row["generations"]}
    names |= {name for kind, places in objects.items() if kind != SIGNED_SECRETS for held in places.values() for name in held}
    return {name for name in names if name.startswith(f"{authority}/")}


def stands(known: t.Mapping[str, t.Mapping[str, t.Any]], observed: t.Mapping[str, Observation], objects: Objects,
           authorities: t.Iterable[str]) -> dict[str, Stand]:
    """Return the stand of each authority asked for, and that of the service accounts' key where it is pending.

    :param known: generation name → facts, as ``pki_authority_info`` returns them, oldest first.
    :raises PkiError: when an authority has no generation, when none is in use, or when more than two are.
    """
    found = {authority: _stand(authority, known, in_use(authority, observed, objects)) for authority in authorities}
    used = in_use(SERVICE_ACCOUNTS, observed, objects)
    if SERVICE_ACCOUNTS not in found and used & set(known):
        stand = _stand(SERVICE_ACCOUNTS, known, used)
        found.update({SERVICE_ACCOUNTS: stand} if stand.pending else {})
    return found


def _stand(authority: str, known: t.Mapping[str, t.Mapping[str, t.Any]], used: set[str]) -> Stand:
    names = [name for name in known if name.startswith(f"{authority}/")]
    if not names:
        raise PkiError(authority, "the authority host keeps no generation of it", "run provision.yml, or set pki_authority_dir")
    if not used:
        raise PkiError(authority, "no host uses a generation that the authority host keeps",
                       "check pki_authority_dir and the hosts' directories")
    newest = names[-1]
    older = sorted(used - {newest})
    if len(older) > 1:
        raise PkiError(authority, f"the hosts use {len(used)} generations: {', '.join(sorted(used))}",
                       "a rotation knows an old and a new one; bring the hosts to one of the newest two first")
    age = known[older[0] if older else newest]["age_days"]
    if older:
        return Stand(older[0], newest, True, age)
    return Stand(newest, f"{authority}/{COMING}", False, age)
