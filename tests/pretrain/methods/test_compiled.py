"""The loss of every method through `torch.compile`: one graph, and the same numbers."""

import copy
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from mim_backbones.errors import UserError
from mim_backbones.training.compilation import compile_loss
from mim_backbones.training.launch import build_runner
from mim_backbones.training.precision import autocast
from tests.pretrain.small import (
    FEATURES,
    HIERA,
    METHODS,
    SWIN,
    UNMASKED,
    method,
    recipe,
    write_blobs,
)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def batches(model, count: int = 3):
    """Images, a second view or masks of half of the cells where the method has them."""
    side, cells = model.img_size, model.img_size // model.backbone.mask_size
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        batch = {'image': torch.rand(2, 3, side, side, generator=generator)}
        if type(model).__name__ == 'MoCoV3':
            batch['second_image'] = batch['image'].flip(3)
        elif type(model).__name__ not in UNMASKED:
            places = torch.rand(2, cells**2, generator=generator).argsort(1)
            batch['mask'] = (places < cells**2 // 2).view(2, cells, cells)
        yield batch


def recomputing(name: str):
    """A method whose blocks, the decoder's too, are run again in the backward pass."""
    parts = ('backbone', 'decoder')
    changes = {
        part: {**METHODS[name][part], 'with_cp': True} for part in parts if part in METHODS[name]
    }
    return method(name, **changes)


def note(sizes: dict[int, int], tensor: torch.Tensor) -> torch.Tensor:
    """Bytes that a graph keeps, by where they lie: a weight or a view is kept once."""
    storage = tensor.untyped_storage()
    sizes[storage.data_ptr()] = storage.nbytes()
    return tensor


def check(model, backend: str = 'eager') -> None:
    """Two models take the same steps, the second in one graph."""
    torch.manual_seed(0)
    plain, compiled = model.train(), copy.deepcopy(model)
    compile_loss(compiled, backend=backend)
    for batch in batches(plain):
        for one in (plain, compiled):
            torch.manual_seed(1)  # drop path
            one.zero_grad()
            found = one(**batch, mode='loss')
            sum(value for name, value in found.items() if 'loss' in name).backward()
            one.found = {name: value.detach() for name, value in found.items()}
        torch.testing.assert_close(compiled.found, plain.found)
        for (name, a), b in zip(plain.named_parameters(), compiled.parameters(), strict=True):
            assert (a.grad is None) == (b.grad is None), name
            if a.grad is not None:
                torch.testing.assert_close(b.grad, a.grad, atol=1e-6, rtol=1e-5, msg=name)
    assert not counters['graph_break']
    assert counters['stats']['unique_graphs'] == 1
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, msg=name)


@pytest.mark.parametrize('name', METHODS)
def test_every_method_is_one_graph(name: str) -> None:
    backbone = {**METHODS[name]['backbone'], 'drop_path_rate': 0.5}
    check(method(name, backbone=backbone))


@pytest.mark.parametrize('name', ['MAE', 'BEiTv2'])
def test_so_is_one_whose_blocks_are_recomputed(name: str) -> None:
    check(recomputing(name))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason="torch's own backend needs a C++ compiler")
@pytest.mark.parametrize('name', ['MAE', 'BEiTv2'])
def test_torchs_own_backend_says_the_same(name: str) -> None:
    """Without drop path, which it draws by a generator of its own."""
    check(recomputing(name), 'inductor')


