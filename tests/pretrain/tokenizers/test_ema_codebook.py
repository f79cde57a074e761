"""The codebook: what it learns, what it leaves alone, what it costs, alone and in processes."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from pretrain.tokenizers import clustering, ema_codebook
from pretrain.tokenizers.clustering import (
    choose_vectors,
    gather_by_code,
    nearest_codes,
    spherical_kmeans,
)
from pretrain.tokenizers.ema_codebook import EMACodebook

PROCESS = Path(__file__).parent / 'codebook_process.py'


def clouds(images: int = 12, tokens: int = 9, dim: int = 6) -> torch.Tensor:
    """(images, tokens, dim) around eight directions."""
    centres = torch.randn(8, dim)
    return centres[torch.randint(8, (images, tokens))] + 0.3 * torch.randn(images, tokens, dim)


def test_the_first_of_equally_near_codes() -> None:
    codebook = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    z = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.6, 0.8]])
    assert nearest_codes(z, codebook).tolist() == [1, 3, 0]
    middle = torch.tensor([[0.5**0.5, 0.5**0.5]])  # codes 0, 1 and 2 are as near
    assert nearest_codes(middle, codebook).tolist() == [0]


def test_chunks_change_nothing(monkeypatch) -> None:
    z, codebook = F.normalize(torch.randn(50, 6), dim=1), F.normalize(torch.randn(20, 6), dim=1)
    whole = nearest_codes(z, codebook)
    monkeypatch.setattr(clustering, 'SCORES', 7 * 20)
    assert torch.equal(nearest_codes(z, codebook), whole)
    assert torch.equal(whole, torch.cdist(z, codebook).argmin(1))


def test_sums_and_counts() -> None:
    z = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    sums, counts = gather_by_code(z, torch.tensor([2, 0, 2]), 4)
    assert sums.tolist() == [[3, 4], [0, 0], [6, 8], [0, 0]]
    assert counts.tolist() == [1, 0, 2, 0]


def test_a_step_by_hand() -> None:
    quantize = EMACodebook(3, 2, decay=0.5, kmeans_start=False).train()
    quantize.codebook.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    found = quantize(torch.tensor([[[5.0, 0.0], [0.6, 0.8]], [[0.0, 2.0], [0.0, 1.0]]]))
    assert found.ids.tolist() == [[0, 1], [1, 1]]
    # Lengths are taken off first; only (0.6, 0.8) is away from its code: 0.36 + 0.04 over 8.
    assert found.loss == pytest.approx(0.4 / 8)
    middle = F.normalize(torch.tensor([0.6, 2.8]), dim=0)
    moved = F.normalize(torch.tensor([0.0, 1.0]) + middle, dim=0)
    expected = torch.stack([torch.tensor([1.0, 0.0]), moved, torch.tensor([-1.0, 0.0])])
    torch.testing.assert_close(quantize.codebook, expected)
    assert quantize.hits.tolist() == [1, 3, 0]
    assert quantize.idle.tolist() == [0, 0, 1]
    assert quantize.usage.tolist() == [0.5, 1.5, 0.0]


def test_gradients_pass_straight_through() -> None:
    quantize = EMACodebook(4, 3, beta=0.0, kmeans_start=False)
    z = torch.randn(5, 3, requires_grad=True)
    weight = torch.randn(5, 3)
    (quantize(z).vectors * weight).sum().backward()
    other = z.detach().clone().requires_grad_()
    (F.normalize(other, dim=1) * weight).sum().backward()
    torch.testing.assert_close(z.grad, other.grad)


def test_float32_whatever_the_autocast() -> None:
    z = clouds().bfloat16()
    plain, half = EMACodebook(8, 6).train(), EMACodebook(8, 6).train()
    a = plain(z.float())
    with torch.autocast('cpu', torch.bfloat16):
        b = half(z)
        ids = half.encode(z)
    assert b.vectors.dtype == b.loss.dtype == torch.float32
    assert torch.equal(a.ids, b.ids)
    assert torch.equal(plain.codebook, half.codebook)
    assert torch.equal(ids, half.encode(z))


def test_kmeans_finds_clouds_and_keeps_empty_means() -> None:
    centres = torch.eye(4)[:3]
    z = F.normalize(centres.repeat_interleave(20, 0) + 0.05 * torch.randn(60, 4), dim=1)
    start = F.normalize(torch.tensor([[1.0, 0.2, 0, 0], [0, 1, 0.2, 0], [0, 0, 1, 0.3]]), dim=1)
    start = torch.cat([start, -torch.eye(4)[3:]])
    means, counts = spherical_kmeans(z, start, 5)
    assert counts.tolist() == [20, 20, 20, 0]
    assert ((means[:3] * centres).sum(1) > 0.99).all()
    assert torch.equal(means[3], start[3])


def test_chosen_vectors_do_not_depend_on_their_order() -> None:
    z = torch.randn(40, 5)
    chosen = choose_vectors(z, 10, seed=3)
    assert torch.equal(chosen, choose_vectors(z[torch.randperm(40)], 10, seed=3))
    assert len(chosen.unique(dim=0)) == 10  # without replacement
    assert not torch.equal(chosen, choose_vectors(z, 10, seed=4))
    few = choose_vectors(z[:3], 10, seed=3)
    assert few.shape == (10, 5) and len(few.unique(dim=0)) <= 3


def test_the_start_happens_once_and_only_in_training(monkeypatch) -> None:
    started = []

    def kmeans(z, first, iterations):
        started.append(iterations)
        return spherical_kmeans(z, first, iterations)

    monkeypatch.setattr(ema_codebook, 'spherical_kmeans', kmeans)
    quantize = EMACodebook(8, 6)
    quantize.eval()(clouds())
    assert not started
    for _ in range(3):
        quantize.train()(clouds())
    assert started == [10]
    again = EMACodebook(8, 6)
    again.load_state_dict(quantize.state_dict())
    again.train()(clouds())
    assert started == [10]


def test_eval_mode_touches_and_sends_nothing(monkeypatch) -> None:
    quantize = EMACodebook(8, 6)
    quantize.train()(clouds())
    before = {name: value.clone() for name, value in quantize.state_dict().items()}

    def forbidden(*_):
        raise AssertionError('a frozen codebook communicates')

    for module, name in ((clustering, 'all_reduce'), (clustering, 'all_gather_object'),
                         (ema_codebook, 'broadcast')):  # fmt: skip
        monkeypatch.setattr(module, name, forbidden)
    quantize.eval()(clouds())
    quantize.train().encode(clouds())
    assert all(torch.equal(value, before[name]) for name, value in quantize.state_dict().items())


def test_dead_codes_are_kept_unless_reseeding_is_asked_for() -> None:
    z = F.normalize(torch.randn(30, 4), dim=1).abs()  # one corner of the sphere only
    faithful = EMACodebook(6, 4, kmeans_start=False).train()
    reviving = EMACodebook(6, 4, kmeans_start=False, reseed_after=3).train()
    far = -F.normalize(torch.rand(6, 4) + 0.1, dim=1)
    far[0] = 0.5
    for quantize in (faithful, reviving):
        quantize.codebook.copy_(far)
        for _ in range(3):
            quantize(z)
    assert faithful.idle.tolist() == [0, 3, 3, 3, 3, 3]
    torch.testing.assert_close(faithful.codebook[1:], far[1:])
    assert reviving.idle.tolist() == [0] * 6
    assert (reviving.codebook[1:] > 0).all()
    reviving.reset_hits()
    reviving(z)
    assert (reviving.hits > 0).sum() > 3


@pytest.mark.parametrize(('options', 'message'), [
    (dict(codes=0), 'codes is 0'),
    (dict(decay=1.0), r'decay is 1.0, it must be in \[0, 1\)'),
    (dict(reseed_after=-1), 'reseed_after is -1'),
])  # fmt: skip
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=f'EMACodebook: {message}'):
        EMACodebook(**options)


def run_processes(world: int, batches: Path, out: Path, split: str) -> list[dict]:
    if world == 1:
        runpy.run_path(str(PROCESS))['main'](0, 1, '', str(batches), str(out), split)
    else:
        rest = [str(out.parent / 'rendezvous'), str(batches), str(out), split]
        running = [
            subprocess.Popen([sys.executable, str(PROCESS), str(rank), str(world), *rest])
            for rank in range(world)
        ]
        try:
            assert [process.wait(timeout=120) for process in running] == [0] * world
        finally:
            for process in running:
                process.kill()
    return [torch.load(f'{out}.{rank}', weights_only=True) for rank in range(world)]


@pytest.mark.parametrize(('world', 'split'), [(2, 'runs'), (4, 'turn')])
def test_processes_agree_with_one(tmp_path, world, split) -> None:
    """Codebook, counts and ages after each of four steps, to the bit."""
    options = {
        'kmeans': dict(codes=16, dim=6, reseed_after=2),
        'random start': dict(codes=16, dim=6, kmeans_start=False),
    }
    torch.save({'options': options, 'z': [clouds(16) for _ in range(4)]}, tmp_path / 'z.pt')
    (alone,) = run_processes(1, tmp_path / 'z.pt', tmp_path / 'alone', split)
    for found in run_processes(world, tmp_path / 'z.pt', tmp_path / 'many', split):
        assert found.keys() == alone.keys()
        for name, expected in alone.items():
            assert torch.equal(found[name], expected), name


MEMORY = """
import torch, mim_backbones
from pretrain.tokenizers.ema_codebook import EMACodebook
def peak():
    lines = open('/proc/self/status').read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1024
torch.set_num_threads(1)
quantize = EMACodebook(8192, 32, kmeans_iterations=1).train()
z = torch.randn(64, 196, 32, requires_grad=True)
before = peak()
found = quantize(z)
(found.vectors.sum() + found.loss).backward()
print(peak() - before)
"""


def test_memory_of_the_published_size() -> None:
    """8192 codes, 64 images of 196 tokens: the published one-hot matrices take 1.6 GB."""
    if not Path('/proc/self/status').exists():
        pytest.skip('no /proc to read the peak from')
    found = subprocess.run(
        [sys.executable, '-c', MEMORY], check=True, capture_output=True, text=True
    )
    assert float(found.stdout) < 400  # MiB
