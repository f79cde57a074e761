import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mim_backbones.errors import UserError
from mim_backbones.training.config import (
    custom_imports_of,
    import_recorded,
    merged,
    open_config,
    read_config,
)
from mim_backbones.training.launch import build_runner

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(('name', 'text', 'message'), [
    ('none.py', None, 'does not exist'),
    ('broken.py', 'model = dict(\n', 'line 1: '),
    ('photo.jpg', 'no text', 'Only py/yml/yaml/json type'),
    ('orphan.py', "_base_ = './none.py'", 'none.py'),
    ('undefined.py', 'model = dict(depth=deep)', "NameError: name 'deep' is not defined"),
    ('base_key.py', "_base_ = './base.py'\nx = _base_.nothing", 'nothing'),
    ('merged.py', "_base_ = './base.py'\nwork_dir = dict(a=1)", 'cannot inherit from base'),
    ('empty.json', '', 'JSONDecodeError: Expecting value: line 1'),
    ('list.json', '[1]', "'list' object"),
    ('open.yml', 'a: [1, 2\nb: }', "line 2: did not find expected ',' or ']'"),
    ('control.yml', 'a: \x00', '#x0000'),
    ('module.py', "custom_imports = dict(imports=['no_such_module'])", 'Failed to import'),
    ('quiet.py', 'raise ValueError', 'ValueError'),
    ('latin.py', b'# \xe9', 'UnicodeDecodeError'),
])  # fmt: skip
@pytest.mark.usefixtures('recipe')
def test_files_that_are_no_configs(tmp_path, name: str, text: str | bytes | None, message) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        read_config(tmp_path / name)
    assert str(caught.value).startswith(f'config {tmp_path / name}')
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_refused_value_and_an_unwritable_folder_are_one_line(recipe, tmp_path) -> None:
    no_loader = {'train_dataloader': None}
    wrong = {'model.pos_embed': 'learnt', 'work_dir': str(tmp_path / 'run')}
    cfg = read_config(recipe, {**no_loader, **wrong})
    with pytest.raises(UserError, match="pos_embed='learnt'"):
        build_runner(cfg)
    (tmp_path / 'file').touch()
    cfg = read_config(recipe, {**no_loader, 'work_dir': str(tmp_path / 'file' / 'run')})
    with pytest.raises(UserError, match='cannot write to'):
        build_runner(cfg)


def test_a_config_without_a_model_is_no_recipe(recipe, tmp_path) -> None:
    cfg = read_config(recipe, {'model': None, 'work_dir': str(tmp_path / 'run')})
    with pytest.raises(UserError, match='is no recipe: it has no model'):
        build_runner(cfg)
    assert not (tmp_path / 'run').exists()


def test_unused_parameters_reach_the_wrapper(recipe, tmp_path) -> None:
    cfg = read_config(recipe, {'train_dataloader': None, 'work_dir': str(tmp_path / 'run')})
    cfg.find_unused_parameters = True
    build_runner(cfg)
    assert cfg.model_wrapper_cfg.find_unused_parameters


ACME = 'from pathlib import Path\nPath(__file__).with_name("ran").touch()\n'


@pytest.fixture
def acme(tmp_path, monkeypatch):
    (tmp_path / 'acme_method.py').write_text(ACME)
    (tmp_path / 'acme_broken.py').write_text('raise ValueError("half done")\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ('acme_method', 'acme_broken'):
        sys.modules.pop(name, None)


@pytest.mark.parametrize('imports', ["['acme_method']", "'acme_method'"])
def test_custom_imports_are_recorded_and_imported_again(acme, recipe, capsys, imports) -> None:
    recipe.write_text(recipe.read_text() + f'custom_imports = dict(imports={imports})\n')
    assert custom_imports_of(Config.fromfile(recipe)) == ['acme_method']
    assert custom_imports_of(Config()) == []
    sys.modules.pop('acme_method')
    (acme / 'ran').unlink()
    record = {'custom_imports': ['acme_method']}
    assert import_recorded(record, 'a.pth') == ['acme_method']
    assert (acme / 'ran').exists()
    assert capsys.readouterr().err == 'checkpoint a.pth: imported acme_method, as its recipe\n'
    assert import_recorded(record, 'a.pth') == []
    assert import_recorded(None, 'a.pth') == import_recorded({}, 'a.pth') == []
    assert capsys.readouterr().err == ''


@pytest.mark.usefixtures('acme')
@pytest.mark.parametrize(
    'name',
    ['acme_missing', 'acme_missing.part', 'antigravity', 'os; print(1)', '../acme', '', 'a..b'],
)
def test_a_module_that_is_not_installed_is_named_and_nothing_runs(name: str) -> None:
    with pytest.raises(UserError, match='is not installed here') as error:
        import_recorded({'custom_imports': [name]}, 'a.pth')
    assert repr(name) in str(error.value)
    assert name not in sys.modules


@pytest.mark.usefixtures('acme')
def test_a_module_that_fails_is_one_line() -> None:
    for name, why in (('acme_broken', 'ValueError: half done'), ('acme_method.x', 'No module')):
        with pytest.raises(UserError, match=f"'{name}', which fails here: .*{why}"):
            import_recorded({'custom_imports': [name]}, 'a.pth')


def test_merging_leaves_the_options_as_they_are() -> None:
    options = {'model.neck': {'_delete_': True, 'type': 'FPN'}}
    for _ in range(2):  # `mimbench eval` fits one recipe several times with the same options
        cfg = merged(Config({'model': {'neck': {'type': 'Old', 'width': 3}}}), options)
        assert cfg.model.neck == {'type': 'FPN'}


def test_a_yaml_config_is_data_and_what_mmengine_dumps(tmp_path) -> None:
    Config({'a': (1, (2, 'x')), 'b': {'c': None}}).dump(tmp_path / 'plain.yaml')
    assert 'python/tuple' in (tmp_path / 'plain.yaml').read_text()
    assert open_config(tmp_path / 'plain.yaml').to_dict() == {'a': (1, (2, 'x')), 'b': {'c': None}}


@pytest.mark.parametrize('ending', ['yml', 'yaml'])
@pytest.mark.parametrize(
    'tag', ['object/apply:os.system ["touch ran"]', 'name:os.system', 'object:os.system {}']
)
def test_a_yaml_config_runs_nothing(tmp_path, monkeypatch, ending: str, tag: str) -> None:
    """Neither by itself nor as the base of another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f'a.{ending}').write_text(f'x: !!python/{tag}\n')
    (tmp_path / 'b.py').write_text(f"_base_ = './a.{ending}'\n")
    for name in (f'a.{ending}', 'b.py'):
        with pytest.raises(UserError, match='could not determine a constructor'):
            open_config(tmp_path / name)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('order', [('runtime', 'wandb'), ('wandb', 'runtime')])
def test_wandb_stands_beside_runtime_in_one_list_of_bases(tmp_path, order) -> None:
    """As the docstring of configs/_base_/wandb.py has it."""
    bases = [str(ROOT / f'configs/_base_/{name}.py') for name in order]
    (tmp_path / 'mine.py').write_text(f'_base_ = {bases}\n')
    project = {'wandb.project': 'mine'}
    for options, name in (({}, 'mimbench'), (project, 'mine')):
        cfg = read_config(tmp_path / 'mine.py', options)
        kinds = [backend.type for backend in cfg.visualizer.vis_backends]
        assert kinds == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend']
        assert cfg.visualizer.vis_backends[-1].init_kwargs == {'project': name}
        assert cfg.visualizer.name == 'mimbench' and 'wandb' not in cfg
