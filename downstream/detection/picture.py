"""Instances drawn on their picture: tinted masks, outlines, boxes in class colours, scores."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from downstream.drawing import class_colours, enlarged, note, read_rgb, sheet, tint

MIN_SCORE = 0.3


def instance_sheet(samples: Sequence[Any], classes: Sequence[str]) -> bytes:
    """PNG of mmdet data samples with `gt_instances` and `pred_instances`."""
    colours = class_colours(len(classes))
    truth, found, present = [], [], set()
    for sample in samples:
        image = read_rgb(sample.img_path)
        prediction = sample.pred_instances.cpu()
        prediction = prediction[prediction.scores >= MIN_SCORE]
        for tiles, instances, none in (
            (truth, sample.gt_instances, 'no objects'),
            (found, prediction, f'no score over {MIN_SCORE}'),
        ):
            tile = draw_instances(image, instances, colours)
            tiles.append(tile if len(instances) else note(tile, none))
        present |= set(sample.gt_instances.labels.tolist()) | set(prediction.labels.tolist())
    legend = [(classes[label], colours[label]) for label in sorted(present)]
    return sheet([('truth', truth), ('prediction', found)], legend)


def draw_instances(image: NDArray, instances: Any, colours: NDArray) -> NDArray:
    """The enlarged picture with the instances on it, largest first; scores where there are any."""
    masks = getattr(instances.get('masks'), 'masks', instances.get('masks'))
    tile, factor = enlarged(image)
    boxes = np.asarray(instances.bboxes, np.float32).reshape(-1, 4) * factor
    labels = np.asarray(instances.labels)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in np.argsort(-areas):
        colour = colours[labels[i]]
        if masks is not None:
            mask = np.asarray(masks[i]).astype(np.uint8)
            mask = cv2.resize(mask, tile.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0
            tile = tint(tile, mask, colour, 0.45)
            lines, _ = cv2.findContours(
                mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )
            cv2.drawContours(tile, lines, -1, colour.tolist(), 1, cv2.LINE_AA)
        left, top, right, bottom = boxes[i].round().astype(int).tolist()
        cv2.rectangle(tile, (left, top), (right, bottom), colour.tolist(), 2, cv2.LINE_AA)
        if 'scores' in instances:
            _label(tile, f'{float(instances.scores[i]):.2f}', (left, top), colour)
    return tile


def _label(tile: NDArray, text: str, corner: tuple[int, int], colour: NDArray) -> None:
    """Text on a plate of the class's colour, kept inside the tile."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)
    x = min(max(corner[0], 0), max(0, tile.shape[1] - width - 4))
    y = max(corner[1], height + 6)
    cv2.rectangle(tile, (x, y - height - 6), (x + width + 4, y), colour.tolist(), -1)
    ink = (0, 0, 0) if colour.mean() > 110 else (255, 255, 255)
    cv2.putText(tile, text, (x + 2, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.38, ink, 1, cv2.LINE_AA)
