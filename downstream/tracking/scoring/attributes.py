"""What makes a sequence hard: LaSOT's attributes, and the scores of the sequences that have each.

A file `SEQ.txt` has 14 flags 0 or 1, comma-separated, in the order below, which is that of the
toolkit (34af0ff, `annos/att`). A sequence may have several.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.tracking.data import read_text
from downstream.tracking.units import TrackingUnits
from mim_backbones.errors import UserError

ATTRIBUTES = {
    'IV': 'illumination variation',
    'POC': 'partial occlusion',
    'DEF': 'deformation',
    'MB': 'motion blur',
    'CM': 'camera motion',
    'ROT': 'rotation',
    'BC': 'background clutter',
    'VC': 'viewpoint change',
    'SV': 'scale variation',
    'FOC': 'full occlusion',
    'FM': 'fast motion',
    'OV': 'out of view',
    'LR': 'low resolution',
    'ARC': 'aspect ratio change',
}


def read_attributes(folder: Path, names: tuple[str, ...]) -> NDArray:
    """(U, 14) bool. Raises UserError for a file that is missing or holds anything else."""
    return np.stack([_flags(folder / f'{name}.txt') for name in names])


def _flags(path: Path) -> NDArray:
    values = read_text(path).replace(',', ' ').split()
    if len(values) != len(ATTRIBUTES) or not set(values) <= {'0', '1'}:
        raise UserError(
            f'{path}: expected {len(ATTRIBUTES)} values 0 or 1, {", ".join(ATTRIBUTES)}; '
            f'found {len(values)}'
        )
    return np.array(values) == '1'


def attribute_scores(units: TrackingUnits, flags: NDArray) -> dict[str, dict[str, float]]:
    """Attribute -> number of sequences and their scores in percent; those of no sequence left out.

    flags: (U, 14) bool.
    """
    scores = units.score(flags.T.astype(int))
    return {
        name: {
            'sequences': int(flags[:, place].sum()),
            **{metric: float(values[place]) for metric, values in scores.items()},
        }
        for place, name in enumerate(ATTRIBUTES)
        if flags[:, place].any()
    }
