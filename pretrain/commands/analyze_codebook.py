"""`mimbench analyze codebook`: how much of a tokenizer's vocabulary is used, and for what."""

from pathlib import Path
from typing import Any

import click

from mim_backbones.console.options import backbone_option, warn_skipped

LARGEST_VIEW = 2048  # pixels; a tokenizer of 16 such images fits no memory


@click.command()
@click.argument('tokenizer', type=click.Path(path_type=Path))
@click.argument('images', type=click.Path(path_type=Path))
@click.option('--count', type=click.IntRange(1, 20_000), default=256, show_default=True,
              help='Images taken from a folder, spread evenly.')  # fmt: skip
@click.option('--size', type=click.IntRange(1, LARGEST_VIEW),
              help="Side in pixels; the tokenizer's own if left out.")  # fmt: skip
@click.option('--out', type=click.Path(path_type=Path),
              help='Draw the patches of the most frequent codes to this PNG or JPEG.')  # fmt: skip
@click.option('--codes', type=click.IntRange(1, 200), default=24, show_default=True,
              help='Codes in the picture.')  # fmt: skip
@click.option('--patches', type=click.IntRange(1, 100), default=16, show_default=True,
              help='Patches of each.')  # fmt: skip
@backbone_option
@click.option('--json', 'as_json', is_flag=True, help='Print everything as JSON.')
def codebook(
    tokenizer: Path,
    images: Path,
    count: int,
    size: int | None,
    out: Path | None,
    codes: int,
    patches: int,
    backbone: dict[str, Any],
    as_json: bool,
) -> None:
    """Usage, perplexity and dead codes of a tokenizer on some images.

    TOKENIZER is a VQ-KD tokenizer, ours or a released one, or DALL-E's encoder; IMAGES is one
    image or a folder of them. The picture has a row for each of the most frequent codes, with
    patches that were given this code, from as many images as possible.

    \b
    Examples:
      mimbench analyze codebook work_dirs/vqkd/epoch_100.pth data/imagenet/val --out codes.png
      mimbench analyze codebook vqkd_clip.pth photos/ --count 1000 --json

    Exit codes: 0 done; 2 the tokenizer or the images cannot be read, and one line says why.
    """
    import json
    from dataclasses import asdict

    from pretrain.inspect.codebook import survey
    from pretrain.inspect.pictures import check_picture, write_picture
    from pretrain.tokenizers.trained import open_tokenizer

    if out is not None:
        check_picture(out)
    found = survey(open_tokenizer(tokenizer, backbone), images, count, size, codes, patches)
    warn_skipped(found.skipped)
    if out is not None:
        write_picture(out, found.picture())
    if as_json:
        result = {**asdict(found.health), 'histogram': dict(found.health.histogram)}
        top = [asdict(code) for code in found.codes]
        click.echo(json.dumps({'images': found.images, **result, 'most_frequent': top}))
        return
    click.echo(found.health.as_text())
    if found.health.tokens < 10 * found.health.codes:
        click.echo(
            f'{found.health.tokens} tokens for {found.health.codes} codes: too few to tell dead '
            'codes from rare ones; take more images with --count'
        )
    if out is not None:
        click.echo(out)
