"""The pictures of a split and what they are read from: name -> encoded bytes, whatever holds them.

A layout gives a `Listing`; names are paths below the data set's root, whether a file system knows
them or not ('train/00012.tar/key.jpg').
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

Pair = tuple[str, str]  # name, class


class Store(Protocol):
    """Encoded pictures by name."""

    def read(self, name: str) -> bytes:
        """Raises OSError or ValueError where it is not there, or not whole."""


@dataclass(frozen=True)
class Folder:
    """Files below a root."""

    root: Path

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class Listing(NamedTuple):
    """pairs: in a fixed order; none where there are no pictures."""

    pairs: list[Pair]
    store: Store
