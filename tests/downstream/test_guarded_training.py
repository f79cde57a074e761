"""Fine-tuning goes back once from what is not finite, then stops; nothing broken is scored."""

import pytest

from downstream.evaluation.job_config import job_config
from downstream.evaluation.worker import result_of
from downstream.task import Evaluation
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError
from mim_backbones.training.guard.hook import REWOUND
from mim_backbones.training.launch import build_runner

BLOCK = 'backbone.blocks.2.mlp.fc1'


def runner_that_breaks(make_job, world, weights, task: str, *steps: int):
    """Steps of two micro-batches of two images; a block gives NaN in some."""
    job = make_job(task, weights, options={
        'train_cfg.max_iters': 3, 'train_dataloader.batch_size': 2,
        'auto_scale_lr.base_batch_size': 4, 'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False})  # fmt: skip
    runner = build_runner(job_config(job, load_data_spec(world)))

    def spoil(module, inputs, output):
        return output * float('nan') if runner.iter + 1 in steps and module.training else output

    runner.model.get_submodule(BLOCK).register_forward_hook(spoil)
    return runner


@pytest.mark.parametrize('task', [
    'tracking', pytest.param('detection', marks=pytest.mark.slow),
    pytest.param('segmentation', marks=pytest.mark.slow),
])  # fmt: skip
def test_once_it_goes_on_and_twice_it_stops(make_job, world, weights, task: str) -> None:
    once = runner_that_breaks(make_job, world, weights, task, 2)
    once.train()
    assert once.iter == 3
    assert once.step_batch.parts == 2
    assert once.message_hub.get_info(REWOUND) == 2
    assert all(value.isfinite().all() for value in once.model.parameters())
    twice = runner_that_breaks(make_job, world, weights, task, 2, 3)
    with pytest.raises(UserError, match=f'iteration 3, for the second.* the output of {BLOCK} '):
        twice.train()
    once.model.backbone.norm.weight.data.fill_(float('nan'))
    with pytest.raises(UserError, match=r'backbone\.norm\.weight is not finite, so nothing is sco'):
        once.test()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_score_that_is_no_number_is_no_result(make_job, value: float) -> None:
    evaluation = Evaluation({'mIoU': 30.0, 'mAcc': value, 'aAcc': 50.0})
    with pytest.raises(UserError, match=f'mAcc is {value}, so no result is written'):
        result_of(make_job('segmentation'), evaluation, {}, {})
