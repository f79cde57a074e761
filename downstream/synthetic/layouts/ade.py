"""ADE20K: ade/ADEChallengeData2016/{images,annotations}/{training,validation}.

Label pictures: 0 unlabelled, 1.. as in SEGMENTATION_CLASSES, objects first, then the grounds.
"""

from pathlib import Path

from downstream.synthetic.annotate import label_map
from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import SEGMENTATION_CLASSES
from downstream.synthetic.layouts.item import Item, numbered, random_stream, write_jpeg, write_png
from downstream.synthetic.render import render
from downstream.synthetic.sampler import STILL_LIFE, draw_scene
from downstream.synthetic.scene import Scene
from downstream.synthetic.sizes import WorldSize

ROOT = 'ade/ADEChallengeData2016'
SPLITS = {'training': 'train', 'validation': 'val'}


def items(size: WorldSize) -> list[Item]:
    return [
        *numbered('segmentation', 'training', size.segmentation_train),
        *numbered('segmentation', 'validation', size.segmentation_val),
    ]


def draw(seed: int, split: str, index: int) -> Scene:
    """The scene of one picture."""
    return draw_scene(random_stream(seed, f'{ROOT}/{split}', index), STILL_LIFE)


def write(root: Path, item: Item, size: WorldSize, seed: int) -> None:
    scene = draw(seed, item.split, item.index)
    side = size.segmentation_px
    rendering = render(scene, (side, side), texture_bank(seed))
    name = f'ADE_{SPLITS[item.split]}_{item.index + 1:08d}'
    folders = [root / ROOT / kind / item.split for kind in ('images', 'annotations')]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    write_jpeg(folders[0] / f'{name}.jpg', rendering.image)
    write_png(folders[1] / f'{name}.png', label_map(scene, rendering))


def finish(root: Path, size: WorldSize, records: list[tuple[Item, None]]) -> dict:
    return {
        'root': ROOT,
        'train': 'training',
        'val': 'validation',
        'classes': list(SEGMENTATION_CLASSES),
        'ignore_index': 255,
        'reduce_zero_label': True,
    }
