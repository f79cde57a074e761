"""Another teacher, or the same one read otherwise, is noticed on resuming: by every method."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger

from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.hooks.record import frozen_nets
from pretrain.registry import MODELS, build
from pretrain.targets.frozen import Frozen
from pretrain.teachers.backbone import BackboneTeacher
from tests.pretrain.small import METHODS, TEACHER, method, recipe, write_blobs

OTHERS = {
    'weights': lambda teacher: {'backbone': teacher['backbone'] | {'mlp_ratio': 2.0}},
    'mean': lambda teacher: {'mean': (0.1, 0.2, 0.3)},
    'std': lambda teacher: {'std': (0.1, 0.2, 0.3)},
    'norm': lambda teacher: {'final_norm': False},
}


def swapped(config: Any, change: Callable[[dict], dict]) -> Any:
    """The config with its teacher changed, wherever it has one."""
    if isinstance(config, dict):
        if config.get('type') == TEACHER['type']:
            return config | change(config)
        return {key: swapped(value, change) for key, value in config.items()}
    return [swapped(value, change) for value in config] if isinstance(config, list) else config


TAUGHT = [n for n, config in METHODS.items() if swapped(config, lambda _: {'type': ''}) != config]


def test_every_method_with_a_teacher_is_tried_here() -> None:
    kinds = {'features', 'relations'}
    taught = {
        name for name in METHODS
        if any(t.state == 'frozen' and t.kind in kinds for t in method(name).targets)
    }  # fmt: skip
    assert taught == set(TAUGHT) and {'VQKD', 'DMAE'} <= taught


@pytest.mark.parametrize('other', OTHERS)
@pytest.mark.parametrize('name', TAUGHT)
def test_another_teacher_is_refused(name: str, other: str) -> None:
    state = method(name).state_dict()
    method(name).load_state_dict(state)  # the same one is not
    changed = build(MODELS, swapped(METHODS[name], OTHERS[other]))
    with pytest.raises(
        UserError, match=r'of another net than model\.\S+ loads, or .*read'
    ) as error:
        changed.load_state_dict(state)
    assert '\n' not in str(error.value)


def test_other_norms_and_blocks_are_refused() -> None:
    deep = {'backbone': TEACHER['backbone'] | {'arch': {**TEACHER['backbone']['arch'], 'depth': 3}}}
    config = swapped(METHODS['VQKD'], lambda _: deep)
    state = build(MODELS, config).state_dict()
    last = swapped(config, lambda _: {'blocks': (2,)})
    build(MODELS, last).load_state_dict(state)  # the last one by its number
    for changed in (
        swapped(config, lambda _: {'blocks': (1,)}),
        {**config, 'target': {**config['target'], 'norm': 'l2'}},
    ):
        with pytest.raises(UserError, match='of another net than'):
            build(MODELS, changed).load_state_dict(state)


def test_resolution_counts() -> None:
    """The same weights of a CNN at another size give other features of the same width."""
    cnn = {'type': 'ResNetTeacher', 'random_weights': True, 'depth': 18, 'stage': 2}
    config = {**METHODS['VQKD'], 'target': {'type': 'FeatureTarget', 'aligner': 'interpolate'}}
    one, two = (
        build(
            MODELS, {**config, 'target': {**config['target'], 'teacher': cnn | {'input_size': s}}}
        )
        for s in (32, 64)
    )
    with pytest.raises(UserError, match=r'of another net than .*input_size 64'):
        two.load_state_dict(one.state_dict())


def test_files_and_numbers_of_blocks_do_not_count(tmp_path) -> None:
    drawn = BackboneTeacher(input_size=32, **{k: v for k, v in TEACHER.items() if k != 'type'})
    torch.save(drawn.net.state_dict(), tmp_path / 'vit.pth')
    read = BackboneTeacher(
        str(tmp_path / 'vit.pth'), input_size=32, loading={'num_heads': 2}, blocks=(0,)
    )
    one, two = (Frozen(teacher) for teacher in (drawn, read))
    assert one.facts() == two.facts()
    assert torch.equal(one.fingerprint(one.facts()), two.fingerprint(two.facts()))
    heads = BackboneTeacher(str(tmp_path / 'vit.pth'), input_size=32, loading={'num_heads': 4})
    assert heads.facts() != two.facts()


def test_log_and_checkpoint_say_it_in_words(tmp_path, monkeypatch) -> None:
    lines = []
    monkeypatch.setattr(MMLogger, 'info', lambda self, line, *_: lines.append(line))
    images = write_blobs(tmp_path / 'images')
    runner = build_runner(recipe(METHODS['VQKD'], images, tmp_path / 'run', epochs=1))
    runner.train()
    record = torch.load(tmp_path / 'run/epoch_1.pth', weights_only=False)['meta']['mimbench']
    (net,) = record['frozen']
    assert net == frozen_nets(runner.model)[0]
    assert net['target'] == 'FeatureTarget' and len(net['fingerprint']) == 64
    assert net['reading'] == {
        'blocks': [0], 'input_size': 32, 'mean': [0.485, 0.456, 0.406],
        'std': [0.229, 0.224, 0.225], 'final_norm': True, 'num_heads': 2, 'norm': 'none',
        'aligner': 'same', 'block_norm': 'none', 'join': 'mean', 'whole': 'own',
    }  # fmt: skip
    (said,) = (line for line in lines if line.startswith('target FeatureTarget'))
    assert net['fingerprint'][:12] in said and 'input_size 32' in said and 'blocks [0]' in said
