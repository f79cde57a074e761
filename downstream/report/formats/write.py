"""Puts a finished report into its folder: everything is written elsewhere first, then renamed."""

import base64
import os
import tempfile
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from downstream.report.content import Report
from downstream.report.formats import degradation_text, shift_text, wording
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.table_csv import render_csv, render_robustness_csv
from mim_backbones.errors import UserError

PAGE = 'report.html'


def write_report(report: Report, out: Path) -> Path:
    """Writes report.html, report.md, report.csv and figures/ and gives the page's path.

    Where there are scores under corruption, they go into robustness.csv.

    Files of an older report in `out` are replaced one by one; anything else there stays.

    Raises:
        UserError: `out` cannot be written; nothing is left half-written then.
    """
    markdown, figures = render_markdown(report)
    files = {
        **figures,
        **{name: text.encode() for name, text in render_robustness_csv(report).items()},
        'report.md': markdown.encode(),
        'report.csv': render_csv(report).encode(),
        PAGE: render_page(report).encode(),  # last: a page that is there is complete
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


def render_page(report: Report) -> str:
    """One HTML page that needs nothing beside it: no script, no link, no font."""
    environment = Environment(
        loader=PackageLoader('downstream', 'report/formats'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['base64'] = lambda content: base64.b64encode(content).decode()
    return environment.get_template('report.html.j2').render(
        report=report, say=wording, corrupted=degradation_text, shifted=shift_text
    )
