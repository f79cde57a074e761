"""The tracker of a golden file `tracking_ostrack_sequence*`, with its weights."""

from typing import Any

from downstream.tracking.model import OneStreamTracker
from downstream.tracking.ostrack import build_ostrack
from tests.golden_files import read

RANGES = {'CTR_POINT': 'centre', 'CTR_REC': 'centre-square', 'GT_BOX': 'box', 'ALL': 'all'}


def sequence_tracker(golden: Any) -> OneStreamTracker:
    weights, params = read(golden.path.parent / golden['weights_file']), golden['params']
    config = weights['config']
    crops = ('template_factor', 'search_factor')
    return build_ostrack(
        weights['state_dict'],
        num_heads=config['arch']['num_heads'],
        elimination=dict(
            blocks=config['ce_loc'],
            keep=config['ce_keep_ratio'],
            template=RANGES[params.get('ce_template_range', 'CTR_POINT')],
        ),
        published=True,
        **{name: params[name] for name in crops if name in params},
    ).eval()
