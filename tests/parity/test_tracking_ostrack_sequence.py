"""OSTrack's tracker over whole sequences: elimination, crops, window, decoding, clipping."""

from typing import Any

import numpy as np
import pytest

from downstream.tracking.formats.rows import boxes_text, read_numbers
from downstream.tracking.tracker import Tracker
from tests.downstream.tracking.released import sequence_tracker

FAMILY = 'tracking_ostrack_sequence'


def runs(content: dict[str, Any]) -> list[str]:
    """The file itself is a run ('.'), and so is each of its fields that has boxes of its own."""
    inside = [name for name, value in content.items() if isinstance(value, dict)]
    return ['.', *(name for name in inside if 'init_box' in content[name])]


@pytest.mark.golden(FAMILY, needs=['weights_file', 'frames', 'params'], each=runs)
def test_boxes(golden, field, same) -> None:
    params, run = golden['params'], golden if field == '.' else golden[field]
    model = sequence_tracker(golden)
    for name in ('template_size', 'search_size'):
        assert getattr(model, name) == params.get(name, getattr(model, name))
    frames = golden['frames'].numpy()[: run.get('num_frames')]
    tracker, box = Tracker(model), run['init_box'].numpy()
    tracker.init(frames[0], box)
    found = np.stack([box, *(tracker.update(frame)[0] for frame in frames[1:])])

    same('boxes', found, run['boxes'].double(), atol=1e-3, rtol=1e-5)
    if 'result_txt_int' in run:
        written = read_numbers(boxes_text(found, '\t', whole_pixels=True), 'boxes')
        assert np.array_equal(np.stack(written, axis=1), run['result_txt_int'].numpy())
