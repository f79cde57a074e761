"""The rows of a CSV that a user gives."""

import csv
from collections.abc import Sequence
from pathlib import Path

from mim_backbones.errors import UserError


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Raises UserError when the file cannot be read or lacks one of `columns`."""
    try:
        with open(path, newline='', encoding='utf-8') as stream:
            reader = csv.DictReader(stream)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                raise UserError(f'{path}: no column {", ".join(sorted(missing))}')
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path}: cannot be read as CSV ({error})') from error
