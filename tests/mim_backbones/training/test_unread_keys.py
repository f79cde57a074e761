"""Which keys of a config are errors, which a warning, and which somebody reads after all."""

import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config

from mim_backbones.console.recipes import recipe_names, recipes_root, with_bases
from mim_backbones.errors import UserError
from mim_backbones.training.config import open_config, read_config
from mim_backbones.training.unread_keys import check_config, used_names

STOCK = {
    package: Path(find_spec(package).submodule_search_locations[0]) / '.mim' / 'configs'
    for package in ('mmdet', 'mmseg')
}
# What the shipped files themselves have that nothing reads: leftovers of mmcv 1.
DEAD = {
    'runner', 'fp16', 'gpu_ids', 'optimizer_config', 'optimizer', 'train_pipeline',
    'test_pipeline', 'data', 'val_evaluator.eval_mode', 'test_evaluator.eval_mode',
    'model.neck.force_grad_on_level',
}  # fmt: skip
CHILD = """
_base_ = '{stock}'
model = dict(
    backbone=dict(_delete_=True, type='mim_backbones.MIMViT', arch='tiny'),
    neck=dict(_delete_=True, type='mim_backbones.SimpleFeaturePyramid', in_channels=192))
"""


def stock_configs() -> list[Path]:
    files = [file for root in STOCK.values() for file in root.rglob('*.py')]
    files = [file for file in files if '_base_' not in file.parts]
    return sorted(
        file for file in files if 'model' in file.read_text() or '_base_' in file.read_text()
    )


