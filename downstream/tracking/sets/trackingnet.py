"""TrackingNet's training chunks (arXiv 1803.10794).

    <root>/TRAIN_0 .. TRAIN_11/{anno/<video>.txt, frames/<video>/<k>.jpg}, <root>/TEST

Frames count from 0, without leading zeros. A target without area is not there.
"""

from collections.abc import Iterator
from collections.abc import Sequence as Sequential
from pathlib import Path

from downstream.tracking.data import Sequence, read_boxes
from mim_backbones.errors import UserError


class TrackingNetSet:
    """Its training videos, 'TRAIN_0/<video>'.

    Args:
        root: the folder that holds TRAIN_0.
        chunks: which of them; the published trackers take all twelve.
    """

    still = False

    def __init__(self, root: str, chunks: Sequential[int] = tuple(range(12))) -> None:
        self.root = Path(root)
        self.chunks = tuple(chunks)

    def check(self) -> None:
        """Raises UserError for a test video among the training videos."""
        tested = {path.stem for path in (self.root / 'TEST' / 'anno').glob('*.txt')}
        both = sorted(name for name in self.names() if name.partition('/')[2] in tested)
        if both:
            raise UserError(
                f'{self.root}: {len(both)} test videos are in training chunks ({both[0]}); take '
                'them out'
            )

    def names(self) -> list[str]:
        """Raises UserError for a chunk that is not there or empty."""
        found = []
        for chunk in self.chunks:
            folder = self.root / f'TRAIN_{chunk}' / 'anno'
            videos = sorted(path.stem for path in folder.glob('*.txt'))
            if not videos:
                raise UserError(
                    f'{folder}: no video; restore the chunk, or name those you have as '
                    'chunks=[0,1] of the set'
                )
            found += [f'TRAIN_{chunk}/{video}' for video in videos]
        return found

    def watched(self) -> Iterator[Path]:
        """What changes when a video does."""
        for name in self.names():
            yield self._annotation(name)
            yield self._frames(name)

    def read(self, name: str) -> Sequence:
        """Raises UserError for an annotation that is missing or wrong."""
        boxes = read_boxes(self._annotation(name))
        there = (boxes[:, 2:] > 0).all(axis=1)
        return Sequence(name, self._frames(name), boxes, there, '{}.jpg', first=0)

    def _annotation(self, name: str) -> Path:
        chunk, _, video = name.partition('/')
        return self.root / chunk / 'anno' / f'{video}.txt'

    def _frames(self, name: str) -> Path:
        chunk, _, video = name.partition('/')
        return self.root / chunk / 'frames' / video
