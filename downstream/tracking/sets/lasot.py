"""LaSOT, or anything in its layout (`tracking/data.py`), as training sequences."""

from collections.abc import Iterator
from pathlib import Path

from downstream.tracking.data import Sequence, check_split, read_annotation, read_names


class LasotSet:
    """The sequences of a list.

    Args:
        root: LaSOT's folder.
        train_list: names, in a file relative to `root`.
        test_list: sequences that must not be among them; None for no check.
    """

    still = False

    def __init__(
        self,
        root: str,
        train_list: str = 'training_set.txt',
        test_list: str | None = 'testing_set.txt',
    ) -> None:
        self.root = Path(root)
        self.train_list, self.test_list = train_list, test_list

    def check(self) -> None:
        """Raises UserError for a test sequence among the training sequences."""
        if self.test_list is not None:
            check_split(self.root, self.train_list, self.test_list)

    def folder(self, name: str) -> Path:
        return self.root / name.rsplit('-', 1)[0] / name

    def names(self) -> list[str]:
        return read_names(self.root, self.train_list)

    def watched(self) -> Iterator[Path]:
        """What changes when a sequence does."""
        for name in self.names():
            folder = self.folder(name)
            for file in ('groundtruth.txt', 'full_occlusion.txt', 'out_of_view.txt', 'img'):
                yield folder / file

    def read(self, name: str) -> Sequence:
        """Raises UserError for an annotation that is missing or wrong."""
        return read_annotation(self.root, name)
