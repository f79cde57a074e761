"""LaSOT: lasot/CATEGORY/CATEGORY-N/{img/%08d.jpg, groundtruth.txt, full_occlusion.txt,
out_of_view.txt} and the lists training_set.txt and testing_set.txt.

Boxes are x,y,w,h in whole pixels counted from 0; 0,0,0,0 where the target is absent.
"""

from pathlib import Path

from downstream.synthetic.annotate import frame_truth
from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import OBJECT_CLASSES
from downstream.synthetic.layouts.item import Item, numbered, random_stream, write_jpeg
from downstream.synthetic.render import render
from downstream.synthetic.sequences import EVENTS, MovingScene, draw_sequence
from downstream.synthetic.sizes import WorldSize

ROOT = 'lasot'
LISTS = ('training_set.txt', 'testing_set.txt')


def items(size: WorldSize) -> list[Item]:
    frames = sum(size.frames) // 2
    return [
        *numbered('tracking', 'train', size.tracking_train, frames),
        *numbered('tracking', 'test', size.tracking_test, frames),
    ]


def draw(seed: int, split: str, index: int, size: WorldSize) -> MovingScene:
    """One sequence. Events and the target's class take turns."""
    rng = random_stream(seed, f'{ROOT}/{split}', index)
    shortest, longest = size.frames
    width, height = size.frame_px
    turn = index // len(EVENTS)  # else a class, every eighth, would always meet the same event
    return draw_sequence(
        rng,
        label=index % len(OBJECT_CLASSES) + 1,
        events=EVENTS[(index + turn) % len(EVENTS)],
        frames=int(rng.integers(shortest, longest + 1)),
        aspect=width / height,
    )


def write(root: Path, item: Item, size: WorldSize, seed: int) -> str:
    """Returns the sequence's name."""
    sequence = draw(seed, item.split, item.index, size)
    name = sequence_name(item, size)
    folder = root / ROOT / name.rsplit('-', 1)[0] / name
    (folder / 'img').mkdir(parents=True, exist_ok=True)
    truths = []
    for t in range(len(sequence)):
        scene = sequence.frame(t)
        rendering = render(scene, size.frame_px, texture_bank(seed))
        write_jpeg(folder / 'img' / f'{t + 1:08d}.jpg', rendering.image)
        truths.append(frame_truth(scene, sequence.target, rendering))
    boxes = ''.join(','.join(map(str, truth.box)) + '\n' for truth in truths)
    (folder / 'groundtruth.txt').write_text(boxes)
    for flag in ('full_occlusion', 'out_of_view'):
        values = ','.join(str(int(getattr(truth, flag))) for truth in truths)
        (folder / f'{flag}.txt').write_text(values + '\n')
    return name


def sequence_name(item: Item, size: WorldSize) -> str:
    """CATEGORY-N: numbers go on from the training to the test sequences of a category."""
    category = item.index % len(OBJECT_CLASSES)
    earlier = item.index // len(OBJECT_CLASSES)
    if item.split == 'test':
        earlier += len(range(category, size.tracking_train, len(OBJECT_CLASSES)))
    return f'{OBJECT_CLASSES[category].name}-{earlier + 1}'


def finish(root: Path, size: WorldSize, records: list[tuple[Item, str]]) -> dict:
    for split, file in zip(('train', 'test'), LISTS):
        names = ''.join(f'{name}\n' for item, name in records if item.split == split)
        (root / ROOT / file).write_text(names)
    return {'root': ROOT, 'train_list': LISTS[0], 'test_list': LISTS[1]}
