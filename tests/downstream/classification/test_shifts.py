"""Further test sets and corrupted pictures of a classifier: which are read, and what is scored."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from downstream.classification.data import ClassificationData, shifted_index, train_index
from downstream.classification.pictures import LabelledPictures
from downstream.evaluation.plan import Request, _conditions
from downstream.evaluation.progress import Progress, ProgressFile
from downstream.results.result import read_result, write_result
from downstream.robustness.conditions import Conditions
from downstream.robustness.corrupt import corrupt
from downstream.robustness.pipeline import check_files, make_corruptible
from downstream.robustness.scoring import score_corrupted
from downstream.task import find_task
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

VIEW = {'type': 'CentreView', 'img_size': 32}
TWELVE = {f'n{number:02}': 1 for number in range(12)}
FOG = Conditions(('fog', 'pixelate'), (1, 5))


def beside(root: Path, name: str, classes: dict[str, int]) -> Path:
    """A further set of so many pictures of each class."""
    rng = np.random.default_rng(7)
    for one, count in classes.items():
        (root / name / one).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (48, 48, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / one / f'{number}.png')
    return root / name


def test_folders_of_numbers_count_classes_by_value(folders, tmp_path) -> None:
    root = folders(train=TWELVE, val={'n00': 1})
    place = beside(tmp_path, 'imagenetv2', {str(number): 1 for number in range(12)})
    data = ClassificationData(root)
    found = shifted_index(data, str(place), train_index(data).classes)
    named = {Path(file).parent.name: label for file, label in zip(found.files, found.labels)}
    assert named == {str(number): number for number in range(12)}  # not '10' behind '1'
    beside(tmp_path, 'imagenetv2', {'12': 1})
    with pytest.raises(UserError, match='has a class number 12, the data 12 classes'):
        shifted_index(data, str(place), train_index(data).classes)


def test_predictions_are_of_the_classes_that_the_set_has(folders, tmp_path) -> None:
    root = folders(train=dict.fromkeys(TWELVE, 2), val={'n00': 1})
    beside(tmp_path, 'imagenet-r', {'n03': 2, 'n11': 1})
    words = {'root': str(root), 'split': 'val', 'view': VIEW}
    found = LabelledPictures(shifted='../imagenet-r', **words)
    assert [row.label for row in found.rows] == [3, 3, 11]
    assert found[0]['name'] == '../imagenet-r/n03/0.png'
    assert found[0]['allowed'].nonzero().ravel().tolist() == [3, 11]
    held = LabelledPictures(shifted='../imagenet-r', held_out=0.5, **words)
    assert held[3]['held'] and held[3]['allowed'].all()  # the choice among probes is the usual one
    beside(tmp_path, 'sketch', TWELVE)
    assert 'allowed' not in LabelledPictures(shifted='../sketch', **words)[0]
    with zipfile.ZipFile(tmp_path / 'r.zip', 'w') as archive:
        archive.write(tmp_path / 'imagenet-r/n11/0.png', 'imagenet-r/n11/0.png')
    packed = LabelledPictures(shifted='../r.zip', **words)
    assert torch.equal(packed[0]['inputs'], found[2]['inputs'])


def test_a_class_of_a_set_alone_is_refused(folders, tmp_path) -> None:
    data = ClassificationData(folders(train={'cat': 1}, val={'cat': 1}))
    beside(tmp_path, 'a', {'cat': 1, 'dog': 1})
    with pytest.raises(UserError, match='/a has the class dog, which the training pictures lack'):
        shifted_index(data, '../a', ('cat',))
    (tmp_path / 'none').mkdir()
    with pytest.raises(UserError, match=r'no JPEG or PNG in .*none/CLASS'):
        shifted_index(data, '../none', ('cat',))


def test_sets_are_called_as_their_folders_and_looked_for(folders, tmp_path) -> None:
    folders(train={'cat': 1}, val={'cat': 1})
    file = tmp_path / 'data.yaml'
    file.write_text('classification: {root: set, shifted: [../imagenet-r, ../x/imagenet-a.zip]}\n')
    with pytest.raises(UserError, match=r'imagenet-r is not there'):
        load_data_spec(file)['classification']
    data = ClassificationData(tmp_path, shifted=('../imagenet-r', '../x/imagenet-a.zip'))
    assert data.shifts() == {'imagenet-r': '../imagenet-r', 'imagenet-a': '../x/imagenet-a.zip'}
    with pytest.raises(UserError, match='two shifted sets are called imagenet-r; rename one'):
        replace(data, shifted=('a/imagenet-r', 'b/imagenet-r')).shifts()


def test_shifted_without_a_set_is_refused(world) -> None:
    spec = load_data_spec(world)
    asked = Request((), world, world, shifted=True)
    for task in ('classification', 'segmentation'):
        with pytest.raises(UserError, match=rf'--shifted: the {task} data names no further'):
            _conditions(asked, task, spec)
    assert _conditions(replace(asked, shifted=False), 'segmentation', spec) is None


def test_the_data_file_decides_the_layout_of_a_recipe(folders) -> None:
    dataset = {'type': 'LabelledPictures', 'layout': 'cifar', 'class_names': 'x'}
    cfg = Config({'model': {}, 'train_dataloader': {'dataset': dataset}})
    root = folders(train={'cat': 1, 'dog': 1}, val={'cat': 1})
    find_task('classification').fit_data(cfg, ClassificationData(root))
    assert cfg.model.num_classes == 2
    assert not {'layout', 'class_names'} & set(cfg.train_dataloader.dataset)
    (root / 'names.txt').write_text('cat\ndog\n')
    find_task('classification').fit_data(cfg, ClassificationData(root, class_names='names.txt'))
    assert cfg.train_dataloader.dataset.class_names == 'names.txt'


@pytest.mark.parametrize('workers', [0, 2])
def test_a_picture_is_corrupted_behind_its_view_unless_held_out(folders, workers) -> None:
    root = folders(train={'cat': 4}, val={'cat': 2})
    dataset = LabelledPictures(str(root), 'val', VIEW, held_out=0.25)
    clean = [dataset[number]['inputs'] for number in range(3)]
    switch = make_corruptible(dataset, FOG)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=3, num_workers=workers, persistent_workers=workers > 0
    )
    assert torch.equal(next(iter(loader))['inputs'], torch.stack(clean))  # off
    switch.turn('pixelate', 5)
    (batch,) = loader
    expected = corrupt(clean[1].permute(1, 2, 0).numpy(), 'pixelate', 5, 'cat/1.JPEG')
    assert (batch['inputs'][1].permute(1, 2, 0).numpy() == expected).all()
    assert not torch.equal(batch['inputs'][0], clean[0])
    assert batch['held'].tolist() == [False, False, True]
    assert torch.equal(batch['inputs'][2], clean[2])


@pytest.mark.parametrize('group', ['', 'noise/'])
def test_published_files_are_read_as_they_are(folders, tmp_path, group) -> None:
    root = folders(train={'cat': 1}, val={'cat': 2})
    place = f'{group}fog/5/cat'
    beside(tmp_path / 'c', place.removesuffix('/cat'), {'cat': 2})
    for file in (tmp_path / 'c' / place).iterdir():
        pixels = Image.open(file).resize((32, 32))
        pixels.save(file.with_suffix('.JPEG'), format='PNG')
    asked = Conditions(('fog',), (5,), files=str(tmp_path / 'c'))
    check_files(asked)
    dataset = LabelledPictures(str(root), 'val', VIEW)
    make_corruptible(dataset, asked).turn('fog', 5)
    found = dataset[1]['inputs'].permute(1, 2, 0).numpy()
    assert (found == np.array(Image.open(tmp_path / 'c' / place / '1.JPEG'))).all()
    (tmp_path / 'c' / place / '0.JPEG').unlink()
    with pytest.raises(UserError, match='No such file'):
        dataset[0]
    with pytest.raises(UserError, match=r'fog/4 is not there; name fewer --corruptions'):
        check_files(replace(asked, severities=(4, 5)))


def test_a_trained_classifier_is_scored_on_all_of_them(world, make_job, tmp_path) -> None:
    from downstream.evaluation.job import Identity
    from downstream.evaluation.job_config import job_config
    from downstream.evaluation.worker import result_of, run_of
    from mim_backbones.training.launch import build_runner

    spec = load_data_spec(world)
    section = spec['classification']
    shutil.copytree(section.root / 'val', tmp_path / 'copy')
    few = sorted((section.root / 'val').iterdir())[1:3]
    for folder in few:
        shutil.copytree(folder, tmp_path / 'few' / folder.name)
    sets = replace(section, shifted=(str(tmp_path / 'copy'), str(tmp_path / 'few')))
    asked = _conditions(
        Request((), world, world, shifted=True, conditions=FOG), 'classification',
        type(spec)(spec.file, {'classification': sets}),
    )  # fmt: skip
    options = {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 4}
    job = make_job('classification', None, options=options, conditions=asked)
    runner = build_runner(job_config(job, spec))
    runner.train()
    task, watch = find_task('classification'), ProgressFile(Progress(None))
    switch = make_corruptible(runner.test_dataloader.dataset, asked)
    clean = task.run(runner, watch.progress)
    found = score_corrupted(task, runner, watch, switch, asked, clean, tmp_path / 'kept')
    robustness = found.robustness
    assert set(robustness.scores) == set(FOG.corruptions) and robustness.severities == (1, 5)
    assert robustness.scores['fog']['5'].keys() == clean.metrics.keys()
    assert robustness.shifts['copy'] == pytest.approx(clean.metrics)  # the same pictures
    assert robustness.shifts['few']['top5'] == 100  # of two classes
    again = score_corrupted(task, runner, watch, switch, asked, clean, tmp_path / 'kept')
    assert again.robustness == robustness  # read, not scored
    assert task.run(runner, watch.progress).metrics == clean.metrics  # nothing is left on

    job = replace(job, identity=Identity('c', 'p', 'b'))
    result = result_of(job, clean, {}, run_of(job, runner, 0))
    path = write_result(tmp_path / 'results', result, clean.units, scored=found)
    stored = read_result(path).result
    assert stored.robustness.shifts == robustness.shifts
    assert stored.robustness.covers(asked, robustness.version)
    assert not stored.robustness.covers(replace(asked, shifts=(('v2', 'v2'),)), robustness.version)
    assert not stored.robustness.covers(replace(asked, files='c'), robustness.version)
    lone = replace(robustness, scores={}, halves=None)
    assert lone.covers(replace(asked, corruptions=(), severities=()), robustness.version)
    assert lone.summary(clean.metrics, 4) == {'shifts': robustness.shifts}
