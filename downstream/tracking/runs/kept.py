"""Tracks in a folder, kept as they are found: whoever is stopped goes on where they were.

    run.json                    whose tracks these are; those of others are never mixed with them
    SEQ.txt, SEQ_time.txt, SEQ_object_presence_scores.txt       layout `pytracking` (formats/)

A sequence is finished when its boxes are there, which are written last; each file is whole or not
there. What is scored is what the files hold, three decimals of it: a run that was stopped, or had
other company, has the scores of one that was not.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from downstream.tracking.data import Sequence as Video
from downstream.tracking.formats.layouts import TrackRecord, find_layout, read_tracks, write_tracks
from downstream.tracking.tracker import Track
from mim_backbones.console.atomic_file import clear_drafts, write_bytes_atomically
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mmengine.runner import Runner

RUN = 'run.json'
LAYOUT = find_layout('pytracking')


class KeptTracks:
    """The finished tracks of one run.

    Args:
        folder: made by `begin`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, identity: Mapping[str, str | int], replace: bool = False) -> None:
        """Make the folder one of the run that `identity` tells from others, or find that it is.

        Args:
            replace: throw away what another run left, instead of refusing.

        Raises:
            UserError: it holds another run's tracks, or files that are no run's; says which.
        """
        mine = dict(identity)
        there = self.folder.is_dir() and any(self.folder.glob('*.txt'))
        kept = _identity(self.folder / RUN)
        if there and kept != mine and not replace:
            other = ', '.join(key for key in mine if (kept or {}).get(key) != mine[key])
            raise UserError(
                f'{self.folder}: holds tracks of another run ({other}); give another folder'
                if kept
                else f'{self.folder}: holds files, and no {RUN} says of what; give an empty folder'
            )
        if kept == mine:
            clear_drafts(self.folder)
            return
        if there:
            for path in self.folder.glob('*.txt'):
                path.unlink()
        write_bytes_atomically(self.folder / RUN, json.dumps(mine, indent=2).encode())

    def has(self, video: Video) -> bool:
        return (self.folder / LAYOUT.box_file(video.name)).is_file()

    def keep(self, track: Track) -> None:
        """Write a finished track. Raises UserError when it cannot be written."""
        found = TrackRecord([track.boxes], [track.seconds], track.scores)
        write_tracks(self.folder, {track.name: found}, LAYOUT)

    def read(self, video: Video) -> Track:
        """Raises UserError for files that are not of this video: they are not tracked again."""
        record = read_tracks(self.folder, [video.name])[video.name]
        (boxes,) = record.boxes
        if (
            record.scores is None
            or not record.times
            or {*map(len, (boxes, *record.times))} != {len(video)}
        ):
            path = self.folder / LAYOUT.box_file(video.name)
            raise UserError(
                f'{path}: not the boxes, times and scores of {len(video)} frames; delete it, and '
                'the sequence is tracked again'
            )
        return Track(video.name, boxes, record.scores, record.times[0])

    def completed(
        self, videos: Sequence[Video], follow: Callable[[], Sequence[Track]]
    ) -> list[Track]:
        """The tracks of videos that are tracked side by side, by `follow` if one of them is not.

        All of them then: how many a network sees at a time shows in the last bit of each.
        """
        if not all(map(self.has, videos)):
            for track in follow():
                self.keep(track)
        return [self.read(video) for video in videos]


def _identity(path: Path) -> dict[str, str | int] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


@contextmanager
def kept_tracks(runner: 'Runner') -> Iterator[None]:
    """Within, a Runner's test loop tracks no sequence that an earlier try of the job has tracked.

    They lie in `tracks` below its work folder; those of other weights are thrown away.
    """
    from mmengine.dist import barrier, get_world_size, is_main_process

    from downstream.evaluation.fingerprint import tensors_digest
    from mim_backbones.training.distributed import undistributed

    model = undistributed(runner.model)
    kept = KeptTracks(Path(runner.work_dir) / 'tracks')
    if is_main_process():
        weights = tensors_digest(model.state_dict())
        kept.begin({'weights': weights, 'processes': get_world_size()}, replace=True)
    barrier()
    plain = model.forward

    def forward(inputs: list[Video], mode: str) -> list[Track]:
        return kept.completed(inputs, lambda: plain(inputs, mode=mode))

    setattr(model, 'forward', forward)  # noqa: B010  a Module's, on this one alone
    try:
        yield
    finally:
        setattr(model, 'forward', plain)  # noqa: B010
