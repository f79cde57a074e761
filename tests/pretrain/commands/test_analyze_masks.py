import json

import pytest
from click.testing import CliRunner
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.commands.analyze_masks import masks

SMALL = ('--img-size', '64', '--patch-size', '8', '--samples', '50', '--avg-dist-samples', '10')
RECIPE = """
default_scope = 'pretrain'
train_dataloader = dict(dataset=dict(type='UnlabelledImages', root='x', img_size=64,
    masker=dict(type='SquareMasker', img_size=64, patch_size=8, ratio=0.25)))
"""


def run(*arguments: str) -> str:
    result = CliRunner().invoke(masks, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ('options', 'ratio'),
    [
        (('random', '--unit-px', '16', '--ratio', '0.5'), 0.5),
        (('blockwise', '--count', '20', '--min-block', '4'), 20 / 64),
        (('square', '--ratio', '0.25'), 0.25),
        (('central', '--side-px', '16'), 4 / 64),
        (('grid', '--every', '2', '--shift'), 0.75),
        (('GridMasker', '--every', '4'), 15 / 16),
    ],
)
def test_every_masker_in_text_and_json(options, ratio) -> None:
    found = json.loads(run(*options, *SMALL, '--json'))
    assert found['ratio'] == pytest.approx(ratio)
    assert found['avg_dist_px'] > 1
    assert len(found['frequency']) == len(found['frequency'][0]) == 8
    text = run(*options, *SMALL)
    assert f'ratio      {ratio:.4f}' in text
    assert f'AvgDist    {found["avg_dist_px"]:.2f} px' in text


def test_up_to_stops_short_and_a_seed_repeats() -> None:
    options = ('blockwise', '--count', '30', *SMALL, '--json')
    up_to = json.loads(run(*options, '--up-to'))
    assert up_to['hidden_min'] < up_to['hidden_max'] == 30
    assert json.loads(run(*options))['hidden_min'] == 30
    assert run(*options) == run(*options) != run(*options, '--seed', '1')


def test_a_recipes_masker_and_a_picture(tmp_path) -> None:
    config, out = tmp_path / 'recipe.py', tmp_path / 'new' / 'masks.png'
    config.write_text(RECIPE)
    found = json.loads(run('--config', str(config), '--ratio', '0.56', '--json'))
    assert found['masker']['type'] == 'SquareMasker'
    assert found['ratio'] == (6 / 8) ** 2
    text = run('--config', str(config), '--out', str(out), '--examples', '3', '--samples', '5')
    assert text.endswith(f'{out}\n')
    with Image.open(out) as picture:
        assert picture.size == (5 * (192 + 6) + 6, 192 + 18 + 12)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'give either a masker'),
        (('random', '--config', 'x.py'), 'give either a masker'),
        (('zigzag',), "masker 'zigzag': unknown; known are random, blockwise"),
        (('square', '--count', '3'), 'SquareMasker takes no count; it takes img_size'),
        (('blockwise',), 'give either ratio or count'),
        (('random', '--unit-px', '30'), 'must divide each other'),
        (('random', '--image', 'x.png'), 'say where to draw'),
        (('random', '--image', 'x.png', '--out', 'y.png'), 'image x.png cannot be decoded'),
        (('--config', 'x.py'), 'config x.py does not exist'),
        (('--config', 'empty.py'), 'has no train_dataloader.dataset.masker'),
        (('--config', 'unmasked.py'), 'has no train_dataloader.dataset.masker'),
        (('--config', 'broken.yml'), 'config broken.yml, line 1: '),
        (('blockwise', '--count', '75', '--max-aspect', 'inf'), 'aspects from 0.3 to inf'),
        (('random', '--img-size', '100000000'), 'is no image; at most 4096 a side'),
        (('random', '--img-size', '4096', '--patch-size', '1'), 'take at most 59 samples'),
        (('random', '--out', 'masks.gif'), 'masks.gif: call the picture *.png or *.jpg'),
        (('random', '--img-size', '4096', '--out', 'a.png'), 'make a picture of'),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {'empty.py': "default_scope = 'pretrain'\n", 'unmasked.py': 'train_dataloader = None',
             'broken.yml': 'a: ]'}  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        CliRunner().invoke(masks, arguments, catch_exceptions=False)
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == texts.keys()


def test_the_masker_of_a_recipe_has_the_sizes_of_its_backbone() -> None:
    """No recipe of ours says them twice: Swin has patches of 4 px at 192, masks of 32."""
    found = json.loads(run('--config', 'configs/pretrain/simmim.py', '--samples', '20', '--json'))
    assert (found['masker']['img_size'], found['masker']['patch_size']) == (192, 4)
    assert found['grid'] == [48, 48] and found['ratio'] == pytest.approx(22 / 36)
