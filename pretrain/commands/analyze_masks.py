"""`mimbench analyze masks`: what a masker hides."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mim_backbones.errors import UserError

AREA = click.IntRange(1, 2**31 - 1)  # more is no image, and no whole number of NumPy's


@click.command()
@click.argument('name', required=False)
@click.option('--config', type=click.Path(path_type=Path), help='Take the masker of this recipe.')
@click.option('--img-size', type=int, help='Side of the image in pixels.  [224]')
@click.option('--patch-size', type=int, help='Side of a backbone patch in pixels.  [16]')
@click.option('--unit-px', type=int, help='Side in pixels of what is hidden as a whole.')
@click.option('--ratio', type=float, help='Share to hide (all but grid).')
@click.option('--count', type=int, help='Units to hide (blockwise).')
@click.option('--side-px', type=int, help='Side of the square in pixels (square, central).')
@click.option('--min-block', type=AREA, help='Smallest area in units (blockwise).')
@click.option('--max-block', type=AREA, help='Largest area in units (blockwise).')
@click.option('--min-aspect', type=float, help='Smallest height / width (blockwise).')
@click.option('--max-aspect', type=float, help='Largest height / width (blockwise).')
@click.option(
    '--exact/--up-to', default=None, help='Hide the count exactly or stop short (blockwise).'
)
@click.option('--every', type=int, help='One visible unit in so many, both ways (grid).')
@click.option('--shift/--no-shift', default=None, help='Move the grid with each mask (grid).')
@click.option('--samples', type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    '--avg-dist-samples', type=click.IntRange(1), default=200, show_default=True,
    help='Masks of those that AvgDist is computed from.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True)
@click.option('--image', type=click.Path(path_type=Path), help='Draw on this; a test picture else.')
@click.option(
    '--out', type=click.Path(path_type=Path), help='Draw example masks to this PNG or JPEG.'
)
@click.option('--examples', type=click.IntRange(1, 100), default=8, show_default=True)
@click.option('--json', 'as_json', is_flag=True, help='Print everything as JSON.')
def masks(
    name: str | None,
    config: Path | None,
    samples: int,
    avg_dist_samples: int,
    seed: int,
    image: Path | None,
    out: Path | None,
    examples: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Ratio, AvgDist and per-cell frequency of a masker, and a picture of its masks.

    NAME is random, blockwise, square, central, grid, or the name a masker is registered under.
    With --config the options replace those of the recipe. AvgDist is the mean distance in pixels
    from a hidden pixel to the nearest visible one.

    \b
    Examples:
      mimbench analyze masks random --img-size 192 --patch-size 4 --unit-px 32 --ratio 0.6
      mimbench analyze masks blockwise --count 75 --up-to --out beit.png
      mimbench analyze masks --config configs/pretrain/simmim.py --image cat.jpg --out masks.png
      mimbench analyze masks square --ratio 0.25 --json

    Exit codes: 0 done; 2 an option, a file or a masker is not right, and one line says what.
    """
    if (name is None) == (config is None):
        raise UserError(
            'give either a masker (random, blockwise, square, central, grid) or --config'
        )
    if image is not None and out is None:
        raise UserError('--image without --out: say where to draw, for example --out masks.png')
    import numpy as np

    from pretrain.inspect.masks import mask_statistics, statistics_text
    from pretrain.inspect.pictures import (
        check_picture,
        check_size,
        example_sheet,
        plain_scene,
        read_picture,
        write_picture,
    )
    from pretrain.maskers.choice import build_masker, masker_config, recipe_masker_config

    options = {key: value for key, value in given.items() if value is not None}
    chosen = recipe_masker_config(config, options) if config else masker_config(name, options)
    masker, patch = build_masker(chosen), chosen['patch_size']
    if out is not None:
        check_picture(out)
        size = (masker.grid[0] * patch, masker.grid[1] * patch)
        check_size(examples + 2, size, 1)
        picture = plain_scene(size) if image is None else read_picture(image, size)
    statistics = mask_statistics(
        masker, patch, samples, avg_dist_samples, np.random.default_rng(seed)
    )
    if as_json:
        click.echo(json.dumps({'masker': chosen, 'seed': seed, **asdict(statistics)}))
    else:
        options_text = ', '.join(
            f'{key}={value!r}' for key, value in chosen.items() if key != 'type'
        )
        click.echo(f'masker     {chosen["type"]}({options_text})')
        click.echo(statistics_text(statistics, getattr(masker, 'unit', 1)))
    if out is not None:
        drawn = masker.batch(examples, np.random.default_rng(seed))
        sheet = example_sheet(picture, drawn, np.array(statistics.frequency))
        write_picture(out, sheet)
        click.echo(out, err=as_json)
