import json

import pytest
from click.testing import CliRunner
from PIL import Image

from pretrain.commands.analyze_decode import decode
from pretrain.inspect.decoding import SHARES, photo_cost


def test_waves_and_photos_as_json_and_as_text(tmp_path) -> None:
    for number in range(3):
        Image.effect_noise((256, 250), 60).save(tmp_path / f'{number}.jpg')
    arguments = [str(tmp_path), '--img-size', '32', '--count', '3']
    found = json.loads(CliRunner().invoke(decode, [*arguments, '--json']).stdout)
    gains = {(w['crop'], w['decode'], w['share']): w['gain'] for w in found['waves']}
    assert len(gains) == 3 * 2 * len(SHARES)
    assert gains[128, 'exact', 0.5] > 0.7 > 0.3 > gains[128, 'exact', 1.6]
    assert found['photos']['images'] == 3
    assert found['photos']['reduced'] == 1
    text = CliRunner().invoke(decode, arguments).stdout
    assert '128 px ->   32 px   fast' in text
    assert '100% decoded smaller' in text


def test_where_nothing_is_decoded_smaller_hardly_anything_differs(tmp_path) -> None:
    files = []
    for number in range(3):
        files.append(str(tmp_path / f'{number}.jpg'))
        Image.effect_noise((90, 70), 60).save(files[-1])
    cost = photo_cost(files, 40)
    assert cost.reduced == 0
    assert cost.difference <= cost.worst < 0.05  # a grey level beside, here and there


@pytest.mark.parametrize('name', ['missing', 'empty'])
def test_no_images_is_one_line(tmp_path, name) -> None:
    (tmp_path / 'empty').mkdir()
    result = CliRunner().invoke(decode, [str(tmp_path / name)])
    assert type(result.exception).__name__ == 'UserError'
