"""One-stream tracking on LaSOT-style data. Importing it registers what its recipes name."""

from downstream.tracking import metric as _metric  # noqa: F401
from downstream.tracking import model as _model  # noqa: F401
from downstream.tracking import pairs as _pairs  # noqa: F401
