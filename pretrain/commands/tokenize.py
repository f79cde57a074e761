"""`mimbench tokenize`: token ids of a folder's images, for trainings on a fixed crop."""

import json
from pathlib import Path
from typing import Any

import click

from mim_backbones.console.options import backbone_option


@click.command()
@click.argument('tokenizer', type=click.Path(path_type=Path))
@click.argument('images', type=click.Path(path_type=Path))
@click.option('--out', type=click.Path(path_type=Path), default='token_ids.npz', show_default=True)
@click.option(
    '--token-size', type=click.IntRange(1, 2048),
    help="The tokenizer's view in pixels; its own if left out.",
)  # fmt: skip
@click.option('--batch-size', type=click.IntRange(1, 4096), default=32, show_default=True)
@backbone_option
@click.option('--json', 'as_json', is_flag=True, help='Print what was written as JSON.')
def tokenize(
    tokenizer: Path, images: Path, out: Path, token_size: int | None, batch_size: int,
    backbone: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    """Write the ids of every image's centre crop, one file for a folder.

    A training with the target CachedTokens then crops every image as it was tokenized.

    \b
    Examples:
      mimbench tokenize work_dirs/vqkd/epoch_100.pth data/imagenet/train --out token_ids.npz
      tools/train.py configs/pretrain/beitv2.py --cfg-options model.target._delete_=True \\
        model.target.type=CachedTokens model.target.file=token_ids.npz
    """
    from mim_backbones.console.atomic_file import check_writable
    from pretrain.images.decode import list_images
    from pretrain.images.token_cache import UNREADABLE, tokenize_images
    from pretrain.targets.tokens import TokenTarget
    from pretrain.tokenizers.trained import open_tokenizer

    check_writable(out.absolute().parent)
    count = len(list_images(images))
    target = TokenTarget(open_tokenizer(tokenizer, backbone))
    size = token_size or target.frozen.net.input_size
    with click.progressbar(
        length=count, label='images', file=click.get_text_stream('stderr')
    ) as bar:
        cache = tokenize_images(
            target.ids, target.width, target.fingerprint, images, size, batch_size, bar.update
        )
    cache.write(out)
    record = {
        'written': str(out),
        'images': count,
        'unreadable': int((cache.ids[:, 0, 0] == UNREADABLE).sum()),
        'grid': list(cache.ids.shape[1:]),
        'codes': cache.codes,
        'tokenizer': cache.digest.tobytes().hex(),
    }
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        rows, columns = record['grid']
        click.echo(
            f'{out}: {count} images, {record["unreadable"]} of them unreadable, '
            f'{rows}x{columns} ids of {cache.codes} codes'
        )
