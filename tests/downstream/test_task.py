"""What the suite asks of a task, for every one there is, and what it refuses."""

import dataclasses
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from downstream import task as module
from downstream.task import DataCard, Evaluation, Task, find_task, task_names, tasks
from mim_backbones.errors import UserError


@dataclasses.dataclass(frozen=True)
class DepthData:
    root: Path


DEPTH = Task(
    name='depth',
    data=DepthData,
    unit='images',
    metrics={'rmse': 'RMSE'},
    headline=('rmse',),
    describe=lambda data: DataCard('d', str(data.root), '0', 1, 1),
    fit=lambda cfg, job, data: None,
    run=lambda runner, progress: Evaluation({'rmse': 1.0}),
)


@pytest.fixture
def bring(monkeypatch):
    """bring(TASK): beside the built-in ones there is this one now, under the name 'depth'."""
    tasks.cache_clear()
    ours = module.plugins(module.GROUP)

    def add(task: object) -> None:
        point = EntryPoint('depth', 'mine:TASK', module.GROUP)
        monkeypatch.setattr(module, 'plugins', lambda group: {**ours, 'depth': point})
        load = module.load_plugin
        monkeypatch.setattr(module, 'load_plugin', lambda one: task if one is point else load(one))

    yield add
    tasks.cache_clear()


@pytest.mark.parametrize('name', sorted(tasks()))
def test_every_task_is_whole(name):
    task = tasks()[name]
    assert task.name == name
    assert all(find_task(word) is task for word in (name, *task.aliases))
    assert task.primary(dict.fromkeys(task.metrics, 0.0)) == task.headline[0]
    assert set(task.published.values()) <= set(task.metrics)
    if task.units is not None:
        assert task.units().kind == name
    section = task.data(Path('somewhere'), *[('a',)] * (name == 'segmentation'))
    assert section.wanted()[0] == Path('somewhere')
    assert all(str(path).startswith('somewhere') for path in section.wanted())


@pytest.mark.parametrize('name', sorted(tasks()))
def test_a_task_is_loaded_without_its_framework(name):
    code = (
        f'import sys, downstream.{name}.task; '
        "assert not {'torch', 'mmengine', 'mmcv', 'cv2', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_task_from_outside_is_one_of_them(bring):
    bring(DEPTH)
    assert find_task('depth') is DEPTH
    assert {'detection', 'coco', 'depth'} <= set(task_names())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'name': 'deep'}, "calls itself 'deep'"),
        ({'run': None}, 'run cannot be called'),
        ({'units': 'DepthUnits'}, 'units cannot be called'),
        ({'headline': ('mae',)}, 'headline must name some of its metrics'),
        ({'data': dict}, 'must be a dataclass'),
        ({'aliases': ('coco',)}, "'coco' names two tasks, detection and depth"),
    ],
)
def test_a_task_that_is_not_whole_is_refused(bring, change, message):
    bring(dataclasses.replace(DEPTH, **change))
    with pytest.raises(UserError, match=message):
        tasks()


def test_something_else_than_a_task_is_refused(bring):
    bring(object())
    with pytest.raises(UserError, match=r"task 'depth' \(mine:TASK\) has no name"):
        tasks()


def test_an_unknown_word_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"no task 'pose'; known: ade20k, classification, coco"):
        find_task('pose')
