import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from downstream.commands.protocols import protocols
from downstream.evaluation import protocols as module
from downstream.evaluation.protocols import find_protocol, recipes
from downstream.task import tasks
from mim_backbones.console.recipes import recipes_root
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config

FILES = sorted((recipes_root() / 'downstream').rglob('*.py'))
WHOLE = "protocol = dict(name='{}', version='1', task='detection', tier='proxy', family='swin')\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder whose recipes are all there are."""
    monkeypatch.setattr(module, '_folders', lambda: iter([tmp_path]))
    return tmp_path


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_every_recipe_is_a_protocol_and_reads_as_its_config_does(file: Path) -> None:
    (recipe,) = (one for one in recipes().values() if one.path == file)
    said = dict(read_config(file).protocol)
    said = {key: value for key, value in said.items() if key not in module.RULES}
    assert {'family': '', 'arch': '', 'framework': '', **said} == vars(recipe.protocol)
    assert recipe.protocol.task in tasks()
    assert recipe.summary.endswith('.')


@pytest.mark.parametrize('task', sorted(tasks()))
def test_every_task_has_a_smoke_protocol(task: str) -> None:
    assert find_protocol(task, 'smoke', 'vit').protocol.task == task


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
@pytest.mark.parametrize('family', ['vit', 'swin', 'hiera'])
def test_the_tier_picks_the_one_for_the_family(task: str, family: str) -> None:
    assert find_protocol(task, 'smoke', family).protocol.family == family


def test_what_there_is_not_is_named() -> None:
    with pytest.raises(UserError, match=r"no task 'pose'; known: .*detection"):
        find_protocol('pose', 'smoke')
    with pytest.raises(UserError, match="no tier 'gold'; known: smoke"):
        find_protocol('detection', 'gold')
    with pytest.raises(UserError, match=r"tracking at tier 'smoke' takes .* vit, not of swin"):
        find_protocol('tracking', 'smoke', 'swin')
    with pytest.raises(UserError, match=r"no protocol 'vitdet'; it has: .*mask-rcnn-hiera-smoke"):
        find_protocol('detection', 'smoke', 'vit', 'vitdet')
    with pytest.raises(UserError, match='takes vit backbones, this is a hiera'):
        find_protocol('detection', 'smoke', 'hiera', 'mask-rcnn-vit-smoke')


def test_several_of_a_tier_are_chosen_by_name() -> None:
    with pytest.raises(UserError, match=r'upernet-vit-l-beitv2, .*; choose one'):
        find_protocol('segmentation', 'full', 'vit', arch='large')
    # The name counts, whatever the tier.
    found = find_protocol('ade20k', 'smoke', 'vit', 'upernet-vit-l-beitv2', arch='large')
    assert found.protocol.tier == 'full'


def test_one_that_is_taken_by_name_alone_is_never_the_one_of_its_tier(folder: Path) -> None:
    (folder / 'a.py').write_text(WHOLE.format('probe').replace(')', ', by_name=True)'))
    with pytest.raises(UserError, match="no tier 'proxy'"):
        find_protocol('detection', 'proxy', 'swin')
    (folder / 'b.py').write_text(WHOLE.format('usual'))
    assert find_protocol('detection', 'proxy', 'swin').protocol.name == 'usual'
    assert find_protocol('detection', 'proxy', 'swin', 'probe').protocol.name == 'probe'


def test_a_protocol_of_one_size_takes_that_size_alone(folder: Path) -> None:
    for arch in ('base', 'large'):
        size = WHOLE.format(f'p-{arch}').replace(')', f", arch='{arch}')")
        (folder / f'{arch}.py').write_text(size)
    assert find_protocol('detection', 'proxy', 'swin', arch='large').protocol.name == 'p-large'
    fits = r"p-base takes swin base backbones, this is a swin large; of tier 'proxy' it fits: p-l"
    with pytest.raises(UserError, match=fits):
        find_protocol('detection', 'proxy', 'swin', 'p-base', arch='large')
    takes = 'takes backbones of swin base, swin large, not of swin small'
    with pytest.raises(UserError, match=takes):
        find_protocol('detection', 'proxy', 'swin', arch='small')
    with pytest.raises(UserError, match=r'not of swin$'):  # sizes of its own, which have no name
        find_protocol('detection', 'proxy', 'swin')
    (folder / 'any.py').write_text(WHOLE.format('p-any'))
    assert find_protocol('detection', 'proxy', 'swin').protocol.name == 'p-any'


