"""One of several gloo processes that train codebooks on their shares of the same batches.

python codebook_process.py RANK WORLD RENDEZVOUS BATCHES OUT SPLIT
"""

import sys

import torch
import torch.distributed as dist

import mim_backbones  # noqa: F401  the import stand-ins come first
from mim_backbones.training.distributed import leave_together
from pretrain.tokenizers.ema_codebook import EMACodebook


def main(rank: int, world: int, rendezvous: str, batches: str, out: str, split: str) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group(
            'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=world
        )
    torch.manual_seed(rank)  # whatever each process draws elsewhere
    content = torch.load(batches, weights_only=True)
    states = {}
    for name, options in content['options'].items():
        quantize = EMACodebook(**options).train()
        if rank:
            quantize.codebook.neg_()  # another random start than rank 0's
        for step, batch in enumerate(content['z']):
            # Whole images in turn, as the sampler deals them, or uneven runs of them.
            cuts = (torch.linspace(0, 1, world + 1).square() * len(batch)).ceil().long()
            turn = split == 'turn'
            quantize(batch[rank::world] if turn else batch[cuts[rank] : cuts[rank + 1]])
            for key, value in quantize.state_dict().items():
                states[f'{name}, step {step}: {key}'] = value.clone()
    torch.save(states, f'{out}.{rank}')
    leave_together()


if __name__ == '__main__':
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
