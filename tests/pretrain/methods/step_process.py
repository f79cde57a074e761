"""One of several gloo processes that train a method on their shares of the same batches.

python step_process.py RANK WORLD RENDEZVOUS BATCHES OUT
"""

import runpy
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist

import mim_backbones  # noqa: F401  the import stand-ins come first
from mim_backbones.training.distributed import DeviceDDP, leave_together, undistributed
from pretrain.registry import MODELS, build
from pretrain.targets.base import Progress


def main(rank: int, world: int, rendezvous: str, batches: str, out: str) -> None:
    """Loss and gradients of each step, and all of the model after it, in OUT.RANK."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group(
            'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=world
        )
    content = torch.load(batches, weights_only=True)
    torch.manual_seed(rank)  # whoever draws by itself is found out
    model = build(MODELS, content['model']).double().train()
    if world > 1:
        model = DeviceDDP(model, broadcast_buffers=False)
    own = undistributed(model)
    optimizer = torch.optim.SGD([p for p in own.parameters() if p.requires_grad], lr=0.1)
    found = {}
    for step, batch in enumerate(content['batches']):
        share = {name: values[rank::world] for name, values in batch.items()}
        optimizer.zero_grad()
        loss = model(**share, mode='loss')['loss']
        loss.backward()
        found[f'{step} loss'] = loss.detach()
        for name, value in own.named_parameters():
            if value.requires_grad:
                found[f'{step} gradient of {name}'] = value.grad.clone()
        optimizer.step()
        own.target.update(own, Progress(step + 1, content['steps'], 1))
        for name, value in own.state_dict().items():
            found[f'{step} {name}'] = value.clone()
    torch.save(found, f'{out}.{rank}')
    leave_together()


def check_two_as_one(
    model: dict,
    batches: list[dict],
    steps: int,
    folder: Path,
    apart: tuple[str, ...] = (),
    **tolerance: float,
) -> dict[str, torch.Tensor]:
    """The same loss, gradients and weights after each step by two processes as by one.

    Args:
        steps: of a training, of which the batches are the first.
        apart: what each process may have of its own, as '0 target.seed'.
        tolerance: atol and rtol.

    Returns:
        What the one process found.
    """
    stored = folder / 'batches.pt'
    torch.save({'model': model, 'batches': batches, 'steps': steps}, stored)
    (alone,) = run_processes(1, stored, folder / 'alone')
    both = run_processes(2, stored, folder / 'two')
    for name, expected in alone.items():
        if name in apart:
            continue
        if name.endswith(' loss'):  # each has the mean over its own images
            found = [sum(one[name] for one in both) / 2]
        else:
            found = [one[name] for one in both]
        for value in found:
            torch.testing.assert_close(
                value, expected, **tolerance, msg=lambda text, name=name: f'{name}: {text}'
            )
    return alone


def run_processes(world: int, batches: Path, out: Path) -> list[dict[str, torch.Tensor]]:
    if world == 1:
        runpy.run_path(__file__)['main'](0, 1, '', str(batches), str(out))
    else:
        rest = [str(out.parent / 'rendezvous'), str(batches), str(out)]
        running = [
            subprocess.Popen([sys.executable, __file__, str(rank), str(world), *rest])
            for rank in range(world)
        ]
        try:
            assert [process.wait(timeout=120) for process in running] == [0] * world
        finally:
            for process in running:
                process.kill()
    return [torch.load(f'{out}.{rank}', weights_only=True) for rank in range(world)]


if __name__ == '__main__':
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
