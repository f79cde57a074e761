"""Which images are the tenth: pinned, so that no change of code or library moves it."""

import hashlib
import json
import random

import pytest

from downstream.detection.tenth import CocoTenth, tenth

IDS = range(1, 20001)


def test_the_rule_by_hand() -> None:
    def number(text: str) -> int:
        return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)

    assert tenth(IDS) == [each for each in IDS if number(f'0 {each}') % 10 == 0]
    assert tenth(IDS)[:8] == [1, 26, 39, 41, 53, 55, 60, 63]
    assert hashlib.sha256(json.dumps(tenth(IDS)).encode()).hexdigest()[:16] == '76994a27e0aa6769'


def test_it_is_a_tenth_whatever_the_order_and_the_rest() -> None:
    chosen = tenth(IDS)
    assert len(chosen) == pytest.approx(2000, rel=0.1)
    mixed = random.Random(0).sample(IDS, len(IDS))
    assert sorted(tenth(mixed)) == chosen
    assert tenth(IDS[:10000]) == [each for each in chosen if each <= 10000]
    other = tenth(IDS, seed=1)
    assert len(set(other) & set(chosen)) == pytest.approx(200, rel=0.3)


def test_few_images_are_taken_whole() -> None:
    assert tenth(range(999)) == list(range(999))
    assert len(tenth(range(1000))) < 150


@pytest.mark.parametrize('count', [1500, 40])
def test_the_data_set_holds_them_and_drops_what_cannot_be_trained_on(tmp_path, count: int) -> None:
    images = [
        {'id': i, 'file_name': f'{i}.jpg', 'width': 20 if i % 7 == 0 else 64, 'height': 64}
        for i in range(count)
    ]
    boxes = [
        {'id': i, 'image_id': i, 'category_id': 1, 'bbox': [1, 2, 9, 9], 'area': 81, 'iscrowd': 0}
        for i in range(0, count, 2)
    ]
    file = tmp_path / 'instances.json'
    content = {'images': images, 'annotations': boxes, 'categories': [{'id': 1, 'name': 'thing'}]}
    file.write_text(json.dumps(content))
    data = CocoTenth(
        ann_file=str(file), metainfo={'classes': ('thing',)}, pipeline=[], data_prefix={'img': ''},
        filter_cfg={'filter_empty_gt': True, 'min_size': 32},
    )  # fmt: skip
    found = {data.get_data_info(i)['img_id'] for i in range(len(data))}
    assert found == {i for i in tenth(range(count)) if i % 2 == 0 and i % 7}
    assert found
