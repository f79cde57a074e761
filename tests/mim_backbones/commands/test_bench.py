"""`mimbench bench step` on a ViT of two blocks."""

import json

import pytest
from click.testing import CliRunner

from mim_backbones.bench import matmul, step
from mim_backbones.bench.flops import Product
from mim_backbones.commands.bench import bench
from mim_backbones.errors import UserError

DIM, GRID, PATCH, BATCH = 16, 4, 8, 2
TINY = [
    'step', '--config', 'configs/pretrain/simmim_demo.py', '--batch', str(BATCH),
    '--threads', '1', '--repeats', '2',
    *(word for option in (
        'model.backbone.arch.embed_dim=16', 'model.backbone.arch.depth=2',
        'model.backbone.arch.num_heads=2', 'model.backbone.img_size=32',
        'train_dataloader.dataset.img_size=32', 'train_dataloader.dataset.masker.img_size=32',
    ) for word in ('--cfg-options', option)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_products(monkeypatch):
    monkeypatch.setattr(step, 'SQUARE', Product(256, 256, 256))
    monkeypatch.setattr(matmul, 'BURST', 0.005)


def run(*words: str):
    return CliRunner().invoke(bench, [*TINY, *words])


def flops_by_hand() -> int:
    """Multiplications of the tiny ViT, twice."""
    patches, tokens = BATCH * GRID**2, BATCH * (GRID**2 + 1)  # a CLS token comes first
    blocks = 2 * tokens * 12 * DIM**2  # qkv 3, projection 1, MLP 4 + 4
    attention = 2 * 2 * tokens * (GRID**2 + 1) * DIM
    pixels = patches * 3 * PATCH**2 * DIM  # the patches' projection, and the head
    # The image takes no gradient: two passes for its projection, three for everything else.
    return 2 * (3 * (blocks + attention + pixels) + 2 * pixels)


def test_both_dtypes_as_json():
    result = run('--json')
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads(result.stdout)
    assert (report['batch'], report['threads'], len(report['rows'])) == (BATCH, 1, 2)
    for row in report['rows']:
        assert row['flops'] == flops_by_hand()
        assert row['flops_per_second'] == pytest.approx(row['flops'] / row['seconds'])
        assert row['images_per_second'] == pytest.approx(BATCH / row['seconds'])
        assert 0 < row['share'] < 1.2
        assert 0 < row['square_share'] < 1.2
        assert 0 < row['target_share'] < 1  # pixels, as they are
        assert row['target_images_per_second'] > row['images_per_second']
    assert [row['dtype'] for row in report['rows']] == ['fp32', 'bf16']
    assert report['rows'][0]['speedup'] == 1


def test_a_dear_teacher_takes_most_of_the_step():
    """Of 8 blocks on an image of four times the tokens, before a student of 2."""
    teacher = {
        'type': 'BackboneTeacher', 'random_weights': True, 'input_size': 64,
        'backbone': {'type': 'mim_backbones.MIMViT', 'patch_size': 8, 'img_size': 64,
                     'arch': {'embed_dim': 64, 'depth': 8, 'num_heads': 4}},
    }  # fmt: skip
    target = {'type': 'FeatureTarget', '_delete_': True, 'teacher': teacher, 'aligner': 'average'}
    shares = {}
    for options in ([], ['--cfg-options', f'model.target={target}']):
        result = run('--json', '--dtype', 'fp32', *options)
        assert result.exit_code == 0, (result.output, result.exception)
        (row,) = json.loads(result.stdout)['rows']
        shares[bool(options)] = row['target_share']
    assert 2 * shares[False] < shares[True] < 1


def test_a_table():
    result = CliRunner().invoke(bench, [*TINY[:7], '--dtype', 'fp32', *TINY[7:]])
    assert result.exit_code == 0, (result.output, result.exception)
    head, columns, row = result.stdout.splitlines()
    assert head == 'simmim_demo, batch 2, 1 threads'
    assert columns.split()[0] == 'dtype'
    assert row.split()[0] == 'fp32'


@pytest.mark.parametrize(('words', 'message'), [
    (['--config', 'no.py'], 'config no.py does not exist'),
    (['--config', 'README.md'], 'config README.md: OSError: Only py/yml'),
    (['--cfg-options', 'model=None'], 'is no pre-training recipe: it has no model.type'),
    (['--cfg-options', 'optim_wrapper=None'], 'it has no optim_wrapper.optimizer'),
    (['--cfg-options', 'batch'], 'expected KEY=VALUE'),
    (['--cfg-options', 'model.backbon.x=1'], 'backbon'),
    (['--cfg-options', 'model.backbone.patch_size=5'], 'not a multiple of 5'),
    (['--cfg-options', 'train_dataloader.dataset.root.x=1'], '--cfg-options'),
    (['--cfg-options', 'optim_wrapper={"type": "OptimWrapper", "_delete_": True, '
      '"optimizer": {"type": "SGD", "lr": 1}}'], 'OptimWrapper has no precision'),
])  # fmt: skip
def test_mistakes_end_in_one_line(words, message):
    result = run(*words)
    assert isinstance(result.exception, UserError), result.exception
    assert message in str(result.exception)
    assert '\n' not in str(result.exception)
