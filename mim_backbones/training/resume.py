"""Which checkpoint a run goes on from: the newest that is whole.

`last_checkpoint` is a note of it. A kill leaves the note at the checkpoint before, a copied folder
leaves it at a place that is gone, a loss of power may leave it empty.
"""

import re
from collections.abc import Iterator
from logging import Logger
from pathlib import Path

from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file

NOTE = 'last_checkpoint'
NUMBERED = re.compile(r'(epoch|iter)_(\d+)\.pth')


def newest_whole(work_dir: Path, logger: Logger) -> Path | None:
    """The checkpoint to resume from; None where there is none at all.

    Raises:
        CheckpointError: there are some, and none can be read.
    """
    found = list(newest_first(work_dir))
    for path in found:
        try:
            content = read_weights_file(path)
        except CheckpointError as error:
            logger.warning(f'passed over: {error}')
            continue
        if 'meta' in content and 'message_hub' in content:
            return path
        logger.warning(f'passed over: {path} holds weights only, no training')
    if found:
        raise CheckpointError(
            f'none of the {len(found)} checkpoints in {work_dir} can be resumed from; move them '
            'away to start anew'
        )
    return None


def newest_first(work_dir: Path) -> Iterator[Path]:
    """Checkpoints of a run from the newest on: the one that is noted, unless a later is there.

    A file with a higher number that is older than the noted one belongs to an earlier run in the
    same folder, and comes last.
    """
    noted = noted_checkpoint(work_dir)
    folder = noted.parent if noted else work_dir
    numbered = [p for p in folder.glob('*.pth') if NUMBERED.fullmatch(p.name)]
    written = {path: path.stat().st_mtime for path in (*numbered, *([noted] if noted else []))}

    def place(path: Path) -> tuple[bool, float, int]:
        match = NUMBERED.fullmatch(path.name)
        kind, number = (match[1], int(match[2])) if match else ('', 0)
        # Kinds by their latest file, within a kind the numbers.
        latest = max((t for p, t in written.items() if p.name.startswith(kind)), default=0.0)
        return noted is None or written[path] >= written[noted], latest, number

    yield from sorted(written, key=place, reverse=True)


def noted_checkpoint(work_dir: Path) -> Path | None:
    """The file that `last_checkpoint` names, perhaps moved with its folder; None: it is gone."""
    note = work_dir / NOTE
    text = note.read_text(errors='replace').strip() if note.is_file() else ''
    places = (Path(text), work_dir / Path(text).name) if text else ()
    return next((path for path in places if path.is_file()), None)
