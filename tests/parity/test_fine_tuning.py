"""Twenty steps of fine-tuning through our Runner, and by the released rules step by step.

Groups, layer decay, curve, clipping, erasing, Mixup and loss of MAE, SimMIM and BEiT v2, as their
training code has them, around torch's AdamW. The models are the golden files' matter: here both
sides start from one copy, and draw drop path, rectangles and shares by the same seeds.
"""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from timm.loss import SoftTargetCrossEntropy
from timm.scheduler import CosineLRScheduler
from torch import Tensor
from torch.utils.data import Dataset

from downstream.registry import DATASETS
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from mim_backbones.training.steps.draws import UPDATES, seed_all

FOLDER = Path(__file__).parents[2] / 'configs/downstream/classification'
RECIPES = {
    'mae': 'classifier_vit-b_mae-pre_100e_in1k-224.py',
    'simmim': 'classifier_vit-b_simmim-pre_100e_in1k-224.py',
    'beitv2': 'classifier_vit-b_beitv2-pre_100e_in1k-224.py',
}
EPOCHS, LENGTH, BATCH, CLASSES, DEPTH = 4, 5, 8, 6, 3
WARMUP, STEPS = LENGTH, EPOCHS * LENGTH
# Rate, start, minimum, layer decay and longest gradient of each release at its published batch.
RULES = {
    'mae': (2e-3, 0.0, 1e-6, 0.65, None),
    'simmim': (5e-3, 1e-6, 1e-6, 0.65, 5.0),
    'beitv2': (5e-4, 1e-6, 1e-6, 0.6, None),
}


