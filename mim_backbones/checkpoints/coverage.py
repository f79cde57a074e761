"""What a checkpoint covers of a backbone: the report, and the gaps that are refused."""

from collections.abc import Sequence

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Translated
from mim_backbones.checkpoints.fit import Fitted
from mim_backbones.checkpoints.report import LoadReport
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes import architecture_name


def report_of(model: Model, translated: Translated, fitted: Fitted) -> LoadReport:
    """Every key of the file and every parameter of the backbone, under what became of it."""
    ignored = {why: list(keys) for why, keys in translated.ignored.items()}
    for why, keys in fitted.ignored.items():
        ignored.setdefault(why, []).extend(keys)
    return LoadReport(
        source=model.name,
        dialect=translated.dialect.name,
        architecture=architecture_name(translated.dialect.family, translated.state),
        weights=model.where,
        loaded=[key for key in fitted.state if key not in fitted.resized],
        resized={key: how for key, how in fitted.resized.items() if key in fitted.state},
        fresh=fitted.fresh,
        ignored=ignored,
        missing=fitted.missing,
        unexpected=[*translated.unexpected, *fitted.homeless],
    )


def refuse_gaps(report: LoadReport, fitted: Fitted, translated: Translated) -> None:
    """Raises CheckpointError naming what is missing, or what the backbone has no place for."""
    if report.missing:
        raise CheckpointError(
            f'checkpoint {report.source} ({report.dialect}) covers {report.covered:.0%} of the '
            f'backbone; {len(report.missing)} parameters missing: {some(report.missing)}'
        )
    homeless = [*fitted.homeless, *(k for k in translated.unexpected if is_backbone_like(k))]
    if homeless:
        raise CheckpointError(
            f'checkpoint {report.source} ({report.dialect}, {report.architecture}) has weights '
            f'the backbone has no place for: {some(homeless)}; build it as '
            'from_checkpoint does, or name them in leave_out'
        )


def is_backbone_like(key: str) -> bool:
    """Whether an unknown key reads like a backbone's weight rather than a head's."""
    parts = {'blocks', 'layers', 'stages', 'patch_embed', 'rel_pos_bias', 'cls_token', 'norm'}
    first = key.split('.')[0]
    return first in parts or 'pos_embed' in first or first.endswith('_token')


def some(names: Sequence[str], count: int = 5) -> str:
    """The first names, and whether there are more."""
    return ', '.join(names[:count]) + (f', ... ({len(names)} in all)' if len(names) > count else '')
