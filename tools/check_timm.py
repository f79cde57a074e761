"""Hold every ViT, Swin and Hiera of timm against the backbone that its weights load into.

    python tools/check_timm.py                    all of them, docs/timm.md is written anew
    python tools/check_timm.py NAME ... --print   some, nothing is written

A model is accepted when `from_checkpoint` builds a backbone of it, and then has to give timm's own
features: every block or stage and the final norm, at the model's own size, with random weights that
leave nothing at its start value (norms, biases, layer scales, tables). Models are cut to two blocks
a stage. Twice each: as `timm:NAME`, with timm's word on what weights do not show, and as a bare
state dict, with heads, windows and the like given where the error asks for them. Models of other
modules of timm have to be refused, or to be equal too.
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim_backbones.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / 'docs' / 'timm.md'
FAMILIES = (
    'vision_transformer', 'deit', 'beit', 'eva', 'swin_transformer', 'swin_transformer_v2', 'hiera',
)  # fmt: skip
TOLERANCE = 1e-4
DEPTH = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one model.

    Attributes:
        error: largest difference from timm's features, in their standard deviations; None when
            the model was refused.
        why: the refusal, without the checkpoint's name.
    """

    name: str
    error: float | None = None
    why: str = ''

    @property
    def verdict(self) -> str:
        if self.error is None:
            return 'refused'
        return 'equal' if self.error <= TOLERANCE else 'DIFFERENT'


def names_of(families: tuple[str, ...] | None = None) -> list[str]:
    """timm's models whose code is in these modules; None: in the others."""
    import timm
    from timm.models import _registry

    found = []
    for name in timm.list_models():
        module = _registry.model_entrypoint(name).__module__.rpartition('.')[2]
        if module in families if families is not None else module not in FAMILIES:
            found.append(name)
    return found


def model_of(name: str, **options: Any) -> Any:
    """The model with random weights, two blocks a stage; as it is where its class is not cut.

    One that cannot be cut, as options go block by block, has no memory.
    """
    import timm

    for shorter in ({'depth': DEPTH}, {'depths': (DEPTH,) * 4}, {'stages': (1, 2, 2, 1)}):
        try:
            model = timm.create_model(name, **shorter, **options)
        except TypeError as error:
            if next(iter(shorter)) not in str(error):
                raise
            continue
        except AssertionError:
            return outline(name, **options)
        return randomise(model).eval()
    return randomise(timm.create_model(name, **options)).eval()


def outline(name: str, **options: Any) -> Any:
    """The whole model without memory."""
    import timm
    import torch

    with torch.device('meta'):
        return timm.create_model(name, **options)


