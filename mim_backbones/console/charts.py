"""The look that every chart shares: its width, its colours on a light and a dark page, its file."""

import io
import re
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

WIDTH = 8.4  # inches
# Part of a chart -> its colour on a light page and on a dark one.
COLOURS = {
    'paper': ('#ffffff', '#0d1117'),
    'ink': ('#1f2328', '#e6edf3'),
    'quiet': ('#57606a', '#9da7b3'),
    'grid': ('#e4e7eb', '#30363d'),
    'score': ('#1f5fa8', '#79b8ff'),
    'baseline': ('#6e7781', '#9da8b4'),
    'above': ('#1a6b3c', '#56d364'),
    'below': ('#b3261e', '#ff7b72'),
    'unclear': ('#6e7781', '#9da8b4'),
    'undecided': ('#1f5fa8', '#79b8ff'),  # carries no mark
    'amber': ('#9a5b00', '#f0b35a'),
    'violet': ('#6f42c1', '#d2a8ff'),
    'teal': ('#0b7285', '#56d4dd'),
}
STYLE: Any = {  # matplotlib types each key
    'svg.hashsalt': 'mimbench',  # element ids are random by default: each report would differ
    'svg.fonttype': 'path',
    'text.parse_math': False,  # names are no formulas
}
LIGHT = {part: light for part, (light, _) in COLOURS.items()}


def for_dark_page(svg: bytes) -> bytes:
    """The chart with the colours of a dark page."""
    dark = {light.encode(): other.encode() for light, other in COLOURS.values()}
    return re.sub(b'|'.join(dark), lambda found: dark[found[0]], svg)


def blank(height: float) -> Figure:
    """An empty figure of a page's width and a height in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)  # inches
    figure = Figure(figsize=(WIDTH, height), layout=layout, facecolor=LIGHT['paper'])
    FigureCanvasAgg(figure)
    return figure


def encoded(figure: Figure, form: str) -> bytes:
    """The same figure gives the same bytes."""
    stream = io.BytesIO()
    stable = {'Date': None} if form == 'svg' else {'Software': None}
    figure.savefig(stream, format=form, dpi=200, metadata=stable)
    return stream.getvalue()
