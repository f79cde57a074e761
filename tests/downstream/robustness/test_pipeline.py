"""Corruption inside a data set: after loading, in every worker, annotations untouched."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from torch.utils.data import DataLoader

from downstream.cached_dataset import CachedDataset
from downstream.evaluation.protocols import recipes
from downstream.robustness.conditions import Conditions
from downstream.robustness.corrupt import corrupt
from downstream.robustness.pipeline import check_decodes, identity, make_corruptible
from mim_backbones.errors import UserError
from mim_backbones.training.config import open_config

FOG = Conditions(('fog', 'impulse_noise'), (1, 5))


class Numbered(BaseDataset):
    """Six pictures; what loads them comes second, as other steps may stand before it."""

    def load_data_list(self):
        return [{'img_path': f'/any/where/val/{i}.jpg', 'label': i} for i in range(6)]


def look_up(results):
    return {**results, 'seen': True}


def load(results):
    rng = np.random.default_rng(results['label'])
    return {**results, 'img': rng.integers(0, 256, (20 + results['label'], 30, 3), dtype=np.uint8)}


def dataset():
    found = Numbered(pipeline=[])
    found.pipeline.transforms = [look_up, load]
    return found


def pictures(samples):
    return {one['label']: one['img'] for one in samples}


def first(batch):
    return batch[0]


@pytest.mark.parametrize('workers', [0, 2])
def test_loaders_give_the_same_pictures_whatever_their_workers_and_order(workers):
    data = ConcatDataset([dataset()])
    clean = pictures(dataset()[i] for i in range(6))
    switch = make_corruptible(data, FOG)
    more = {'persistent_workers': True} if workers else {}
    loader = DataLoader(data, num_workers=workers, shuffle=True, collate_fn=first, **more)
    assert all((pictures(loader)[k] == v).all() for k, v in clean.items())  # off
    for name, severity in FOG.pairs():  # running workers hear of it
        switch.turn(name, severity)
        for label, image in pictures(loader).items():
            wanted = corrupt(
                np.ascontiguousarray(clean[label][..., ::-1]), name, severity, f'val/{label}.jpg'
            )
            assert (image[..., ::-1] == wanted).all()
    switch.off()
    assert all((pictures(loader)[k] == v).all() for k, v in clean.items())


def test_the_transform_of_a_config():
    built = ROOT_TRANSFORMS.build(
        {'type': 'downstream.Corrupt', 'corruption': 'fog', 'severity': 2, 'channel_order': 'rgb'}
    )
    sample = load({'label': 1, 'sample_idx': 4})
    found = built(dict(sample))
    assert (found['img'] == corrupt(sample['img'], 'fog', 2, '4')).all()
    as_float = built({**sample, 'img': sample['img'].astype(np.float32)})
    assert as_float['img'].dtype == np.float32 and (as_float['img'] == found['img']).all()


def test_a_picture_is_called_by_its_name_and_folder():
    assert identity({'img_path': '/data/coco/val2017/000139.jpg'}) == 'val2017/000139.jpg'
    assert identity({'img_path': 'a.jpg'}) == 'a.jpg'


def test_a_test_set_that_keeps_its_pictures_is_refused():
    with pytest.raises(UserError, match='keeps its decoded pictures'):
        make_corruptible(CachedDataset(dataset(), []), FOG)


def test_every_protocol_decodes_in_a_pipeline_or_is_refused():
    for recipe in recipes().values():
        cfg = open_config(str(recipe.path))
        task = recipe.protocol.task
        if task in ('classification', 'detection', 'segmentation'):
            check_decodes(cfg, task)
        elif task == 'tracking':
            with pytest.raises(UserError, match='name the other tasks'):
                check_decodes(cfg, task)
    nested = {'test_dataloader': {'dataset': {'dataset': {'pipeline': [{'type': 'x'}]}}}}
    check_decodes(Config(nested), 'own')
