"""The learning rate follows the batch of an optimizer step, however it is reached."""

import subprocess
import sys

import pytest
import torch
from mmengine.model import BaseModel

from mim_backbones.training.runner import RecipeRunner


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
    runner = RecipeRunner(
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


SCRIPT = """
import resource
import torch
from mim_backbones.training.launch import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB: 16384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

again = faults(), faults()
kept = keep_freed_memory()
# Small blocks may land in the first gap that is left free; from then on it stays.
print(kept, again[1], min(faults() for _ in range(5)))
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='malloc is asked on glibc only')
def test_the_same_memory_is_used_again():
    # Addresses are drawn for each process: in one of a few the heap has no room to grow.
    faults = []
    for _ in range(8):
        result = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        kept, mapped_anew, used_again = result.stdout.split()
        assert kept == 'True'
        assert int(mapped_anew) > 10_000
        faults.append(int(used_again))
        if faults[-1] < 100:
            return
    pytest.fail(f'page faults of a repeated allocation: {faults}')
