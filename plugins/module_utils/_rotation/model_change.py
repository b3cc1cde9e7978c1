# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What each host of the model holds, and what one phase makes of it.

Hosts differ: a run that is killed leaves one of them before a phase and another one half-way through it. A phase only ever moves
a host forward, as ``plan.py`` does: what is already where the phase wants it, or further, is left alone.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.catalogue import AUTHORITIES, SERVICE_ACCOUNTS
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.phases import NEW, OLD, Phase
from ansible_collections.rekey.kubernetes.plugins.module_utils._cluster.trust import TRUST, Trust
from ansible_collections.rekey.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.rekey.kubernetes.plugins.module_utils._rotation import model

OBJECTS = "cluster-info"  # stands for a host where no host holds the file
_ROW = {row.name: row for row in TRUST}


class Held(t.NamedTuple):
    """What one host holds, by the key of its input: a bundle, a generation, or the place of the signing pair.

    ``loaded``: what the process may have loaded, where that is not just what is written; ``()`` where it is stopped.
    """

    written: t.Mapping[str, t.Any]
    loaded: t.Mapping[str, tuple[t.Any, ...]] = {}


Standing = t.Mapping[str, Held]  # a host's name, or OBJECTS -> what it holds


class Change(t.NamedTuple):
    """One phase of a rotation of these authorities: the cluster, how it stands before it and what its gate will prove."""

    phase: Phase
    cluster: model.Cluster
    authorities: tuple[str, ...]
    rows: tuple[Trust, ...]  # the trust rows of the authorities
    inputs: t.Mapping[str, tuple[model.Input, ...]]  # of each host
    settled: Standing
    wanted: Standing

    def happens(self, what: str) -> bool:
        """Say whether this may happen in any state."""
        return what in self.cluster.happens

    @property
    def concerned(self) -> tuple[str, ...]:
        """The names of the trust rows that the phase names."""
        return tuple(row.name for row in self.rows if concerns(self.phase, row, row.side))


def change_of(phase: Phase, cluster: model.Cluster, authorities: t.Sequence[str], settled: Standing,
              away: t.Container[str] = ()) -> Change:
    """Return the change that the phase makes.

    :param away: hosts that the phase does not reach.
    :raises PkiError: where the phase names a presenter or a side that no table knows.
    """
    _check_names(phase)
    inputs = model.inputs_of_hosts(cluster, authorities)
    wanted = {name: held if name in away else _after(held, phase, inputs.get(name, ())) for name, held in settled.items()}
    return Change(phase, cluster, tuple(authorities), model.rows_of(authorities), inputs, settled, wanted)


def settled_at_start(cluster: model.Cluster, authorities: t.Sequence[str]) -> Standing:
    """Return the cluster before a rotation: everything is of the old generation."""
    settled = {name: Held({one.key: _at_start(one) for one in inputs})
               for name, inputs in model.inputs_of_hosts(cluster, authorities).items()}
    cluster_info = _ROW[model.CLUSTER_INFO].authority in authorities
    return {**settled, **({OBJECTS: Held({model.CLUSTER_INFO: (OLD,)})} if cluster_info else {})}


def _at_start(one: model.Input) -> t.Any:
    if one.name == model.SIGNER_PLACE:
        return model.HOME
    return (OLD,) if one.side else OLD


def further(found: t.Any, wanted: t.Any) -> t.Any:
    """Return what a phase makes of a bundle or a leaf: what it wants, or what is there where that is further already."""
    if isinstance(found, str):
        return wanted
    return wanted if _position(found) < _position(wanted) else found


def _position(held: model.Bundle) -> int:
    """0: the old generation alone, 1: both, 2: the new one alone."""
    return (1 if OLD in held else 2) if NEW in held else 0


def _after(held: Held, phase: Phase, inputs: t.Sequence[model.Input]) -> Held:
    """Return what the phase's gate proves of a host. What the phase does not name stays as it was."""
    written = dict(held.written)
    for key, row, side in _trusted(held, inputs):
        if concerns(phase, row, side):
            written[key] = further(written[key], model.bundle(phase.trusts))
    written.update((one.key, NEW) for one in inputs if not one.side and _names(phase, one))
    if model.SIGNER_PLACE in written:
        home = next(one.home for one in inputs if one.name == model.SIGNER)
        _move_signer(written, phase, several=home is not None and len(held.written[home.key]) > 1)
    # What takes its files over by itself may take its time until a gate asks for them.
    late = {one.key for one in inputs if one.live and not _names(phase, one)}
    return Held(written, {key: values for key, values in held.loaded.items() if key in late and values})


def _names(phase: Phase, one: model.Input) -> bool:
    return concerns(phase, _ROW[one.name], one.side) if one.side else one.name in phase.presents


def _trusted(held: Held, inputs: t.Sequence[model.Input]) -> list[tuple[str, Trust, str]]:
    """Return the key, the row and the side of each bundle that is held."""
    if model.CLUSTER_INFO in held.written:
        row = _ROW[model.CLUSTER_INFO]
        return [(row.name, row, row.side)]
    return [(one.key, _ROW[one.name], one.side) for one in inputs if one.side]


def _move_signer(written: dict[str, t.Any], phase: Phase, *, several: bool) -> None:
    """Take the signing pair from its home while that holds several generations, and bring it back with the new one."""
    away = written[model.SIGNER_KEY] != NEW
    apart = written[model.SIGNER_PLACE] == model.APART
    if phase.widens and (away or several) and not apart:
        written[model.SIGNER_PLACE] = model.APART
    if phase.narrows and (away or apart):
        # It comes home with the bundle there.
        written.update({model.SIGNER_PLACE: model.HOME, model.SIGNER_KEY: NEW, model.SIGNER: NEW})


def concerns(phase: Phase, row: Trust, side: str) -> bool:
    """Say whether the phase changes this trust where it moves with this side.

    Our own lists name a side; for the lists of others a side may also be one component or one row of the trust table.
    """
    return any(phase.reaches(one) for one in (side, row.component, row.name))


def _check_names(phase: Phase) -> None:
    unknown = sorted(set(phase.presents) - set(model.presenters_of((*AUTHORITIES, SERVICE_ACCOUNTS))))
    if unknown:
        raise PkiError(f"phase {phase.name}", f"unknown presenter {', '.join(unknown)}", "use a name of the catalogue")
    if phase.side and not any(concerns(phase, row, row.side) for row in TRUST):
        raise PkiError(f"phase {phase.name}", f"unknown side {phase.side}", "use a side, component or row of the trust table")
