"""One unit of work, small enough to send to another process."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One picture or sequence of one split."""

    part: str  # as in data.yaml
    split: str  # folder or list name, part of the random stream
    index: int  # within the split
    pictures: int  # how many it writes, about


def numbered(part: str, split: str, count: int, pictures: int = 1) -> list[Job]:
    """`count` jobs of one split."""
    return [Job(part, split, index, pictures) for index in range(count)]
