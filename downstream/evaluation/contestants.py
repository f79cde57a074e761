"""What `mimbench eval` compares: checkpoints, each opened and checked, and random starts."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from downstream.evaluation.backbone_config import LOADING, architecture_name
from downstream.evaluation.fingerprint import file_digest, tensors_digest
from downstream.evaluation.job_config import digest, weight_options
from downstream.results.result import Checkpoint
from mim_backbones.checkpoints.load import backbone_config, load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import open_source
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS
from mim_backbones.training.config import open_config, value_at

RANDOM = 'random'
RANDOM_NAME = 'random init'
TIMM = 'timm:'
# mmengine's own file names say nothing of what they hold; their folder's does.
ANONYMOUS = re.compile(r'(epoch|iter)_\d+|latest|last|best.*|checkpoint.*|model')


@dataclass(frozen=True)
class Contestant:
    """A name for people, the weights (None: random start), and the backbone that takes them."""

    name: str
    checkpoint: Checkpoint | None
    method: str
    backbone: dict[str, Any]


Refuse = Callable[[str, UserError], None]


def stop_at(what: str, error: UserError) -> None:
    """What is done with something that cannot be used, where nothing goes on without it."""
    raise error


def open_contestants(
    sources: Sequence[str],
    arch: str | None = None,
    options: Mapping[str, Any] | None = None,
    refuse: Refuse = stop_at,
) -> list[Contestant]:
    """FILE, timm:NAME, one of them as NAME=SOURCE, or 'random' -> contestants.

    Every file is read and its weights fitted once. A random start is added for each architecture
    among the others, or for that of `arch`.

    Args:
        arch: a config file whose `model.backbone` describes files that do not say themselves.
        options: constructor arguments that files do not show: KEY for all, NAME:KEY for one.
        refuse: called with the name of one that cannot be used; if it returns, the others are
            opened.

    Raises:
        UserError: an unreadable or foreign checkpoint, one that contradicts what is said of it,
            equal names, or no architecture to start from.
    """
    described = backbone_of_config(arch) if arch else None
    named = [_named(source) for source in sources if source != RANDOM]
    names = [name for name, _ in named]
    own, common = _by_name(options or {}, names)
    found = []
    for name, source in named:
        try:
            found.append(_open(name, source, described, {**common, **own[name]}))
        except UserError as error:
            refuse(name, error)
    if RANDOM in sources and (found or not named):
        if not found and not described:
            raise UserError(
                f'{RANDOM!r} takes the architecture of another checkpoint of the same command; '
                'give one, or --arch CONFIG'
            )
        place = min(sources.index(RANDOM), len(found))
        models = {one.name: one.backbone for one in found} or {'': described or {}}
        found[place:place] = _random_starts(models)
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'two checkpoints are called {twice!r}; name them: NAME=FILE')
    return found


def backbone_of_config(path: str | Path) -> dict[str, Any]:
    """`model.backbone` of a config file, as plain dicts.

    Raises:
        UserError: no such file, not a config, or it has no model.backbone.
    """
    cfg = open_config(path)
    if value_at(cfg, 'model.backbone') is None:
        raise UserError(f'--arch {path} has no model.backbone')
    return cfg.to_dict()['model']['backbone']


def display_name(path: Path) -> str:
    """The file's name without ending, or its folder's where the name says nothing."""
    stem = path.stem
    return path.resolve().parent.name if ANONYMOUS.fullmatch(stem) else stem


def _named(source: str) -> tuple[str, str]:
    """'a=b.pth' -> ('a', 'b.pth'); a source without a name takes the file's."""
    name, separator, file = source.partition('=')
    if separator and not Path(source).exists() and not source.startswith(TIMM):
        if '.' in name and not file.startswith(TIMM) and not Path(file).exists():
            raise UserError(
                f'{source!r} is no checkpoint (NAME=FILE); if it belongs to an option of several '
                f'values, repeat the option: --cfg-options {source}'
            )
        return name, file
    return source.removeprefix(TIMM) if source.startswith(TIMM) else display_name(
        Path(source)
    ), source


def _by_name(
    options: Mapping[str, Any], names: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    common: dict[str, Any] = {}
    for key, value in options.items():
        name, separator, option = key.rpartition(':')
        if separator and name not in own:
            raise UserError(
                f'--backbone {key}: no checkpoint is called {name!r}; there are: {", ".join(names)}'
            )
        (own[name] if separator else common)[option] = value
    return own, common


def _open(
    name: str, source: str, described: dict[str, Any] | None, options: dict[str, Any]
) -> Contestant:
    from_timm = source.startswith(TIMM)
    content = open_source(source if from_timm else Path(source))
    loading = {key: value for key, value in options.items() if key in LOADING}
    changes = {key: value for key, value in options.items() if key not in LOADING}
    try:
        backbone = backbone_config(content, **options)
    except CheckpointError as error:
        if described is None:
            raise UserError(
                f'{error}; say it with --backbone KEY=VALUE, or describe it with --arch CONFIG'
            ) from error
        backbone = {**described, **changes}
    if described is not None:
        if content.record is None:
            backbone = {**described, **changes}
        else:
            _refuse_contradiction(content.name, backbone, described)
    # Fitting the weights here finds a file that does not cover its backbone before any training.
    load_pretrained(_built(backbone, content.name), content, **loading)
    if loading:
        backbone = {**backbone, 'init_cfg': {'type': 'Pretrained', **loading}}
    checkpoint = (
        Checkpoint(source, tensors_digest(content.tensors))
        if from_timm
        else Checkpoint(str(Path(source).resolve()), file_digest(source))
    )
    method = str((content.record or {}).get('method', 'unknown'))
    return Contestant(name, checkpoint, method, backbone)


def _built(backbone: dict[str, Any], name: str) -> Any:
    try:
        return MODELS.build(dict(backbone))
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f'{name}: {" ".join(str(error).split())}') from error


def _refuse_contradiction(name: str, recorded: dict[str, Any], described: dict[str, Any]) -> None:
    """Raises UserError when --arch says something else than what the file records of itself."""
    theirs, ours = weight_options(recorded), weight_options(described)
    for key in ours:
        if (key in described or key == 'type') and ours[key] != theirs.get(key):
            raise UserError(
                f'--arch says {key}={ours[key]}, {name} records {theirs.get(key)}; leave --arch out'
            )


def _random_starts(models: Mapping[str, dict[str, Any]]) -> list[Contestant]:
    """One for each architecture. models: backbones by the names of those that have them."""
    kinds: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, backbone in models.items():
        kinds.setdefault(digest(weight_options(backbone)), (name, backbone))
    starts = list(kinds.values())
    if len(starts) == 1:
        return [Contestant(RANDOM_NAME, None, 'none', starts[0][1])]
    sizes = [architecture_name(backbone) for _, backbone in starts]
    found = []
    for size, (name, backbone) in zip(sizes, starts, strict=True):
        # Of one size, they differ in positions or the like: whose it is says it shortest.
        whose = f' as {name}' if sizes.count(size) > 1 else ''
        found.append(Contestant(f'{RANDOM_NAME} {size}{whose}', None, 'none', backbone))
    return found
