"""Every stock config of mmdet and mmseg with each of our backbones, and the table of it.

Keys are checked for every config, with one family in turn. Models that differ in nothing but
classes, losses and what training and test do with predictions are built and run once.
"""

import contextlib
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from downstream.stock.swap import FAMILIES, StockMap, swapped
from downstream.stock.trial import (
    Trial,
    attempt,
    config_roots,
    stock_files,
    stock_slot,
    swapped_config,
)
from mim_backbones.errors import UserError

# Of a model: nothing that its shapes depend on.
SHAPELESS = {
    'train_cfg', 'test_cfg', 'data_preprocessor', 'init_cfg', 'num_classes', 'pretrained',
    'norm_cfg', 'threshold', 'ignore_index', 'align_corners', 'dropout_ratio', 'sampler',
}  # fmt: skip
INTRO = """# Stock configs with our backbones

Every config that mmdet and mmseg ship, its backbone swapped by the README's two lines, written by
`downstream/stock/swap.py`: {backbones}. Each is read and checked as `tools/train.py` does, built
whole, and run on the meta device through backbone, neck and the heads that read their maps.
{slots} of {files} configs have one backbone that gives maps; of these take {whole}.
Twenty of them also take a step and validate on pictures (`tests/downstream/stock`).

Written by `python tools/stock_configs.py`; versions: {versions}.

| configs | with a slot | {families} | why not |
|---|---|{rules}---|
"""


@dataclass
class Row:
    """One stock config.

    Attributes:
        name: package and path, as mmdet/mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py.
        no_slot: why it has no backbone to swap, if so.
        trials: by family.
    """

    name: str
    no_slot: str = ''
    trials: dict[str, Trial] = field(default_factory=dict)


def survey(jobs: int = 1, only: str = '', each: int | None = None) -> list[Row]:
    """A row for every stock config, by name.

    Args:
        jobs: processes.
        only: part of the names to look at.
        each: how many of a folder; None for all.
    """
    folders: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for package, root in config_roots().items():
        for file in stock_files(package):
            if only in f'{package}/{file.relative_to(root)}':
                folders[package, file.relative_to(root).parts[0]].append(file)
    # Folders share models: the longest first, whole.
    work = [(*key, files[:each]) for key, files in folders.items()]
    work.sort(key=lambda one: -len(one[2]))
    if jobs == 1:
        found = [survey_folder(*one) for one in work]
    else:
        with ProcessPoolExecutor(jobs, get_context('spawn')) as pool:
            found = list(pool.map(survey_folder, *zip(*work, strict=True)))
    return sorted((row for rows in found for row in rows), key=lambda row: row.name)


def survey_folder(package: str, folder: str, files: Sequence[Path]) -> list[Row]:
    import torch

    torch.set_num_threads(1)
    slots: dict[str, list[StockMap] | UserError] = {}
    built: dict[str, Trial] = {}
    root = config_roots()[package]
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stderr(nowhere):
        return [
            survey_file(f'{package}/{file.relative_to(root)}', file, turn, slots, built)
            for turn, file in enumerate(files)
        ]


def survey_file(
    name: str,
    file: Path,
    turn: int,
    slots: dict[str, list[StockMap] | UserError],
    built: dict[str, Trial],
) -> Row:
    """One config; `slots` and `built` keep what was found for models like it."""
    try:
        cfg, maps = stock_slot(file, slots)
    except UserError as error:
        return Row(name, no_slot=one_line(str(error)))
    row = Row(name)
    for place, family in enumerate(FAMILIES):
        try:
            text = swapped(file, cfg, family, maps)
            child = swapped_config(text, checked=place == turn % len(FAMILIES))
        except UserError as error:
            row.trials[family.name] = Trial('check', one_line(str(error)))
            continue
        key = json.dumps(shape_of(child.model), default=str, sort_keys=True)
        if key not in built:
            with contextlib.redirect_stdout(io.StringIO()):
                built[key] = attempt(child)
        row.trials[family.name] = built[key]
    return row


def shape_of(node: Any) -> Any:
    """A model's config without what changes no shape."""
    if isinstance(node, Mapping):
        return {
            key: shape_of(value)
            for key, value in node.items()
            if key not in SHAPELESS and not key.startswith('loss')
        }
    return [shape_of(value) for value in node] if isinstance(node, list | tuple) else node


def one_line(text: str) -> str:
    """Without the places of files, which are this machine's."""
    text = re.sub(r'^config \S+: ', '', ' '.join(text.split()))
    return re.sub(r'/\S*/(?=[\w.-]+)', '', text)[:120]


def as_markdown(rows: Iterable[Row], versions: str) -> str:
    """A line for each folder of configs, and the reasons below it."""
    rows = list(rows)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups['/'.join(row.name.split('/')[:2])].append(row)
    names = [family.name for family in FAMILIES]
    slots = [row for row in rows if not row.no_slot]
    counts = [f'{sum(not row.trials[name].step for row in slots)} {name}' for name in names]
    text = INTRO.format(
        backbones=', '.join(f'{family.name} {family.arch}' for family in FAMILIES),
        slots=len(slots),
        files=len(rows),
        whole=', '.join(counts),
        versions=versions,
        families=' | '.join(names),
        rules='---|' * len(names),
    )
    reasons: dict[str, int] = {}
    for group, members in sorted(groups.items()):
        taking = [row for row in members if not row.no_slot]
        taken = [sum(not row.trials[name].step for row in taking) for name in names]
        why = {row.no_slot for row in members if row.no_slot}
        why |= {one_line(t.why) for row in taking for t in row.trials.values() if t.step}
        marks = sorted(reasons.setdefault(reason, len(reasons) + 1) for reason in why)
        cells = [f'{group} ({len(members)})', len(taking), *taken, ', '.join(map(str, marks))]
        text += f'| {" | ".join(map(str, cells))} |\n'
    text += '\n## Why not\n\n'
    return text + ''.join(f'{mark}. {reason}\n' for reason, mark in reasons.items())
