"""ImageNet folders: imagenet/{train,val}/WNID/*.JPEG, one dominant object per picture."""

from pathlib import Path

from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import OBJECT_CLASSES, object_label, wnid
from downstream.synthetic.layouts.item import Item, numbered, random_stream, write_jpeg
from downstream.synthetic.render import render
from downstream.synthetic.sampler import PORTRAIT, draw_scene
from downstream.synthetic.scene import Scene
from downstream.synthetic.sizes import WorldSize

ROOT = 'imagenet'


def items(size: WorldSize) -> list[Item]:
    return [
        *numbered('pretrain', 'train', size.pretrain_train),
        *numbered('pretrain', 'val', size.pretrain_val),
    ]


def label_of(index: int) -> int:
    """The classes take turns."""
    return object_label(index % len(OBJECT_CLASSES))


def draw(seed: int, split: str, index: int) -> Scene:
    """The scene of one picture."""
    rng = random_stream(seed, f'{ROOT}/{split}', index)
    return draw_scene(rng, PORTRAIT, dominant=label_of(index))


def write(root: Path, item: Item, size: WorldSize, seed: int) -> None:
    scene = draw(seed, item.split, item.index)
    side = size.pretrain_px
    folder = wnid(label_of(item.index))
    path = root / ROOT / item.split / folder / f'{folder}_{item.index + 1:06d}.JPEG'
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jpeg(path, render(scene, (side, side), texture_bank(seed)).image)


def finish(root: Path, size: WorldSize, records: list[tuple[Item, None]]) -> dict:
    lines = [f'{wnid(object_label(i))} {c.name}\n' for i, c in enumerate(OBJECT_CLASSES)]
    (root / ROOT / 'classes.txt').write_text(''.join(lines))
    return {'root': f'{ROOT}/train'}
