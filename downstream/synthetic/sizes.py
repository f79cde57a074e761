"""How much of everything a world holds. Few labels on purpose: pre-training has to help."""

from dataclasses import dataclass

# Names of the parts, as in data.yaml.
PART_NAMES = ('pretrain', 'detection', 'segmentation', 'tracking')


@dataclass(frozen=True)
class WorldSize:
    """Numbers of pictures and sequences, and their sides in pixels."""

    pretrain_train: int
    pretrain_val: int
    pretrain_px: int
    detection_train: int
    detection_val: int
    detection_px: int
    segmentation_train: int
    segmentation_val: int
    segmentation_px: int
    tracking_train: int
    tracking_test: int
    frames: tuple[int, int]  # of a sequence, both ends included
    frame_px: tuple[int, int]  # width, height


SIZES = {
    'tiny': WorldSize(
        pretrain_train=24,
        pretrain_val=8,
        pretrain_px=64,
        detection_train=8,
        detection_val=4,
        detection_px=64,
        segmentation_train=8,
        segmentation_val=4,
        segmentation_px=64,
        tracking_train=2,
        tracking_test=2,
        frames=(12, 12),
        frame_px=(96, 72),
    ),
    'small': WorldSize(
        pretrain_train=4096,
        pretrain_val=256,
        pretrain_px=128,
        detection_train=160,
        detection_val=200,
        detection_px=128,
        segmentation_train=160,
        segmentation_val=400,
        segmentation_px=128,
        tracking_train=24,
        tracking_test=40,
        frames=(40, 60),
        frame_px=(160, 120),
    ),
}
