"""Sets that bring lists of their own: Flowers, Pets, Cars, Aircraft, iNaturalist, as unpacked.

    flowers    jpg/image_00001.jpg, imagelabels.mat, setid.mat       102 classes; 2040 and 6149
    pets       images/NAME.jpg, annotations/{trainval,test}.txt      37 classes; 3680 and 3669
    cars       cars_train, cars_test, devkit/{cars_train_annos,cars_meta}.mat,
               cars_test_annos_withlabels.mat                        196 classes; 8144 and 8041
    aircraft   data/images, data/images_variant_{trainval,test}.txt  100 classes; 6667 and 3333
    inat       train2018.json, val2018.json (or another year's), pictures where these say

Trained is on what the authors call train and val together, where there are both: transfer papers
do, MAE-Lite's among them. Classes of a number keep it, with zeros in front.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from downstream.classification.layouts.listing import Folder, Listing, Pair
from downstream.evaluation.fingerprint import listing_digest
from mim_backbones.errors import UserError

CARS = {'train': ('cars_train', 'devkit/cars_train_annos.mat'),
        'val': ('cars_test', 'cars_test_annos_withlabels.mat')}  # fmt: skip
PETS = {'train': 'annotations/trainval.txt', 'val': 'annotations/test.txt'}
AIRCRAFT = {'train': 'images_variant_trainval.txt', 'val': 'images_variant_test.txt'}


class Official(NamedTuple):
    """How a set is read, and patterns of what its fingerprint is taken over.

    files: what says which picture is of which class.
    pictures: folders; none for iNaturalist, whose lists name half a million.
    """

    read: Callable[[Path, str], list[Pair]]
    files: tuple[str, ...]
    pictures: tuple[str, ...] = ()


def flowers(root: Path, split: str) -> list[Pair]:
    """setid.mat: trnid, valid (1020 each) and tstid number pictures from 1."""
    labels = _matrix(root / 'imagelabels.mat', 'labels').ravel()
    sets = ('trnid', 'valid') if split == 'train' else ('tstid',)
    numbers = [int(n) for name in sets for n in _matrix(root / 'setid.mat', name).ravel()]
    if numbers and max(numbers) > len(labels):
        raise UserError(f'{root}/setid.mat: picture {max(numbers)} of {len(labels)} labels')
    return [(f'jpg/image_{n:05d}.jpg', f'{labels[n - 1]:03d}') for n in numbers]


def pets(root: Path, split: str) -> list[Pair]:
    """Lines NAME CLASS SPECIES BREED; a class is called as its pictures are, without the number."""
    path = root / PETS[split]
    pairs = []
    for name, *_ in _lines(path, 4):
        pairs.append((f'images/{name}.jpg', name.rpartition('_')[0]))
    return pairs


def cars(root: Path, split: str) -> list[Pair]:
    """Structures with fname and class, numbered from 1; names of the classes in cars_meta.mat."""
    folder, file = CARS[split]
    names = [str(one.item()) for one in _matrix(root / 'devkit/cars_meta.mat', 'class_names')[0]]
    rows = _matrix(root / file, 'annotations')[0]
    if 'class' not in (rows.dtype.names or ()):
        raise UserError(f'{root / file}: has no classes; take the file with labels')
    return [
        (f'{folder}/{row["fname"].item()}', names[int(row['class'].item()) - 1]) for row in rows
    ]


def aircraft(root: Path, split: str) -> list[Pair]:
    """Lines NUMBER VARIANT; a variant may have blanks."""
    data = root / 'data' if (root / 'data').is_dir() else root
    below = '' if data == root else 'data/'
    rows = _lines(data / AIRCRAFT[split], 2, cut=1)
    return [(f'{below}images/{number}.jpg', variant) for number, variant in rows]


def inat(root: Path, split: str) -> list[Pair]:
    """COCO's words: images with file_name, annotations with category_id."""
    import json

    found = sorted(root.glob(f'{split}*.json'))
    if len(found) != 1:
        raise UserError(
            f'{root}: {len(found)} files {split}*.json; leave one year, as train2018.json'
        )
    try:
        content = json.loads(found[0].read_text(encoding='utf-8'))
        files = {one['id']: one['file_name'] for one in content['images']}
        rows = [(files[one['image_id']], one['category_id']) for one in content['annotations']]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{found[0]}: none of iNaturalist's files ({type(error).__name__}: {error})"
        ) from error
    return [(file, f'{category:05d}') for file, category in rows]


OFFICIAL = {
    'flowers': Official(flowers, ('imagelabels.mat', 'setid.mat'), ('jpg',)),
    'pets': Official(pets, tuple(PETS.values()), ('images',)),
    'cars': Official(
        cars,
        ('devkit/cars_meta.mat', *(file for _, file in CARS.values())),
        tuple(folder for folder, _ in CARS.values()),
    ),
    'aircraft': Official(
        aircraft,
        tuple(f'**/{name}' for name in AIRCRAFT.values()),
        ('images', 'data/images'),
    ),
    'inat': Official(inat, ('train*.json', 'val*.json')),
}


def read(layout: str, root: Path, split: str) -> Listing:
    """Pictures in the order of the set's own list.

    Raises:
        UserError: a list is missing or broken, or a picture of it is not there.
    """
    pairs = OFFICIAL[layout].read(root, split)
    for name, _ in pairs:
        if not (root / name).is_file():
            raise UserError(f'{layout}: {root / name} is not there, though {split} lists it')
    return Listing(pairs, Folder(root))


def fingerprint(layout: str, root: Path) -> str:
    """16 digits over the set's lists, and over names and sizes of its pictures."""
    own = OFFICIAL[layout]
    lists, folders = (
        [path for name in patterns for path in sorted(root.glob(name))]
        for patterns in (own.files, own.pictures)
    )
    return listing_digest(folders, lists)


def _matrix(path: Path, name: str) -> Any:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise UserError(f'{path} is not there; it comes with the set')
    try:
        return loadmat(path)[name]
    except (MatReadError, OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise UserError(f"{path}: cannot be read as the set's ({error}); fetch it again") from error


def _lines(path: Path, least: int, cut: int = -1) -> Iterable[list[str]]:
    """Words of each line that is no comment."""
    if not path.is_file():
        raise UserError(f'{path} is not there; it comes with the set')
    rows = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        words = line.strip().split(maxsplit=cut)
        if not words or line.startswith('#'):
            continue
        if len(words) < least:
            raise UserError(f'{path}, line {number}: expected {least} words, found {line!r}')
        rows.append(words)
    return rows
