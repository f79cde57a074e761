"""What cannot work is one line before anything is built."""

from pathlib import Path

import pytest

from mim_backbones.errors import UserError
from mim_backbones.training import train as training
from mim_backbones.training.config import read_config
from mim_backbones.training.preflight import check_layer_decay, check_run

DEMO, DETECTOR, SEGMENTER = 'simmim_demo', 'mask-rcnn_vit_smoke_coco', 'upernet_vit_smoke_ade'
ITERATIONS = {'train_cfg': {'_delete_': True, 'type': 'IterBasedTrainLoop', 'max_iters': -5}}
WRITER = {'visualizer.vis_backends': [{'type': 'NeptuneVisBackend'}]}


@pytest.mark.parametrize(('recipe', 'options', 'message'), [
    (DEMO, {'train_dataloader.batch_size': 0}, 'batch_size=0: must be 1 or more'),
    (DEMO, {'train_dataloader.num_workers': -1}, 'num_workers=-1: must be 0 or more'),
    (DEMO, {'train_cfg.max_epochs': 0}, 'max_epochs=0: must be 1 or more'),
    (DEMO, ITERATIONS, 'max_iters=-5: must be 1 or more'),
    (DEMO, {'load_from': 'missing.pth'}, "load_from='missing.pth': no such file"),
    (DEMO, WRITER, 'NeptuneVisBackend needs neptune, which is not installed; pip install'),
    (DETECTOR, {}, 'no folder data/coco/; give --data DATA.yaml'),
    (SEGMENTER, {}, 'no folder data/ade/ADEChallengeData2016/; give --data'),
])  # fmt: skip
def test_training_is_refused(recipe: str, options: dict, message: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        training.train(recipe, work_dir=str(tmp_path / 'run'), options=options)
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(('launcher', 'variable'), [
    ('slurm', 'SLURM_PROCID'), ('pytorch', 'RANK'), ('mpi', 'OMPI_COMM_WORLD_LOCAL_RANK'),
])  # fmt: skip
def test_a_launcher_that_did_not_start_this(launcher: str, variable: str, monkeypatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=f'--launcher {launcher}: {variable} is not set'):
        training.train(DEMO, launcher=launcher)


def test_too_few_images_for_a_batch(world: Path, tmp_path) -> None:
    with pytest.raises(UserError, match='24 samples make no batch of 128 for each process'):
        training.train(
            'simmim', work_dir=str(tmp_path), data=str(world), options={
                'model.backbone.arch': 'tiny-lite', 'train_dataloader.num_workers': 0,
                'train_dataloader.persistent_workers': False,
            },
        )  # fmt: skip


@pytest.mark.parametrize(
    'name', ['LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor']
)
def test_a_stock_layer_decay_is_told_to_use_ours(name: str) -> None:
    cfg = read_config(
        _recipe(SEGMENTER),
        {
            'optim_wrapper.constructor': name,
            'optim_wrapper.paramwise_cfg': {'_delete_': True, 'decay_rate': 0.9},
        },
    )
    with pytest.raises(UserError, match=r'mim_backbones\.LayerDecayConstructor.*layer_decay=0\.9'):
        check_layer_decay(cfg)


def test_a_sound_recipe_passes(world: Path) -> None:
    from mim_backbones.training.overrides import use_data

    cfg = read_config(_recipe(DETECTOR))
    use_data(cfg, str(world))
    for what in ('train', 'test'):
        check_run(cfg, what)


def _recipe(name: str) -> Path:
    from mim_backbones.console.recipes import find_recipe

    return find_recipe(name)
