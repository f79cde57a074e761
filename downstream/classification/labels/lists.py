"""Lists of labelled pictures as they are published: a file name a line.

    n01440764_10043.JPEG

So are SimCLR's subsets of 1 % and 10 % of ImageNet (google-research/simclr, imagenet_subsets).
Where a name occurs twice a line is the path below the data set's root, train/CLASS/NAME.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError


def write_list(path: Path, files: Sequence[str], chosen: Iterable[int]) -> None:
    """Write which of the files (paths below the root) are chosen."""
    names = [Path(file).name for file in files]
    lines = names if len(set(names)) == len(names) else files
    text = ''.join(f'{lines[index]}\n' for index in chosen)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(path, text.encode())


def read_list(path: Path, files: Sequence[str]) -> NDArray[np.int64]:
    """Indices of the files (paths below the root) that a list names, in rising order, each once.

    Raises:
        UserError: the list cannot be read or is empty, or a line names no file, or several.
    """
    places = {file: index for index, file in enumerate(files)}
    often = Counter(Path(file).name for file in files)
    by_name = {Path(file).name: index for index, file in enumerate(files)}
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'list {path}: cannot be read ({error})') from error
    found = set()
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line:
            continue
        if often[line] > 1:
            raise UserError(
                f'{path}, line {number}: {often[line]} training pictures are called {line}; write '
                'the path below the root, train/CLASS/NAME'
            )
        index = places.get(line, by_name.get(line))
        if index is None:
            raise UserError(f'{path}, line {number}: no training picture is called {line}')
        found.add(index)
    if not found:
        raise UserError(f'list {path} names no picture; a file name a line is expected')
    return np.array(sorted(found), np.int64)