def randomise(model: Any) -> Any:
    """Weights that keep the signal's size; nothing at the value it starts with."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def noise(parameter: Any) -> Any:
        return torch.randn(parameter.shape, generator=generator)

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(('pos_embed', '_token', 'bias_table', 'logit_scale', 'pos_embed_win')):
                parameter.add_(noise(parameter) * 0.5)
            elif parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(noise(parameter) * fan_in**-0.5)
            elif name.endswith('weight') or 'gamma' in name:  # norms, layer scales
                parameter.copy_(1 + noise(parameter) * 0.3)
            else:
                parameter.add_(noise(parameter) * 0.3)
    return model


def theirs(model: Any, image: Any) -> list[Any]:
    """timm's features: each block's or stage's map, then the last one normed, where it is."""
    import torch.nn as nn

    maps = model.forward_intermediates(image, intermediates_only=True, output_fmt='NCHW')
    norm = getattr(model, 'norm', None)
    if norm is None or isinstance(norm, nn.Identity):
        return maps
    last = norm(maps[-1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return [*maps, last]


def ours(backbone: Any, image: Any, count: int) -> list[Any]:
    """The same of our backbone: `count` maps, the normed one being the last of them if one more
    than it has blocks or stages."""
    ends = getattr(backbone, 'stage_ends', None)
    if ends is None and hasattr(backbone, 'depths'):
        ends = [sum(backbone.depths[: i + 1]) - 1 for i in range(len(backbone.depths))]
    indices = list(range(backbone.depth)) if ends is None else list(ends)
    maps = list(backbone.intermediates(image, indices))
    return maps if count == len(maps) else [*maps, backbone.forward_tokens(image)]


def difference(backbone: Any, model: Any, image: Any) -> float:
    """Largest of |ours - timm's|, in standard deviations of timm's features.

    timm leaves out what is no whole patch at right and below.
    """
    import torch

    with torch.no_grad():
        expected = theirs(model, image)
        height, width = (
            side // backbone.patch_size * backbone.patch_size for side in image.shape[2:]
        )
        found = ours(backbone.eval(), image[..., :height, :width], len(expected))
    if len(found) != len(expected) or any(a.shape != b.shape for a, b in zip(found, expected)):
        return float('inf')
    return max(float((a - b).abs().max() / b.std()) for a, b in zip(found, expected))


def image_for(model: Any) -> Any:
    import torch

    size = getattr(model.patch_embed, 'img_size', None) or model.pretrained_cfg['input_size'][1:]
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, *size, generator=generator)


def check(name: str, model: Any, bare: bool = False) -> Outcome:
    """Load the model's weights and compare.

    Args:
        bare: without timm's word; what errors ask for is then given.
    """
    from mim_backbones.checkpoints.load import from_checkpoint
    from mim_backbones.checkpoints.source import Content
    from mim_backbones.checkpoints.timm_config import said_by

    word = said_by(model)
    said = {} if bare else word
    content = Content('FILE' if bare else f'timm:{name}', state_of(model), said)
    answers = {
        'num_heads': word.get('num_heads'),
        'window_size': max(word.get('timm.stage_windows', (0,))),
        'pretrained_window_sizes': word.get('timm.pretrained_window_sizes'),
        'act': word.get('timm.act', 'gelu'),
        'rope': word.get('timm.rope', 'none'),
    }
    given: dict[str, Any] = {}
    while True:
        try:
            backbone, _ = from_checkpoint(content, **given)
            break
        except UserError as error:
            asked = re.search(rf'give ({"|".join(answers)})=', str(error))
            if not bare or asked is None or asked[1] in given:
                return Outcome(name, why=reason(str(error)))
            given[asked[1]] = answers[asked[1]]
    return Outcome(name, difference(backbone, model, image_for(model)))


def check_elsewhere(name: str) -> Outcome | None:
    """A model of another module, without memory: None where it is refused as no backbone of ours.

    Raises whatever else than a refusal comes of it.
    """
    from mim_backbones.checkpoints.load import backbone_config
    from mim_backbones.checkpoints.source import Content
    from mim_backbones.checkpoints.timm_config import said_by

    model = outline(name)
    try:
        backbone_config(Content(f'timm:{name}', state_of(model), said_by(model)))
    except UserError as error:
        why = reason(str(error))
        return None if why.startswith('holds no ViT') else Outcome(name, why=why)
    return check(name, model_of(name))


def state_of(model: Any) -> dict[str, Any]:
    """Its weights; what has no memory becomes one number, repeated."""
    import torch

    return {
        key: torch.ones((), dtype=value.dtype).expand(value.shape) if value.is_meta else value
        for key, value in model.state_dict().items()
    }


def reason(message: str) -> str:
    return re.sub(r'^checkpoint \S+:? (\([^)]*\) )?', '', message)


def main() -> None:
    args = parse_args()
    import torch

    torch.set_num_threads(args.threads)
    start = time.perf_counter()
    rows, elsewhere = [], []
    for name in args.names or names_of(FAMILIES):
        model = model_of(name)
        rows.append((check(name, model), check(name, model, bare=True)))
        print(f'{name}: {line(rows[-1][0])} | bare: {line(rows[-1][1])}', flush=True)
    for name in [] if args.names else names_of():
        found = check_elsewhere(name)
        if found is not None:
            elsewhere.append(found)
            print(f'{name}: {line(found)}', flush=True)
    if not args.print:
        TABLE.write_text(table(rows, elsewhere))
    print(f'{time.perf_counter() - start:.0f} s')
    wrong = [o.name for o in (*sum(rows, ()), *elsewhere) if o.verdict == 'DIFFERENT']
    sys.exit(f'different from timm: {", ".join(wrong)}' if wrong else 0)


def line(outcome: Outcome) -> str:
    return outcome.verdict + (
        f' {outcome.why}' if outcome.error is None else f' {outcome.error:.1e}'
    )


HEADER = """# Models of timm {version}

Written by `python tools/check_timm.py`, which says how the two are compared. *equal*: features as
timm's, to the largest error given (in standard deviations; {tolerance:g} is allowed). *refused*:
what it has that no backbone here runs, or what no weight shows. *asked*: nothing but the name of
the model tells, so that the file wants `timm:NAME@FILE`.

{counts}
"""


def table(rows: list[tuple[Outcome, Outcome]], elsewhere: list[Outcome]) -> str:
    """Markdown: how many, then a line a model."""
    import timm

    named = [outcome for outcome, _ in rows]
    accepted = [outcome for outcome in named if outcome.error is not None]
    worst = max((outcome.error for outcome in accepted if outcome.error is not None), default=0.0)
    counts = (
        f'{len(named)} ViTs, Swins and Hieras: {len(accepted)} accepted (largest error '
        f'{worst:.1e}), {len(named) - len(accepted)} refused. Of the models of its other modules '
        f'{sum(o.error is not None for o in elsewhere)} are accepted.'
    )
    lines = [
        HEADER.format(version=timm.__version__, tolerance=TOLERANCE, counts=counts),
        '| model | as `timm:NAME` | as a bare state dict |',
        '|---|---|---|',
        *(f'| {one.name} | {line(one)} | {line(bare)} |' for one, bare in rows),
        '',
        '## Other models with a patch embedding',
        '',
        '| model | as `timm:NAME` |',
        '|---|---|',
        *(f'| {one.name} | {line(one)} |' for one in elsewhere),
        '',
    ]
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', metavar='NAME', help='models of timm; default: all')
    parser.add_argument('--print', action='store_true', help='leave docs/timm.md as it is')
    parser.add_argument('--threads', type=int, default=1, help='of torch; default: 1')
    return parser.parse_args()


if __name__ == '__main__':
    main()
