"""`mimbench tokenize`: token ids of a folder's images, for trainings on a fixed crop."""

from pathlib import Path

import click


@click.command()
@click.argument('tokenizer', type=click.Path(path_type=Path))
@click.argument('images', type=click.Path(path_type=Path))
@click.option('--out', type=click.Path(path_type=Path), default='token_ids.npz', show_default=True)
@click.option(
    '--token-size', type=click.IntRange(1),
    help="The tokenizer's view in pixels; its own if left out.",
)  # fmt: skip
@click.option('--batch-size', type=click.IntRange(1), default=32, show_default=True)
def tokenize(
    tokenizer: Path, images: Path, out: Path, token_size: int | None, batch_size: int
) -> None:
    """Write the ids of every image's centre crop, one file for a folder.

    \b
    Examples:
      mimbench tokenize work_dirs/vqkd/epoch_100.pth data/imagenet/train --out token_ids.npz
      tools/train.py configs/pretrain/beitv2.py --cfg-options \\
        model.target._delete_=True model.target.type=CachedTokens model.target.file=token_ids.npz \\
        train_dataloader.dataset.type=CachedTokenImages ...
    """
    from mim_backbones.training.launch import check_writable
    from pretrain.images.dataset import list_images
    from pretrain.images.token_cache import UNREADABLE
    from pretrain.images.tokenize_images import tokenize_images
    from pretrain.inspect.tokens import open_tokenizer
    from pretrain.targets.frozen import FrozenTokenizer

    check_writable(out.absolute().parent)
    count = len(list_images(images))
    frozen = FrozenTokenizer(open_tokenizer(tokenizer))
    size = token_size or frozen.net.input_size
    with click.progressbar(
        length=count, label='images', file=click.get_text_stream('stderr')
    ) as bar:
        cache = tokenize_images(frozen, images, size, batch_size, bar.update)
    cache.write(out)
    unreadable = int((cache.ids[:, 0, 0] == UNREADABLE).sum())
    click.echo(
        f'{out}: {count} images, {unreadable} of them unreadable, '
        f'{cache.ids.shape[1]}x{cache.ids.shape[2]} ids of {cache.codes} codes'
    )
