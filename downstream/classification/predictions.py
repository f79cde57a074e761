"""Predictions of a classifier made elsewhere, as a file, for `mimbench score`.

    CSV    name,top1,top2,top3,top4,top5     classes by name or number, the likeliest first
    CSV    name,CLASS,CLASS,...              a score of each class, which the columns name or number
    NPZ    names (N,), scores (N, C)         the same as arrays, columns in label order
    NPY    scores (N, C)                     rows in the order of the val split's listing

A picture is called as our own results call it ('val/n01440764/ILSVRC2012_val_00000293.JPEG'), or by
the end of that, as long as no other picture of the split ends so. Scores that are not negative and
sum to 1 are probabilities, others logits; both give a calibration error, classes alone do not.
"""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.classification.data import ClassificationData, Index, train_index, val_index
from downstream.classification.ranks import ranks_of
from downstream.classification.units import TOP, ClassificationUnits
from downstream.task import Evaluation
from mim_backbones.errors import UserError

NAME, FIRST = 'name', 'top1'
SUM_TOLERANCE = 1e-3  # of probabilities that were rounded for a text
BROKEN = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile)


def score_file(data: ClassificationData, path: Path) -> Evaluation:
    """Metrics of the val split.

    Raises:
        UserError: the file is none of these, or does not have each picture of the split once.
    """
    if path.is_dir():
        raise UserError(f'{path} is a folder; give a CSV, NPZ or NPY file of predictions')
    classes = train_index(data).classes
    truth = val_index(data, classes)
    if path.suffix.lower() in ('.npy', '.npz'):
        names, scores = _arrays(path, truth)
        units, note = _of_scores(path, truth, names, scores)
    else:
        units, note = _of_csv(path, truth)
    reliability = units.reliability()
    tables = {'calibration': reliability} if reliability else {}
    return Evaluation(units.observed(), units, notes=(note,), tables=tables)


def _of_csv(path: Path, truth: Index) -> tuple[ClassificationUnits, str]:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding='utf-8-sig'))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path} cannot be read as CSV ({error})') from error
    rows = [[cell.strip() for cell in row] for row in rows if row]
    if not rows or rows[0][0] != NAME or len(rows[0]) < 2:
        raise UserError(
            f'{path}: the first line must be `name,top1,...,top5`, or `name` and every class'
        )
    columns, body = rows[0][1:], rows[1:]
    for number, row in enumerate(body, 2):
        if len(row) != len(rows[0]):
            raise UserError(
                f'{path}, line {number}: {len(row)} cells, the first has {len(rows[0])}'
            )
    names = [row[0] for row in body]
    if columns[0] == FIRST:
        return _of_ranked(path, truth, names, [row[1:] for row in body]), 'of classes by rank'
    order = [_class(path, 1, one, truth.classes) for one in columns]
    if sorted(order) != list(range(len(truth.classes))):
        raise UserError(
            f'{path}: {len(set(order))} classes in the first line, the data has '
            f'{len(truth.classes)}; give each one column'
        )
    scores = np.empty((len(body), len(order)))
    for place, row in enumerate(body):
        try:
            scores[place, order] = [float(cell) for cell in row[1:]]
        except ValueError as error:
            raise UserError(f'{path}, line {place + 2}: {error}; a score is a number') from error
    return _of_scores(path, truth, names, scores)


def _of_ranked(
    path: Path, truth: Index, names: list[str], rows: list[list[str]]
) -> ClassificationUnits:
    needed = min(max(TOP.values()), len(truth.classes))
    if rows and len(rows[0]) < needed:
        raise UserError(
            f'{path}: {len(rows[0])} classes a picture; top-5 takes top1 to top{needed}'
        )
    places = _places(path, truth, names)
    ranks = np.full(len(names), len(truth.classes))
    for number, (place, row) in enumerate(zip(places, rows), 2):
        found = [_class(path, number, one, truth.classes) for one in row]
        if len(set(found)) < len(found):
            raise UserError(f'{path}, line {number}: a class occurs twice')
        if truth.labels[place] in found:
            ranks[number - 2] = found.index(truth.labels[place])
    own = [truth.files[place] for place in places]
    return ClassificationUnits(own, ranks, [truth.labels[place] for place in places])


def _of_scores(
    path: Path, truth: Index, names: Sequence[str], scores: NDArray
) -> tuple[ClassificationUnits, str]:
    places = _places(path, truth, names)
    bad = np.flatnonzero(~np.isfinite(scores).all(1))
    if len(bad):
        raise UserError(f'{path}: {names[bad[0]]} has a score that is not finite')
    likely = bool((scores >= 0).all() and (abs(scores.sum(1) - 1) <= SUM_TOLERANCE).all())
    labels = torch.tensor([truth.labels[place] for place in places])
    logits = torch.from_numpy(scores.astype(np.float64))
    if likely:
        logits = logits.log()
    own = [truth.files[place] for place in places]
    rows = ranks_of(logits[:, None], labels, own, torch.zeros(len(own), dtype=torch.bool), True)
    units = ClassificationUnits(
        own,
        np.array([row.ranks[0] for row in rows]),
        labels.numpy(),
        np.array([row.confidence[0] for row in rows if row.confidence is not None]),
    )
    return units, f'scores taken as {"probabilities" if likely else "logits"}'


def _arrays(path: Path, truth: Index) -> tuple[Sequence[str], NDArray]:
    try:
        content = np.load(path, allow_pickle=False)
        whole = isinstance(content, np.ndarray)
        scores = np.asarray(content if whole else content['scores'], np.float64)
        names = truth.files if whole else [str(one) for one in content['names'].tolist()]
    except BROKEN as error:
        raise UserError(
            f'{path} cannot be read ({error}); an NPZ has `names` and `scores`, an NPY the scores'
        ) from error
    wanted = (len(names), len(truth.classes))
    if scores.shape != wanted:
        raise UserError(
            f'{path}: scores {scores.shape}, expected {wanted} for pictures and classes'
        )
    return names, scores


def _places(path: Path, truth: Index, names: Sequence[str]) -> list[int]:
    """Where in the val split each picture is.

    Raises:
        UserError: a name is unknown, means several pictures or occurs twice, or one is missing.
    """
    ends: dict[str, list[int]] = {}
    for place, file in enumerate(truth.files):
        parts = file.split('/')
        for start in range(len(parts)):
            ends.setdefault('/'.join(parts[start:]), []).append(place)
    places = []
    for name in names:
        found = ends.get(name.removeprefix('./'), [])
        if len(found) != 1:
            why = f'means {len(found)} pictures' if found else 'is none'
            raise UserError(
                f'{path}: {name!r} {why} of the val split, as {truth.files[0]!r} is one'
            )
        places += found
    (place, count), *_ = Counter(places).most_common(1) or [(0, 0)]
    if count > 1:
        raise UserError(f'{path}: {truth.files[place]} occurs {count} times')
    missing = sorted(set(range(len(truth.files))) - set(places))
    if missing:
        raise UserError(
            f'{path}: {len(missing)} of {len(truth.files)} pictures are missing, the first is '
            f'{truth.files[missing[0]]}'
        )
    return places


@cache
def _numbers(classes: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, name in enumerate(classes)}


def _class(path: Path, line: int, word: str, classes: tuple[str, ...]) -> int:
    """By name, else by number from 0."""
    numbers = _numbers(classes)
    if word in numbers:
        return numbers[word]
    if word.isdecimal() and int(word) < len(classes):
        return int(word)
    raise UserError(
        f'{path}, line {line}: {word!r} is no class of the data; known are {len(classes)}, as '
        f'{classes[0]!r}, and their numbers from 0'
    )
