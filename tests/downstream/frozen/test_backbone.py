"""Probes of frozen backbones: with features on disk as without, and the backbone as it was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook

from downstream.evaluation.job_config import job_config
from downstream.frozen import backbone as module
from downstream.frozen.backbone import FrozenBackbone
from downstream.frozen.cache import default_folder, homes
from mim_backbones.data_spec import DataSpec, load_data_spec
from mim_backbones.registry import MODELS
from mim_backbones.training.launch import build_runner
from tests.downstream.frozen.conftest import FAMILIES


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """Sizes of the batches that backbones compute, one image each in training."""
    seen: list[int] = []
    plain = FrozenBackbone.__call__

    def counted(self: FrozenBackbone, image: torch.Tensor) -> Any:
        seen.append(len(image))
        return plain(self, image)

    monkeypatch.setattr(FrozenBackbone, '__call__', counted)
    return seen


class StopAfter(Hook):
    """As a kill between two checkpoints."""

    def after_train_iter(self, runner: Any, batch_idx: int, **_: Any) -> None:
        if runner.iter == 5:
            raise KeyboardInterrupt


def trained(job: Any, world: Path) -> Any:
    """The runner after training, and the weights it trained."""
    runner = build_runner(job_config(job, load_data_spec(world)))
    runner.train()
    return runner


def heads(runner: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['linear-vit-20k', 'mask-rcnn-swin-frozen'])
def test_with_features_on_disk_as_without(
    name, world, checkpoint, proxy_job, computed, tmp_path
) -> None:
    file = checkpoint('vit' if 'vit' in name else 'swin')
    found = []
    for number, cache_bytes in enumerate((0, 2**30, 2**30)):
        computed.clear()
        options = {'model.cache_bytes': cache_bytes}
        job = proxy_job(name, file, 12, options, out=str(tmp_path / str(number)))
        found.append(heads(trained(job, world)))
        # 12 iterations of 2 see each of the 16 views once or twice.
        assert len(computed) == (24, 16, 0)[number]
    assert equal(found[0], found[1]) and equal(found[1], found[2])


def test_features_are_those_of_the_image_alone_and_bf16() -> None:
    torch.manual_seed(0)
    frozen = FrozenBackbone(MODELS.build(FAMILIES['hiera'] | {'out_indices': (0, 3)}))
    image = torch.randn(3, 3, 64, 64)
    maps = frozen(image)
    assert [each.dtype for each in maps] == [torch.bfloat16] * 2
    assert not any(each.requires_grad for each in maps)
    again = [frozen(each[None]) for each in image]
    assert all(torch.equal(frozen(image[:1])[i], again[0][i]) for i in range(2))


def test_the_digest_tells_apart_what_computes() -> None:
    def digest(changes: dict[str, Any], *inputs: Any, seed: int = 0) -> str:
        torch.manual_seed(seed)
        net = MODELS.build({**FAMILIES['vit'], **changes})
        return FrozenBackbone(net).digest(torch.device('cpu'), *(inputs or ({'mean': 1},)))

    first = digest({})
    assert digest({}) == first
    others = [
        digest({}, seed=1),
        digest({'out_indices': (2,)}),
        digest({'final_norm': False}),
        digest({'img_size': 128}),
        digest({}, {'mean': 2}),
    ]
    assert len({first, *others}) == 6


@pytest.mark.slow
def test_heads_alone_are_trained_and_saved(world, checkpoint, proxy_job) -> None:
    torch.manual_seed(9)
    job = proxy_job('linear-swin-20k', checkpoint('swin'))
    runner = build_runner(job_config(job, load_data_spec(world)))
    net = runner.model.backbone.net
    runner.model.backbone.on(torch.device('cpu'))  # reads the weights
    before = {name: value.clone() for name, value in net.state_dict().items()}
    runner.train()
    assert equal(before, net.state_dict())
    assert not any(each.requires_grad or each.grad is not None for each in net.parameters())
    assert not any(each.training for each in net.modules())
    optimised = [each for group in runner.optim_wrapper.param_groups for each in group['params']]
    assert {id(each) for each in optimised} == {id(each) for each in runner.model.parameters()}
    assert not {id(each) for each in optimised} & {id(each) for each in net.parameters()}
    assert {name.partition('.')[0] for name in heads(runner)} == {'decode_head'}


@pytest.mark.slow
def test_protocols_share_features_and_checkpoints_do_not(
    world, checkpoint, proxy_job, computed, tmp_path
) -> None:
    file = checkpoint('vit')
    trained(proxy_job('linear-vit-20k', file, 8), world)
    assert len(computed) == 16
    runner = trained(proxy_job('knn-vit', file), world)
    assert len(computed) == 16, 'the first view of each picture is there'
    assert len(runner.model.decode_head.features)
    trained(proxy_job('knn-vit', checkpoint('vit', seed=2), out=str(tmp_path / 'other')), world)
    assert len(computed) == 24
    trained(proxy_job('knn-vit', file, seed=1, out=str(tmp_path / 'seed')), world)
    assert len(computed) == 32, 'another seed draws other views'
    assert len(homes(default_folder())) == 2


@pytest.mark.slow
def test_a_resumed_probe_ends_with_the_same_weights(world, checkpoint, proxy_job, tmp_path) -> None:
    file, often = checkpoint('vit'), {'default_hooks.checkpoint.interval': 4}
    whole = heads(trained(proxy_job('linear-vit-20k', file, 8, often), world))
    job = proxy_job('linear-vit-20k', file, 8, often, out=str(tmp_path / 'twice'))
    runner = build_runner(job_config(job, load_data_spec(world)))
    runner.register_hook(StopAfter())
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert equal(whole, heads(trained(job, world)))


@pytest.mark.slow
def test_a_linear_probe_beats_any_constant(world, checkpoint, proxy_job, train_job) -> None:
    options = {
        'optim_wrapper.optimizer.lr': 1e-2,
        'param_scheduler.0.end': 5,
        'param_scheduler.1.begin': 5,
        'param_scheduler.1.end': 60,
    }
    data = load_data_spec(world)['segmentation']
    spec = DataSpec(world / 'data.yaml', {'segmentation': replace(data, val=data.train)})
    found = train_job(proxy_job('linear-vit-20k', checkpoint('vit'), 60, options), spec)
    share = found.units.labelled.sum(0) / found.units.labelled.sum()
    constant = 100 * share.max() / (share > 0).sum()  # the commonest class everywhere
    assert found.metrics['mIoU'] > 1.5 * constant
    assert found.metrics['aAcc'] > 100 * share.max()


def test_the_default_is_in_the_users_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert module.default_folder() == tmp_path / 'mimbench' / 'features'