@DATASETS.register_module(force=True)
class DrawnPictures(Dataset):
    """Noise with labels."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        self.inputs = torch.randint(
            0, 256, (LENGTH * BATCH, 3, 32, 32), dtype=torch.uint8, generator=generator
        )
        self.labels = torch.randint(0, CLASSES, (LENGTH * BATCH,), generator=generator)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {'inputs': self.inputs[index], 'label': self.labels[index]}


class Losses(Hook):
    def __init__(self) -> None:
        self.found: list[float] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any, outputs: dict[str, Any]
    ) -> None:
        self.found.append(float(outputs['loss'].detach()))


def runner_of(method: str, out: Path) -> Any:
    """The recipe at a small size; its optimizer, decay and curve are its own."""
    cfg = read_config(
        FOLDER / RECIPES[method],
        {
            'model.backbone.img_size': 32,
            'model.backbone.patch_size': 8,
            'model.num_classes': CLASSES,
            'optim_wrapper.precision': 'fp32',
            'param_scheduler.0.warmup': WARMUP // LENGTH,
            'param_scheduler.0.end': EPOCHS,
            'train_cfg.max_epochs': EPOCHS,
            'auto_scale_lr.base_batch_size': BATCH,
        },
    )
    cfg.model.backbone.arch = {'embed_dim': 32, 'depth': DEPTH, 'num_heads': 2}
    cfg.train_dataloader = {
        'batch_size': BATCH, 'num_workers': 0, 'dataset': {'type': 'DrawnPictures'},
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate'},
    }  # fmt: skip
    for name in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg.pop(f'{name}_{part}')
    cfg.work_dir = str(out)
    cfg.visualizer = {'type': 'Visualizer', 'name': out.name, 'vis_backends': []}
    return build_runner(cfg)


def groups(model: torch.nn.Module, rate: float, decay: float) -> Iterator[dict[str, Any]]:
    """One for each parameter: what the releases compare its name with."""
    for name, parameter in model.named_parameters():
        own = name.removeprefix('backbone.')
        layer = DEPTH + 1
        if own.startswith(('cls_token', 'pos_embed', 'patch_embed')):
            layer = 0
        elif own.startswith('blocks.'):
            layer = int(own.split('.')[1]) + 1
        spared = parameter.ndim == 1 or own.endswith('.bias') or own in ('cls_token', 'pos_embed')
        scale = decay ** (DEPTH + 1 - layer)
        yield {
            'params': [parameter], 'scale': scale, 'lr': rate * scale,
            'weight_decay': 0.0 if spared else 0.05,
        }  # fmt: skip


def mae_rate(step: int, rate: float, least: float) -> float:
    epoch, warm = step / LENGTH, WARMUP / LENGTH
    if epoch < warm:
        return rate * epoch / warm
    turn = math.pi * (epoch - warm) / (EPOCHS - warm)
    return least + (rate - least) * 0.5 * (1.0 + math.cos(turn))


def beit_rates(rate: float, start: float, least: float) -> np.ndarray:
    rising = np.linspace(start, rate, WARMUP)
    falling = np.array([
        least + 0.5 * (rate - least) * (1 + math.cos(math.pi * i / (STEPS - WARMUP)))
        for i in range(STEPS - WARMUP)
    ])  # fmt: skip
    return np.concatenate([rising, falling])


def released(method: str, model: torch.nn.Module, average: float) -> tuple[list[float], dict]:
    """Losses of twenty steps, and the moving average of the weights; the model is trained."""
    rate, start, least, decay, longest = RULES[method]
    optimizer = torch.optim.AdamW(
        list(groups(model, rate, decay)), lr=rate, betas=(0.9, 0.999), eps=1e-8
    )
    curve = None
    if method == 'simmim':
        curve = CosineLRScheduler(
            optimizer, t_initial=STEPS, lr_min=least, warmup_lr_init=start, warmup_t=WARMUP,
            cycle_limit=1, t_in_epochs=False,
        )  # fmt: skip
    data, losses = DrawnPictures(), []
    erase, mix = (
        RandomErasing(0.25, mode='pixel', device='cpu'),
        Mixup(0.8, 1.0, num_classes=CLASSES),
    )
    slow = {name: value.clone() for name, value in model.state_dict().items()}
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for step in range(STEPS):
        if method != 'simmim':
            now = mae_rate(step, rate, least)
            if method == 'beitv2':
                now = beit_rates(rate, start, least)[step]
            for group in optimizer.param_groups:
                group['lr'] = now * group['scale']
        seed_all(UPDATES, 0, 0, step)
        here = slice(step % LENGTH * BATCH, (step % LENGTH + 1) * BATCH)
        image = data.inputs[here].float() / 255
        image = (image - mean[:, None, None]) / std[:, None, None]
        image, target = mix(erase(image), data.labels[here])
        loss = SoftTargetCrossEntropy()(logits(model, image), target)
        optimizer.zero_grad()
        loss.backward()
        if longest is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), longest)
        optimizer.step()
        if curve is not None:
            curve.step_update(step)
        losses.append(loss.item())
        for name, value in model.state_dict().items():
            slow[name] = average * slow[name] + (1 - average) * value
    return losses, slow


def logits(model: Any, image: Tensor) -> Tensor:
    return model.head(model.backbone.forward_pooled(image, 'mean'))


@pytest.mark.parametrize('method', RECIPES)
def test_twenty_steps(method, tmp_path) -> None:
    runner = runner_of(method, tmp_path)
    model = runner.model
    model.head.weight.data.normal_(std=0.1)  # or next to nothing would reach the blocks at first
    reference = copy.deepcopy(model).train()
    before = copy.deepcopy(model.state_dict())
    record, ema = Losses(), EMAHook(momentum=0.1)
    runner.register_hook(record, priority='LOWEST')
    runner.register_hook(ema)
    runner.train()
    losses, slow = released(method, reference, average=0.9)

    assert record.found == pytest.approx(losses, abs=1e-5)
    after = model.state_dict()
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(after[name], value, atol=1e-5, rtol=0, msg=name)
    if method == 'mae':
        # The first step of the others moves: there mmengine's average starts behind it.
        for name, value in ema.ema_model.module.state_dict().items():
            torch.testing.assert_close(value, slow[name], atol=1e-5, rtol=0, msg=name)
    assert max(float((after[name] - value).abs().max()) for name, value in before.items()) > 5e-3