@pytest.fixture
def swapped(tmp_path: Path) -> Path:
    """A stock Mask R-CNN with our backbone, as the README has it."""
    file = tmp_path / 'swapped.py'
    file.write_text(CHILD.format(stock=STOCK['mmdet'] / 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'))
    return file


def test_helper_variables_that_are_used_are_fine(recipe: Path) -> None:
    assert used_names(with_bases(recipe)) == {'width', 'batch'}
    check_config(Config.fromfile(recipe))


def test_bases_are_found_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / 'base.py').write_text('deep = 1\nx = deep\n')
    for name, text in (
        ('list.py', "_base_ = [\n    './ba'  # half\n    'se.py',\n]\n"),
        ('word.py', "_base_ = './base.py'\n"),
        ('tuple.py', "_base_ = ('./base.py',)\n"),
        ('list.yml', '_base_: [base.py]\n'),
        ('word.json', '{"_base_": "base.py"}'),
    ):
        file = tmp_path / name
        file.write_text(text)
        assert with_bases(file) == [file, tmp_path / 'base.py'], name


def test_a_variable_nobody_uses_is_refused_in_a_recipe_of_ours(recipe: Path) -> None:
    recipe.write_text(recipe.read_text() + 'unread = 3\n')
    with pytest.raises(UserError, match="'unread': nothing reads it"):
        check_config(Config.fromfile(recipe))


def test_a_recipe_made_from_ours_is_ours(tmp_path: Path) -> None:
    for name in recipe_names():
        child = tmp_path / 'child.py'
        wrong = 'env_cfg = dict(cudnn_bench=True)'
        child.write_text(f"_base_ = '{recipes_root() / name}'\n{wrong}\n")
        with pytest.raises(UserError, match="mean 'cudnn_benchmark'"):
            read_config(child)


def test_a_backbones_init_cfg_takes_what_the_loader_takes(recipe: Path) -> None:
    start = {'type': 'Pretrained', 'checkpoint': 'x.pth', 'leave_out': ['rel_pos_bias']}
    read_config(recipe, {'model.init_cfg': start})
    with pytest.raises(UserError, match="mean 'leave_out'"):
        read_config(recipe, {'model.init_cfg': {**start, 'leaveout': ['gamma_1']}})
    with pytest.raises(UserError, match="mean 'checkpoint'"):  # else a random start, silently
        read_config(recipe, {'model.init_cfg': {'type': 'Pretrained', 'chekpoint': 'x.pth'}})


@pytest.mark.parametrize(('option', 'message'), [
    ({'train_dataloder.batch_size': 4}, "did you mean 'train_dataloader'"),
    ({'width': 64}, 'nothing reads it once the file is parsed'),
    ({'model.patchsize': 8}, r"model\.patchsize: mim_backbones.MIMViT .*mean 'patch_size'"),
    ({'train_dataloader.batchsize': 8}, "did you mean 'batch_size'"),
    ({'env_cfg.cudnn_bench': True}, "did you mean 'cudnn_benchmark'"),
])  # fmt: skip
def test_overrides_that_nothing_reads(recipe: Path, option: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_config(recipe, option)


@pytest.mark.parametrize('option', [
    {'model.rpn_head.anchor_generator.scale': [8]},
    {'model.rpn_head.anchor_generator': {'scale': [8]}},
    {'train_dataloader.batchsize': 8},
    {'optim_wraper.type': 'OptimWrapper'},
    {'model.backbone.patchsize': 8},
])  # fmt: skip
def test_overrides_of_a_stock_config_are_checked_too(swapped: Path, option: dict) -> None:
    with pytest.raises(UserError, match='did you mean'):
        read_config(swapped, option)


def test_elsewhere_a_key_is_a_warning_with_a_suggestion(swapped: Path, capsys) -> None:
    read_config(swapped)
    assert capsys.readouterr() == ('', '')
    swapped.write_text(
        swapped.read_text() + 'optim_wraper = dict(clip_grad=None)\n'
        'train_dataloader = dict(batchsize=1)\n'
        "val_evaluator = dict(anno_file='x')\n"
    )
    read_config(swapped)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(':')[0] for line in said] == ['warning'] * 3
    for line, meant in zip(said, ('optim_wrapper', 'batch_size', 'ann_file'), strict=True):
        assert f'did you mean {meant!r}?' in line


def test_in_a_part_of_ours_it_is_an_error_wherever_it_stands(swapped: Path) -> None:
    text = swapped.read_text()
    swapped.write_text(text.replace("arch='tiny'", "arch='tiny', patchsize=8"))
    with pytest.raises(UserError, match="mean 'patch_size'"):
        read_config(swapped)
    start = "init_cfg=dict(type='Pretrained', chekpoint='x')"
    swapped.write_text(text.replace("arch='tiny'", f"arch='tiny', {start}"))
    with pytest.raises(UserError, match="mean 'checkpoint'"):
        read_config(swapped)


def stray(file: Path, capsys) -> str:
    check_config(open_config(file))
    return capsys.readouterr().err


def own_leftovers(said: str) -> bool:
    """Whether all warnings are of what the shipped file really has and nothing reads."""
    lines = [line for line in said.splitlines() if 'config key ' in line]
    named = [line.split('config key ')[1] for line in lines]
    return all(any(name.lstrip("'").startswith(dead) for dead in DEAD) for name in named)


@pytest.mark.parametrize('file', random.Random(0).sample(stock_configs(), 40), ids=lambda f: f.stem)
def test_a_stock_config_passes_unchanged(file: Path, capsys) -> None:
    try:
        open_config(file)
    except UserError:
        pytest.skip('needs a package that is not installed, or is broken as shipped')
    assert own_leftovers(stray(file, capsys))


@pytest.mark.slow
def test_every_stock_config_passes_unchanged(pytestconfig, capsys) -> None:
    if not pytestconfig.getoption('every_stock_config'):
        pytest.skip('--every-stock-config is not given: four minutes, where 40 were tried above')
    refused, noisy, read = {}, {}, 0
    for file in stock_configs():
        try:
            cfg = open_config(file)
        except UserError:
            continue
        read += 1
        try:
            check_config(cfg)
        except UserError as error:
            refused[file] = str(error)
        said = capsys.readouterr().err
        if not own_leftovers(said):
            noisy[file] = said
    assert read > 1400
    assert all('nothing is registered' in why for why in refused.values())  # mmpretrain's
    assert len(refused) < 6
    assert not noisy


@pytest.mark.parametrize('name', recipe_names())
def test_a_recipe_of_ours_dumped_by_the_runner_passes(name: str, tmp_path: Path, capsys) -> None:
    cfg = open_config(recipes_root() / name)
    dumped = tmp_path / 'dumped.py'
    cfg.dump(dumped)
    assert read_config(dumped).to_dict() == cfg.to_dict()
    assert len(capsys.readouterr().err.splitlines()) <= 1  # the names of helpers, if any