def test_a_recipe_that_only_inherits_is_no_protocol_of_its_own(folder: Path) -> None:
    (folder / 'base.py').write_text('"""First line.\n\nMore."""\n' + WHOLE.format('base'))
    (folder / 'longer.py').write_text("_base_ = 'base.py'\ntrain_cfg = dict(max_iters=9)\n")
    (folder / 'large.py').write_text("_base_ = ['base.py']\nprotocol = dict(name='large')\n")
    found = recipes()
    assert list(found) == ['base', 'large']
    assert found['large'].protocol == module.Protocol('large', '1', 'detection', 'proxy', 'swin')
    assert found['base'].summary == 'First line.'


def test_two_recipes_of_one_name_are_both_named(folder: Path) -> None:
    (folder / 'a.py').write_text(WHOLE.format('same'))
    (folder / 'b.py').write_text("_base_ = 'a.py'\nprotocol = dict(version='2')\n")
    with pytest.raises(UserError, match=r"called 'same': .*a\.py and .*b\.py"):
        recipes()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ("protocol = dict(name='x')", 'lacks version, task, tier'),
        (WHOLE.format('x').replace(')', ", teir='full')"), r"unknown \['teir'\]"),
        (WHOLE.format('x').replace('proxy', 'gold'), "tier 'gold'"),
        (WHOLE.format('x').replace('swin', 'cnn'), "family 'cnn'"),
        (WHOLE.format('x').replace(')', ", arch='giant')"), "arch 'giant'; known: tiny-lite"),
        ('protocol = dict(', 'no Python'),
        ("_base_ = 'gone.py'\n" + WHOLE.format('x'), r'gone\.py is not there'),
    ],
)
def test_a_broken_recipe_is_named(folder: Path, text: str, message: str) -> None:
    (folder / 'wrong.py').write_text(text)
    with pytest.raises(UserError, match=rf'wrong\.py.*{message}|wrong\.py.*: .*{message}'):
        recipes()


def test_words_that_are_computed_are_read_too(folder: Path) -> None:
    (folder / 'a.py').write_text("size = 'b'\n" + WHOLE.format('{}').replace("'{}'", "'x-' + size"))
    assert list(recipes()) == ['x-b']


def test_a_package_brings_protocols(tmp_path, monkeypatch) -> None:
    package = tmp_path / 'my_recipes'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'mine.py').write_text(WHOLE.format('mine'))
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint('mine', 'my_recipes', module.GROUP)
    monkeypatch.setattr(module, 'plugins', lambda group: {'mine': point})
    assert recipes()['mine'].path == package / 'mine.py'
    assert find_protocol('detection', 'proxy', 'swin', 'mine').protocol.name == 'mine'
    broken = EntryPoint('gone', 'no_such_package', module.GROUP)
    monkeypatch.setattr(module, 'plugins', lambda group: {'gone': broken})
    with pytest.raises(UserError, match=r"'gone' \(mimbench.protocols.*no_such_package"):
        recipes()


def test_reading_the_list_runs_no_config() -> None:
    code = (
        'import sys; from downstream.evaluation.protocols import recipes; recipes(); '
        "assert not {'torch', 'mmengine', 'mmcv'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_lists_and_filters() -> None:
    done = CliRunner().invoke(protocols, ['--task', 'coco', '--json'])
    rows = json.loads(done.stdout)
    assert {row['task'] for row in rows} == {'detection'}
    assert all(Path(row['recipe']).is_file() for row in rows)
    table = CliRunner().invoke(protocols, ['--tier', 'full']).stdout
    assert 'upernet-vit-b-beitv2' in table
    assert 'smoke' not in table
    assert isinstance(CliRunner().invoke(protocols, ['--tier', 'x']).exception, UserError)


def test_the_command_says_what_a_protocol_costs_and_what_is_reported() -> None:
    done = CliRunner().invoke(protocols, ['--task', 'detection', '--json'])
    (row,) = (row for row in json.loads(done.stdout) if row['name'] == 'mask-rcnn-vitdet-b')
    assert (row['parameters'], row['input'], row['arch']) == (110895024, [1024, 1024], 'base')
    assert round(row['gpu_hours']) == 1029  # 0.314 s an image, 100 epochs
    assert row['reported'][0]['values'] == {'APbox': 51.6, 'APmask': 45.9}
    said = CliRunner().invoke(protocols, ['--task', 'detection']).stdout
    assert 'M: million parameters' in said and '110.9' in said
