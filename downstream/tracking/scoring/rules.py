"""Where LaSOT's evaluators differ: a tracker's AUC moves by two points between them.

    ostrack        a frame is valid when its truth has w > 0 and h > 0 and is visible. OSTrack
                   33b5e12 and what MAE-Lite ships (and pytracking before August 2022): our default.
    pytracking     valid needs x > 0 and y > 0 as well (7eb9e74).
    lasot_matlab   as pytracking; invalid visible frames are hits in precision too; predictions that
                   are no boxes are gaps, not errors; a sequence that scores nothing leaves a mean.
    mmtracking     no first frame for free, no filled gaps, absent frames as others: mmtracking.py
    mmtracking_visible    the same; absent frames never count as hits.

The first two follow what a data set marks; `convention` names its way:
    lasot   absent frames have flags, and never count as hits; too short a track is an error
    uav     NaN is the truth of an absent frame, which is a hit in both precisions
    otb     neither; too short a track goes on with boxes without area, as it does under uav
"""

from dataclasses import dataclass

import numpy as np

from mim_backbones.errors import UserError

CONVENTIONS = ('lasot', 'uav', 'otb')


@dataclass(frozen=True)
class Rules:
    """What one evaluator does with frames whose truth or prediction is odd.

    corner: the truth's x and y must be above 0, too.
    invalid_distance: the centre error, in pixels, of a visible frame whose truth is not valid.
    repairs: NaN and negative sizes are gaps that repeat the frame before; else they are errors.
    drops_zeros: a sequence whose curve is 0 everywhere leaves the mean of that curve.
    """

    corner: bool
    invalid_distance: float
    repairs: bool = False
    drops_zeros: bool = False


RULES = {
    'ostrack': Rules(corner=False, invalid_distance=np.inf),
    'pytracking': Rules(corner=True, invalid_distance=np.inf),
    'lasot_matlab': Rules(corner=True, invalid_distance=-1.0, repairs=True, drops_zeros=True),
}
MMTRACKING = {'mmtracking': True, 'mmtracking_visible': False}  # whether absent frames may be hits
PROTOCOLS = (*RULES, *MMTRACKING)
GOT10K = 'got10k'  # other measures, on data of its own layout: got10k.py


def check_protocol(protocol: str) -> None:
    """UserError for a name that is none of PROTOCOLS."""
    if protocol not in PROTOCOLS:
        raise UserError(f'tracking protocol {protocol!r} is not one of {", ".join(PROTOCOLS)}')
