"""Labelled pictures on disk: which there are, of which class, and what a result says of them.

    ROOT/train/CLASS/*, ROOT/val/CLASS/*     ImageNet's layout; classes are sorted by name
    train_list, val_list                     files of lines `PATH CLASS`, paths below ROOT/train and
                                             ROOT/val; CLASS a name, or a number from 0
    train: train-{0000..1023}.tar, val.zip   archives in place of folders (layouts/archives.py)
    layout: cifar, flowers, pets, cars,      sets that bring lists of their own
            aircraft, inat                   (layouts/official.py, layouts/cifar.py)

Folders are listed once: of large sets the listing is kept (layouts/folders.py). A picture is opened
only when it is asked for.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from downstream.classification.layouts import cifar, official
from downstream.classification.layouts.archives import (
    archives_of,
    contents_digest,
    is_archive,
    of_archives,
)
from downstream.classification.layouts.folders import chosen, of_folders, of_list
from downstream.classification.layouts.listing import Listing, Store
from downstream.evaluation.fingerprint import listing_digest
from downstream.task import DataCard
from mim_backbones.errors import UserError

SPLITS = ('train', 'val')
FOLDERS, CIFAR = 'folders', 'cifar'
LAYOUTS = (FOLDERS, CIFAR, *official.OFFICIAL)


@dataclass(frozen=True)
class ClassificationData:
    """Pictures below `root/train` and `root/val`.

    Attributes:
        train, val: folders or archives of the splits; of another layout left as they are.
        train_list, val_list: files that name the pictures and classes of a split, below `root`;
            '' takes the folders' names, or the archives' labels.
        layout: of `LAYOUTS`.
        class_names: file with a line for each class, its name the first word: what numbers from 0
            stand for in archives and lists. '' leaves numbers as they are.
        shifted: folders (or archives) of further test sets, below `root` or anywhere: ImageNet-A,
            -R, -Sketch, V2. Scored by `mimbench eval --shifted`.
        corrupted: folder of ImageNet-C as published, CORRUPTION/SEVERITY/CLASS/NAME; '' corrupts
            the val pictures here when `--corruptions` asks for it.
    """

    root: Path
    train: str = 'train'
    val: str = 'val'
    train_list: str = ''
    val_list: str = ''
    layout: str = FOLDERS
    class_names: str = ''
    shifted: tuple[str, ...] = ()
    corrupted: str = ''

    def wanted(self) -> list[Path]:
        """What must exist."""
        named = [self.root / one for one in (self.class_names, self.corrupted) if one]
        named += [*self.lists(), *(one for set_ in self.shifted for one in self.places_of(set_))]
        if self.layout != FOLDERS:
            return [self.root, *named]
        return [self.root, *(path for split in SPLITS for path in self.places(split)), *named]

    def places(self, split: str) -> list[Path]:
        """The folder of a split, or its archives."""
        return self.places_of(getattr(self, split))

    def places_of(self, pattern: str) -> list[Path]:
        """The folder or the archives that a pattern names."""
        return archives_of(self.root, pattern) if is_archive(pattern) else [self.root / pattern]

    def shifts(self) -> dict[str, str]:
        """The further test sets by name, the folder's or file's.

        Raises:
            UserError: two of one name.
        """
        found: dict[str, str] = {}
        for pattern in self.shifted:
            name = Path(pattern).name.split('.')[0]
            if name in found:
                raise UserError(f'classification: two shifted sets are called {name}; rename one')
            found[name] = pattern
        return found

    def list_file(self, split: str) -> Path | None:
        name = getattr(self, f'{split}_list')
        return self.root / name if name else None

    def lists(self) -> list[Path]:
        return [path for split in SPLITS if (path := self.list_file(split)) is not None]


class Index(NamedTuple):
    """The pictures of a split, in a fixed order.

    classes: names in label order, those of the training split.
    files: names below the root, as `store` reads them.
    labels: one for each file.
    """

    classes: tuple[str, ...]
    files: list[str]
    labels: list[int]
    store: Store


def describe(data: ClassificationData) -> DataCard:
    """Raises UserError for a split without pictures, or a class that only val has."""
    train = train_index(data)
    val = val_index(data, train.classes)
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=_fingerprint(data),
        train=len(train.files),
        val=len(val.files),
        classes=train.classes,
    )


def train_index(data: ClassificationData) -> Index:
    """The training pictures.

    Raises:
        UserError: no pictures, a layout that is not as it should be, or a picture that is listed
            and not there.
    """
    found = _listing(data, 'train')
    return _indexed(found, _class_names({name for _, name in found.pairs}))


def val_index(data: ClassificationData, classes: tuple[str, ...]) -> Index:
    """The test pictures.

    Args:
        classes: of the training pictures.

    Raises:
        UserError: as `train_index`, and for a class that is none of these.
    """
    found = _listing(data, 'val')
    stray = sorted({name for _, name in found.pairs} - set(classes))
    if stray:
        raise UserError(
            f'classification: {data.places("val")[0]} has the class {stray[0]}, which '
            f'{data.places("train")[0]} lacks; put pictures of it there, or take it out'
        )
    return _indexed(found, classes)


def shifted_index(data: ClassificationData, pattern: str, classes: tuple[str, ...]) -> Index:
    """The pictures of a further test set.

    Folders of numbers that no class is called by, as ImageNetV2's, number the classes from 0: by
    value, whatever the order of their names.

    Raises:
        UserError: no pictures, or a class that is none of the training pictures'.
    """
    packed = is_archive(pattern)
    found = of_archives(data.root, pattern) if packed else of_folders(data.root, pattern)
    found = _named(data, found) if data.class_names else found
    where = data.places_of(pattern)[0]
    if not found.pairs:
        raise UserError(f'classification: no JPEG or PNG in {where}/CLASS')
    names = {name for _, name in found.pairs}
    if not names & set(classes) and all(name.isdecimal() for name in names):
        largest = max(map(int, names))
        if largest >= len(classes):
            raise UserError(
                f'classification: {where} has a class number {largest}, the data {len(classes)} '
                'classes, counted from 0'
            )
        pairs = [(file, classes[int(name)]) for file, name in found.pairs]
        return _indexed(Listing(pairs, found.store), classes)
    if names - set(classes):
        raise UserError(
            f'classification: {where} has the class {min(names - set(classes))}, which the '
            'training pictures lack; class_names says what the numbers of archives are called'
        )
    return _indexed(found, classes)


def _indexed(found: Listing, classes: tuple[str, ...]) -> Index:
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [numbers[name] for _, name in found.pairs]
    return Index(classes, [path for path, _ in found.pairs], labels, found.store)


def _class_names(found: set[str]) -> tuple[str, ...]:
    """Sorted; numbers (without zeros in front) by value, as many as the largest asks for."""
    if all(name.isdecimal() and str(int(name)) == name for name in found):
        return tuple(map(str, range(1 + max(map(int, found)))))
    return tuple(sorted(found))


def _listing(data: ClassificationData, split: str) -> Listing:
    found = _of_layout(data, split)
    if not found.pairs:
        raise UserError(
            f'classification: no JPEG or PNG in {data.list_file(split) or data.places(split)[0]}; '
            'pictures lie in a folder for each class, in archives (train: NAME.tar or NAME.zip), '
            f'or in a list ({split}_list) of lines `PATH CLASS`'
        )
    return _named(data, found) if data.class_names else found


def _of_layout(data: ClassificationData, split: str) -> Listing:
    listed, place = data.list_file(split), getattr(data, split)
    if data.layout not in LAYOUTS:
        raise UserError(
            f'classification: layout {data.layout!r}; known: {", ".join(LAYOUTS)}; leave it out '
            'for folders of classes, lists and archives'
        )
    if data.layout == CIFAR:
        return cifar.read(data.root, split)
    if data.layout != FOLDERS:
        return official.read(data.layout, data.root, split)
    if is_archive(place):
        found = of_archives(data.root, place)
        return found if listed is None else chosen(found, place, listed)
    return of_folders(data.root, place) if listed is None else of_list(data.root, place, listed)


def _named(data: ClassificationData, found: Listing) -> Listing:
    """Numbers by the names they stand for."""
    path = data.root / data.class_names
    names = [line.split()[0] for line in path.read_text(encoding='utf-8').splitlines() if line]
    stray = {name for _, name in found.pairs if not (name.isdecimal() and int(name) < len(names))}
    if stray - set(names):
        raise UserError(
            f'{path}: names {len(names)} classes, {min(stray - set(names))!r} is none of them; '
            'give a line for each, in the order of the numbers'
        )
    pairs = [(file, names[int(one)] if one not in stray else one) for file, one in found.pairs]
    return Listing(pairs, found.store)


def _fingerprint(data: ClassificationData) -> str:
    """Of names, sizes and lists; of archives over what is in them."""
    if data.layout == CIFAR:
        return cifar.fingerprint(data.root)
    if data.layout != FOLDERS:
        return official.fingerprint(data.layout, data.root)
    packed = [getattr(data, split) for split in SPLITS if is_archive(getattr(data, split))]
    folders = [
        data.root / place for split in SPLITS if (place := getattr(data, split)) not in packed
    ]
    named = [data.root / data.class_names] if data.class_names else []
    found = listing_digest(folders, [*data.lists(), *named])
    whole = hashlib.sha256(found.encode())
    for pattern in packed:
        whole.update(contents_digest(data.root, pattern).encode())
    return whole.hexdigest()[:16] if packed else found
