"""Several processes on GPUs (nccl) or on CPU (gloo), started by torchrun or SLURM."""

from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import init_dist
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from torch import nn

from mim_backbones.registry import MODEL_WRAPPERS


def init_distributed(launcher: str) -> None:
    """Join the process group that `launcher` ('none', 'pytorch', 'slurm', 'mpi') set up.

    mmengine's own start insists on a GPU for 'pytorch'; on CPU the group is made here, and the
    Runner, which finds it made, leaves it as it is.
    """
    if launcher == 'none' or dist.is_initialized():
        return
    if launcher == 'pytorch' and not torch.cuda.is_available():
        dist.init_process_group('gloo')
        return
    init_dist(launcher, backend='nccl' if torch.cuda.is_available() else 'gloo')


@MODEL_WRAPPERS.register_module()
class DeviceDDP(MMDistributedDataParallel):
    """mmengine's DistributedDataParallel that takes modules on the CPU too."""

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any):
        on_cpu = next(module.parameters()).device.type == 'cpu'
        super().__init__(module=module, device_ids=None if on_cpu else device_ids, **kwargs)


def undistributed(model: nn.Module) -> Any:
    """A run's model without what distributes it."""
    return model.module if is_model_wrapper(model) else model


def leave_together() -> None:
    """Wait for the other processes, then close the connections to them.

    A process that ends while others still write takes connections away from them, and gloo then
    aborts whoever notices.
    """
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
