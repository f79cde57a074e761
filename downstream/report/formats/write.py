"""Puts a finished report into its folder: everything is written elsewhere first, then renamed."""

import os
import tempfile
from pathlib import Path

from downstream.report.content import Content
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.page import render_page
from downstream.report.formats.table_csv import render_csv
from mim_backbones.errors import UserError

PAGE = 'report.html'


def check_writable(out: Path) -> None:
    """Asks before any work is done whether `out` can be made and written.

    Raises:
        UserError: it cannot.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f'{out}: is a file; give --out a folder')
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f'{out}: cannot be written (no right to write in {existing})')


def write_report(content: Content, out: Path) -> Path:
    """Writes report.html, report.md, report.csv and figures/ and gives the page's path.

    Files of an older report in `out` are replaced one by one; anything else there stays.

    Raises:
        UserError: `out` cannot be written; nothing is left half-written then.
    """
    markdown, figures = render_markdown(content)
    files = {
        **figures,
        'report.md': markdown.encode(),
        'report.csv': render_csv(content).encode(),
        PAGE: render_page(content).encode(),  # last: a page that is there is complete
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix='.report-') as staging:
            for name, data in files.items():
                staged = Path(staging, name)
                staged.parent.mkdir(exist_ok=True)
                staged.write_bytes(data)
            for name in files:
                (out / name).parent.mkdir(exist_ok=True)
                os.replace(Path(staging, name), out / name)
    except OSError as error:
        raise UserError(
            f'cannot write {out}: {error.strerror}; free some space or choose another folder'
        ) from error
    return out / PAGE
