"""The learning rate follows the batch of an optimizer step, however it is reached."""

import pytest
import torch
from mmengine.model import BaseModel

from mim_backbones.training.runner import AccumulatingRunner


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> dict[str, torch.Tensor]:
        return {'loss': (self.slope * inputs).sum()}


@pytest.mark.parametrize(
    ('batch', 'steps', 'enable', 'rate'),
    [(96, 1, True, 1.0), (24, 1, True, 0.25), (24, 4, True, 1.0), (24, 4, False, 1.0)],
)
def test_accumulated_batches_count(tmp_path, batch, steps, enable, rate) -> None:
    runner = AccumulatingRunner(
        model=Line(),
        work_dir=str(tmp_path),
        train_dataloader={
            'batch_size': batch,
            'dataset': [torch.ones(1)] * 8,
            'sampler': {'type': 'DefaultSampler'},
        },
        train_cfg={'by_epoch': True, 'max_epochs': 1},
        optim_wrapper={
            'optimizer': {'type': 'SGD', 'lr': 1.0},
            'accumulative_counts': steps,
        },
        experiment_name=f'rate-{tmp_path.name}',
    )
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(wrapper, {'enable': enable, 'base_batch_size': 96})
    assert wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(rate)
