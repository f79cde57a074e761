"""`mimbench analyze decode`: what decoding large JPEGs at a reduced size costs and spares."""

from pathlib import Path

import click

from mim_backbones.console.options import warn_skipped


@click.command()
@click.argument('images', type=click.Path(path_type=Path))
@click.option(
    '--img-size', type=click.IntRange(8, 4096), default=192, show_default=True,
    help='Side of the crops in pixels.',
)  # fmt: skip
@click.option(
    '--count', type=click.IntRange(1), default=64, show_default=True,
    help='Images taken from a folder.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True, help='Of the crops.')
@click.option(
    '--interpolation', type=click.Choice(['bilinear', 'bicubic', 'lanczos']), default='bilinear',
    show_default=True,
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='One JSON object on standard output.')
def decode(
    images: Path, img_size: int, count: int, seed: int, interpolation: str, as_json: bool
) -> None:
    """Compare decode='exact' with decode='fast': waves, photos, images per second.

    Waves: what is left of a wave's amplitude when a crop two to eight times as large becomes one
    of --img-size, by frequency (1: the highest that the result can hold). Photos: crops as
    pre-training draws them.

    \b
    Examples:
      mimbench analyze decode data/imagenet/train
      mimbench analyze decode photos/ --img-size 96 --interpolation bicubic --json

    Exit codes: 0 done; 2 no readable images.
    """
    import json
    from dataclasses import asdict

    from pretrain.images.decode import DECODES, choose_images, load_readable, unreadable
    from pretrain.inspect.decoding import SHARES, gain, photo_cost

    files = choose_images(images, count)
    read = load_readable(files, img_size)
    warn_skipped(unreadable(files, read))
    cost = photo_cost([*read], img_size, interpolation=interpolation, seed=seed)
    gains = {
        ratio: {
            decode: [gain(round(img_size * ratio), img_size, share, decode, interpolation)
                     for share in SHARES]
            for decode in DECODES
        }
        for ratio in (2.6, 4.0, 8.0)
    }  # fmt: skip
    if as_json:
        waves = [
            {'crop': round(img_size * ratio), 'decode': decode, 'share': share, 'gain': value}
            for ratio, each in gains.items() for decode, values in each.items()
            for share, value in zip(SHARES, values, strict=True)
        ]  # fmt: skip
        click.echo(json.dumps({'img_size': img_size, 'waves': waves, 'photos': asdict(cost)}))
        return
    shares = ''.join(f'{share:8.1f}' for share in SHARES)
    click.echo(f'what is left of a wave, by frequency       {shares}')
    for ratio, each in gains.items():
        for decode, values in each.items():
            text = ''.join(f'{value:8.2f}' for value in values)
            crop = round(img_size * ratio)
            click.echo(f'  {crop:5} px -> {img_size:4} px   {decode:6}             {text}')
    click.echo(
        f'photos: {cost.images} at {img_size} px, {cost.reduced:.0%} decoded smaller; mean '
        f'difference {cost.difference:.2f} grey levels, {cost.worst:.2f} at most'
    )
    for decode, rate in cost.rate.items():
        click.echo(f'  {decode:6} {rate:8.1f} images/s of processor time')
