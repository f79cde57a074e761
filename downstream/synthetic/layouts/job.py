"""One unit of work, small enough to send to another process."""

from typing import NamedTuple


class Job(NamedTuple):
    part: str  # as in data.yaml
    split: str  # folder or list name, part of the random stream
    index: int  # within the split
    pictures: int  # how many it writes, about


def numbered(part: str, split: str, count: int, pictures: int = 1) -> list[Job]:
    """`count` jobs of one split."""
    return [Job(part, split, index, pictures) for index in range(count)]
