"""`mimbench analyze teachers`: how diverse the tokens of targets are, before training on one."""

from pathlib import Path

import click

from mim_backbones.console.options import warn_skipped


@click.command()
@click.argument('teachers', nargs=-1, required=True, metavar='TEACHER...')
@click.option(
    '--images', type=click.Path(path_type=Path), required=True, metavar='DIR',
    help='A folder of images, or one.',
)  # fmt: skip
@click.option(
    '--limit', type=click.IntRange(1), default=64, show_default=True,
    help='Images taken from the folder, evenly spread; the same for all.',
)  # fmt: skip
@click.option(
    '--img-size', type=click.IntRange(16, 2048),
    help="Side in pixels of what nets, pixels and HOG see. [default: a net's own, else 224]",
)  # fmt: skip
@click.option(
    '--patch-size', type=click.IntRange(1, 256), default=16, show_default=True,
    help='Pixels per position of pixels and HOG.',
)  # fmt: skip
@click.option(
    '--results', type=click.Path(path_type=Path), metavar='DIR',
    help='Of `mimbench eval`, its checkpoints named as the teachers: diversity against scores.',
)  # fmt: skip
@click.option(
    '--out', type=click.Path(path_type=Path), metavar='PICTURE', help='Draw it: *.png or *.svg.'
)
@click.option('--json', 'as_json', is_flag=True, help='One JSON object on standard output.')
def teachers(
    teachers: tuple[str, ...],
    images: Path,
    limit: int,
    img_size: int | None,
    patch_size: int,
    results: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare targets by token diversity and by what they cost, on the same images.

    TEACHER is the file of a checkpoint (the last map of its backbone), timm:NAME or
    timm:NAME@FILE, random:timm:NAME for random weights, pixels, norm-pix, hog, or a pre-training
    recipe: then it is the tensor that its loss sees, after aligner and norm. NAME=TEACHER names it.

    Diversity is 1 - mean cosine of two tokens of an image, the pairs of a token with itself left
    out; with its standard deviation over images. It depends on read-out, alignment and norm, and
    says little between untrained and trained nets: an untrained ViT and raw pixels have a high one.

    \b
    Examples:
      mimbench analyze teachers timm:resnet50.a1_in1k mae.pth pixels hog --images photos/
      mimbench analyze teachers rn=random:timm:resnet50 recipe.py --images photos/ --out td.png
      mimbench analyze teachers rn=rn.py vit=vit.py --images photos/ --results results --json

    Exit codes: 0 done; 2 wrong input.
    """
    import json
    from dataclasses import asdict

    import torch

    from mim_backbones.console.atomic_file import write_bytes_atomically
    from pretrain.diversity.candidates import open_candidates
    from pretrain.diversity.measure import measure, readable
    from pretrain.diversity.scores import against_scores, read_scores
    from pretrain.diversity.text import table
    from pretrain.images.decode import choose_images

    form = picture_format(out) if out else ''
    candidates = open_candidates(teachers, img_size, patch_size)
    groups = read_scores(results, [one.name for one in candidates]) if results else []
    files, skipped = readable(choose_images(images, limit))
    warn_skipped(skipped)
    measured = [measure(one, files) for one in candidates]
    against = against_scores(measured, groups)
    if out:
        from pretrain.diversity.figure import figure

        write_bytes_atomically(out, figure(measured, against, form))
    threads = torch.get_num_threads()
    if as_json:
        record = {
            'images': len(files),
            'skipped': skipped,
            'threads': threads,
            'teachers': [asdict(one) for one in measured],
            'against': [{**asdict(one), 'verdict': one.verdict()} for one in against],
        }
        click.echo(json.dumps(record))
        return
    from rich.console import Console

    console = Console()
    console.width = max(console.width, 140)
    console.print(table(measured))
    console.print(
        f'{len(files)} images, {threads} thread{"s" * (threads > 1)}. M: million parameters. GMAC '
        'and ms: for an image. cosine: of neighbours, and of tokens farthest apart.'
    )
    for one in against:
        click.echo(f'{one.title}, {one.metric}: {one.verdict()}')
    if out:
        click.echo(str(out))


def picture_format(out: Path) -> str:
    """'png' or 'svg'; asked before any work is done.

    Raises:
        UserError: another ending, or the folder cannot be written.
    """
    from mim_backbones.console.atomic_file import check_writable
    from mim_backbones.errors import UserError

    if out.suffix.lower() not in ('.png', '.svg'):
        raise UserError(f'{out}: call the picture *.png or *.svg')
    check_writable(out.absolute().parent)
    return out.suffix.lower()[1:]
