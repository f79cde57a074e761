"""`mimbench analyze tokens`: whether a BEiT checkpoint and a tokenizer belong together."""

from pathlib import Path
from typing import Any

import click

from mim_backbones.console.options import backbone_option, warn_skipped


@click.command()
@click.argument('checkpoint', type=click.Path(path_type=Path))
@click.argument('tokenizer', type=click.Path(path_type=Path))
@click.argument('images', type=click.Path(path_type=Path))
@click.option(
    '--count', type=click.IntRange(1), default=64, show_default=True,
    help='Images taken from a folder.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True, help='Of the masks.')
@click.option(
    '--token-size', type=click.IntRange(1, 2048),
    help="The tokenizer's view in pixels; its own if left out.",
)  # fmt: skip
@click.option(
    '--early-layers', type=click.IntRange(1), help='Of BEiT v2, where the file does not say.'
)
@backbone_option
@click.option('--json', 'as_json', is_flag=True, help='One JSON object on standard output.')
def tokens(
    checkpoint: Path,
    tokenizer: Path,
    images: Path,
    count: int,
    seed: int,
    token_size: int | None,
    early_layers: int | None,
    backbone: dict[str, Any],
    as_json: bool,
) -> None:
    """Masked-token accuracy of a model on the ids of a tokenizer, beside chance.

    CHECKPOINT is of BEiT or BEiT v2 pre-training, ours or a released one; TOKENIZER is a VQ-KD
    tokenizer or DALL-E's encoder; IMAGES is one image or a folder of them. Exit code 1: the two
    cannot belong together.

    \b
    Examples:
      mimbench analyze tokens work_dirs/beitv2/epoch_300.pth tokenizer.pth data/imagenet/val
      mimbench analyze tokens beitv2_base_pt1k.pth vqkd_clip.pth photos/ --json
      mimbench analyze tokens beit_base_pt22k.pth encoder.pkl photos/ --token-size 112
    """
    import json
    import sys
    from dataclasses import asdict

    from pretrain.inspect.tokens import measure_pair

    options = {'early_layers': early_layers}
    found = measure_pair(checkpoint, tokenizer, images, count, seed, token_size, options, backbone)
    warn_skipped(found.skipped)
    if as_json:
        result = {**asdict(found), 'belongs': found.belongs, 'verdict': found.verdict()}
        click.echo(json.dumps(result))
    else:
        for branch, accuracy in found.accuracy.items():
            click.echo(
                f'accuracy {branch}   {accuracy:8.3%}   {accuracy / found.chance:.1f} x chance'
            )
        click.echo(f'commonest id   {found.majority:8.3%}   always naming one id')
        click.echo(f'chance         {found.chance:8.3%}   one of {round(1 / found.chance)} codes')
        click.echo(
            f'{found.patches} hidden patches of {found.images} images, {found.used} ids among them'
        )
        click.echo(found.verdict())
    sys.exit(0 if found.belongs else 1)
