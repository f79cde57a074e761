"""MoCo v3: queries, loss, gradients; what a step leaves of momentum encoder and batch norms."""

from types import SimpleNamespace

import pytest
from torch import Tensor, nn

from mim_backbones.registry import MODELS as BACKBONES
from pretrain.methods.mocov3 import MoCoV3, contrast
from pretrain.targets.base import Progress

FAMILY = 'mocov3_loss'
COPY = 'target.momentum_encoder.'


class LinearTanh(nn.Module):
    """The file's encoder without its head: it looks at vectors (B, C)."""

    patch_size = stride = 1
    grid = (1, 1)

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.last_dim = out
        self.proj = nn.Linear(into, out)
        self.patch_embed = SimpleNamespace(proj=self.proj)

    def forward_pooled(self, image: Tensor, pool: str) -> Tensor:
        assert pool == 'mean'
        return self.proj(image.flatten(1)).tanh()


@pytest.fixture(autouse=True)
def _registered():
    BACKBONES.register_module('LinearTanh', module=LinearTanh)
    yield
    BACKBONES.module_dict.pop('LinearTanh')


def own_name(name: str) -> str:
    side, _, rest = name.partition('.')
    if side == 'predictor':
        return name
    prefix = COPY if side == 'momentum_encoder' else ''
    if rest.startswith('head.'):
        return f'{prefix}projector.{rest.removeprefix("head.")}'
    return f'{prefix}backbone.{rest}'


def of_one(image: Tensor) -> Tensor:
    """(B, C) -> (B, C, 1, 1), which has as much to be normalised as an image."""
    return image[..., None, None]


@pytest.fixture
def model(golden) -> MoCoV3:
    state = golden['state_before']
    out, into = state['base_encoder.proj.weight'].shape
    model = MoCoV3(
        backbone=dict(type='mim_backbones.LinearTanh', into=into, out=out),
        hidden_dim=len(state['base_encoder.head.0.weight']),
        out_dim=len(state['predictor.3.weight']),
        temperature=golden['temperature'],
        momentum=golden['momentum'],
        frozen_patches=False,
        mean=(0.0,),
        std=(1.0,),
    )
    model.load_state_dict({own_name(name): value for name, value in state.items()}, strict=True)
    return model.train()


@pytest.mark.golden(FAMILY, each=['q1_train_mode', 'q2_train_mode'])
def test_queries(golden, field, same, model) -> None:
    same(field, model.query(of_one(golden[f'x{field[1]}'])), golden[field])


@pytest.mark.golden(FAMILY, needs=['x1', 'x2', 'loss', 'grads', 'state_after_forward'])
def test_a_step(golden, same, model) -> None:
    """The momentum encoder moves before the keys are made; its batch norms see its own batches."""
    model.target.update(model, Progress(0, 1, 1))
    loss = model(of_one(golden['x1']), of_one(golden['x2']), mode='loss')['loss']
    same('loss', loss, golden['loss'])
    after = model.state_dict()
    assert {own_name(name) for name in golden['state_after_forward']} == after.keys()
    for name, value in golden['state_after_forward'].items():
        same(f'state_after_forward {name}', after[own_name(name)], value)
    loss.backward()
    learnt = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learnt == {own_name(name) for name in golden['grads']}
    for name, value in golden['grads'].items():
        same(f'grads {name}', model.get_parameter(own_name(name)).grad, value)


@pytest.mark.golden(FAMILY, needs=['state_before', 'state_after_forward'])
def test_the_momentum_encoder_moves_exactly(golden, same, model) -> None:
    model.target.update(model, Progress(0, 1, 1))
    for name, value in golden['state_after_forward'].items():
        if name.startswith('momentum_encoder') and name.endswith(('weight', 'bias')):
            same(f'state_after_forward {name}', model.get_parameter(own_name(name)), value, atol=0)


@pytest.mark.golden(FAMILY, needs=['pair'])
def test_pair(golden, same) -> None:
    pair = golden['pair']
    same('pair', contrast(pair['q'], pair['k'], golden['temperature']), pair['loss'])
