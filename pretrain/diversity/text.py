"""A comparison as a table for people."""

from collections.abc import Sequence

from rich.table import Table

from pretrain.diversity.measure import Measured
from pretrain.targets.base import as_text

COLUMNS = (
    'teacher', 'M', 'GMAC', 'grid', 'width', 'diversity', 'after LN', 'centred', 'rank',
    'rank-1 residual', 'cosine', 'ms',
)  # fmt: skip


def table(measured: Sequence[Measured]) -> Table:
    """A row for each target, in their order."""
    found = Table(box=None, header_style='bold')
    for column in COLUMNS:
        left = column == 'teacher'
        found.add_column(
            column, justify='left' if left else 'right', no_wrap=not left, overflow='fold'
        )
    for one in measured:
        figures = one.figures
        found.add_row(
            one.name,
            f'{one.parameters / 1e6:.1f}',
            f'{one.macs / 1e9:.2f}',
            as_text(one.grid),
            str(one.width),
            str(one.diversity),
            f'{figures["token_diversity_layer_norm"].mean:.3f}',
            f'{figures["token_diversity_centred"].mean:.3f}',
            f'{figures["token_rank"].mean:.1f}',
            f'{figures["rank1_residual"].mean:.3f}',
            f'{one.similarity[0]:.2f} to {one.similarity[-1]:.2f}',
            f'{one.milliseconds:.1f}',
        )
    return found