@pytest.mark.parametrize('name', METHODS)
@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_recomputed_blocks_change_nothing(name: str, precision: str) -> None:
    """Loss and gradients of every method, drop path included; each keeps less in between."""
    torch.manual_seed(0)
    kept, found, states = [], [], []
    for make in (method, recomputing):
        model = make(name).train()
        states.append(copy.deepcopy(model.state_dict()))
        model.load_state_dict(states[0])
        (batch,) = batches(model, 1)
        model.prepare(**batch)
        torch.manual_seed(1)  # drop path
        sizes = {}
        with (
            torch.autograd.graph.saved_tensors_hooks(partial(note, sizes), lambda kept: kept),
            autocast('cpu', precision),
        ):
            losses = model(**batch, mode='loss')
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        kept.append(sum(sizes.values()))
        found.append([*losses.values(), *(p.grad for p in model.parameters())])
    assert all(a is b or torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert kept[1] < 0.7 * kept[0]


@pytest.mark.parametrize('changes', [
    {'backbone': SWIN}, {'backbone': HIERA},
    {'backbone': SWIN, 'head': {'type': 'InverseSwinHead'}},
    {'target': {'type': 'NormalisedTarget', 'window': 5}},
    {'target': {'type': 'ColourBins', 'reduce': 4}}, {'target': FEATURES},
    {'target': {'type': 'HOGTarget', 'window': 16}}, {'target': FEATURES, 'selector': 'all+cls'},
], ids=['swin', 'hiera', 'inverse swin', 'window', 'colours', 'features', 'hog', 'all'],
)  # fmt: skip
def test_so_are_simmims_parts(changes: dict) -> None:
    check(method('SimMIM', **changes))


@pytest.mark.parametrize('changes', [
    {'target': FEATURES, 'loss': 'smooth_l1', 'selector': 'masked+cls', 'whole_weight': 0.5},
    {'target': FEATURES, 'loss': 'cosine', 'selector': 'all+cls'},
    {'decode_from': [0, 1], 'decode_weights': [0.5, 0.5]},
], ids=['masked', 'all', 'several decoders'])  # fmt: skip
def test_so_are_maes_losses(changes: dict) -> None:
    check(method('MAE', **changes))


def test_a_palette_is_looked_at_beforehand(tmp_path) -> None:
    file = tmp_path / 'palette.npy'
    np.save(file, np.random.default_rng(0).random((4, 3), dtype=np.float32))
    check(method('SimMIM', target={'type': 'ColourClusters', 'palette': str(file), 'reduce': 4}))


def test_reseeding_cuts_the_graph_once() -> None:
    model = method('VQKD', codebook={'codes': 64, 'dim': 4, 'reseed_after': 1})
    compile_loss(model.train(), backend='eager')
    for batch in batches(model):
        model(**batch, mode='loss')
    assert len(counters['graph_break']) == 1


def test_mae_refuses_masks_of_several_sizes() -> None:
    """By its own line while the graph is made, and by torch's when it is run."""
    model = method('MAE').train()
    compile_loss(model, backend='eager')
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2], mask[1, :3] = True, True
    with pytest.raises(UserError, match=r'hide from 8 to 12 cells.*exact=True'):
        model(image, mask, mode='loss')
    mask[1, 2] = False
    assert model(image, mask, mode='loss')['loss'].isfinite()
    mask[:, 2] = True
    with pytest.raises(RuntimeError, match='another number of cells than the first batch'):
        model(image, mask, mode='loss')
    assert model.predict(image, mask).isfinite().all()  # is not compiled


@pytest.mark.parametrize('name', ['MAE', 'VQKD'])
def test_a_compiled_run_is_the_plain_one_and_resumes_exactly(name: str, tmp_path) -> None:
    images, ends = write_blobs(tmp_path / 'images'), {}
    for run, options in (('plain', False), ('whole', True), ('again', True)):
        config = recipe(METHODS[name], images, tmp_path / run)
        config.compile = {'backend': 'eager', 'fullgraph': True} if options else None
        if run == 'again':
            (tmp_path / run).mkdir()
            shutil.copy(tmp_path / 'whole' / 'epoch_1.pth', tmp_path / run)
            config.resume = True
        torch.manual_seed(0)
        build_runner(config).train()
        ends[run] = torch.load(tmp_path / run / 'epoch_2.pth', weights_only=False)['state_dict']
    for other in ('whole', 'again'):
        assert ends[other].keys() == ends['plain'].keys()
        assert all(torch.equal(v, ends[other][k]) for k, v in ends['plain'].items()), other
