"""Probes of any method: what they find, that training does not notice, and what they may cost."""

import json
import logging
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mim_backbones.errors import UserError
from mim_backbones.images.normalise import Normalise
from mim_backbones.probes.diversity import effective_rank, token_figures
from mim_backbones.registry import MODELS as BACKBONES
from mim_backbones.training.launch import build_runner
from pretrain.hooks.probes import OnlineProbes, at_rest
from pretrain.images.labelled import Labelled, Pictures
from pretrain.images.preprocessor import to_unit
from tests.pretrain.small import HIERA, METHODS, SWIN, VIT, recipe, write_blobs

COLOURS = {'blue': (40, 60, 220), 'green': (50, 200, 60), 'red': (220, 50, 40)}


@pytest.fixture(autouse=True)
def _unformatted_logs(monkeypatch) -> None:
    """mmengine formats the whole config anew for each of five logs: most of a short run's time."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: str(cfg.to_dict())))


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    """Noisy pictures of three colours, ten of each: any features tell them apart."""
    root = tmp_path_factory.mktemp('colours')
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for i in range(10):
            pixels = np.clip(rng.normal(colour, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f'{name}{i}.png')
    return root


def trained(model: dict, images, work_dir, *hooks: dict, **dataset):
    config = recipe(model, images, work_dir, **dataset)
    config.custom_hooks = [*config.custom_hooks, *hooks]
    backends = [{'type': 'LocalVisBackend'}, {'type': 'TensorboardVisBackend'}]
    config.visualizer.vis_backends = backends
    runner = build_runner(config)
    runner.train()
    return runner


def scalars(work_dir) -> list[dict]:
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if 'probe/token_diversity' in line]


@pytest.mark.parametrize('name', METHODS)
def test_training_of_any_method_does_not_notice(name: str, labelled, tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    model = {**METHODS[name], 'backbone': {**METHODS[name]['backbone'], 'drop_path_rate': 0.3}}
    hook = {'type': 'OnlineProbes', 'interval': 1, 'by_epoch': False, 'share': 1.0,
            'labelled': str(labelled)}  # fmt: skip
    watched = trained(model, images, tmp_path / 'watched', hook)
    alone = trained(model, images, tmp_path / 'alone')
    for run in (watched, alone):
        run.state = run.model.state_dict()
        run.moments = run.optim_wrapper.state_dict()['state']
    assert all(torch.equal(watched.state[key], value) for key, value in alone.state.items())
    for number, moments in alone.moments.items():
        assert all(torch.equal(watched.moments[number][key], v) for key, v in moments.items())
    found = scalars(tmp_path / 'watched')
    assert [line['step'] for line in found] == [1, 2, 3, 4]
    assert all(np.isfinite(list(line.values())).all() for line in found)
    assert {line['probe/knn'] for line in found} <= {100 * k / 6 for k in range(7)}
    assert found[-1]['probe/knn'] > 60  # by chance a third
    assert not list((tmp_path / 'alone').rglob('*reconstructions*'))


def test_figures_are_those_of_the_backbone(labelled, tmp_path) -> None:
    """Read from TensorBoard and worked out again from the checkpoint."""
    from pretrain.methods.load import load_method

    run = tmp_path / 'run'
    hook = {'type': 'OnlineProbes', 'interval': 2, 'share': 1.0, 'images': 20}
    trained(METHODS['MAE'], labelled, run, hook)  # the training images, by default
    events = EventAccumulator(str(next(run.rglob('vis_data')))).Reload()
    tags = {tag: events.Scalars(tag) for tag in events.Tags()['scalars'] if 'probe' in tag}
    assert {len(values) for values in tags.values()} == {1}
    said = {tag.removeprefix('probe/'): values[0].value for tag, values in tags.items()}
    assert {values[0].step for values in tags.values()} == {30}  # two epochs of 15 steps

    hooked = OnlineProbes(images=20)
    dataset = SimpleNamespace(root=str(labelled), files=[])
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=dataset), logger=logging.getLogger('probes')
    )
    voting, asking = hooked._choose(runner)
    assert len(voting.files) == 16 and len(asking.files) == 4
    model = load_method(run / 'epoch_2.pth').model.eval()

    def seen(files) -> torch.Tensor:
        views = [Image.open(f).convert('RGB').resize((32, 32), Image.BICUBIC) for f in files]
        pixels = torch.from_numpy(np.stack([np.asarray(v) for v in views])).permute(0, 3, 1, 2)
        return model.normalise(pixels.float() / 255)

    with torch.no_grad():
        votes, asks = (
            model.backbone.forward_tokens(seen(some.files)).mean((2, 3)).double().numpy()
            for some in (voting, asking)
        )
        maps = model.backbone.forward_tokens(seen(asking.files[:1]))
    votes /= np.linalg.norm(votes, axis=1, keepdims=True)
    right = 0
    for vector, label in zip(asks, asking.labels):
        weights = np.exp(votes @ vector / np.linalg.norm(vector) / 0.07)
        right += label == np.bincount(voting.labels, weights).argmax()  # 16 vote, fewer than k
    assert said['knn'] == pytest.approx(100 * right / 4)
    for name, value in token_figures(maps).items():
        assert said[name] == pytest.approx(value.item(), abs=1e-4), name


@pytest.mark.parametrize('backbone', [VIT, SWIN, HIERA], ids=['vit', 'swin', 'hiera'])
def test_looking_at_each_family(backbone) -> None:
    net = BACKBONES.build(backbone)
    size = backbone['img_size']
    pixels = torch.randint(0, 255, (9, 3, size, size), dtype=torch.uint8)
    runner = fake_runner(net)
    some = Pictures(pixels[:6], torch.arange(6) % 2), Pictures(pixels[6:], torch.tensor([0, 1, 0]))
    figures = OnlineProbes()._look(runner, some)
    with torch.no_grad():
        net.eval()
        image = Normalise()(to_unit(pixels))
        expected = effective_rank(net.forward_pooled(image))
    assert figures['feature_rank'] == pytest.approx(expected.item(), rel=1e-4)
    assert {'knn', 'token_diversity', 'token_rank'} <= set(figures)
    for parameter in net.parameters():
        parameter.data.fill_(float('nan'))
    assert OnlineProbes()._look(runner, some) is None


class Corner(torch.nn.Module):
    """Its vector of an image is the first pixel, its map the image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward_pooled(self, image, pool):
        assert pool == 'mean'
        return image[:, :, 0, 0] * self.weight

    def forward_tokens(self, image):
        return image * self.weight


def test_neighbours_are_near_in_direction() -> None:
    """(0, 100, 0) has a cosine of 0.71 with the bright (250, 250, 0), of 1 with the dark one."""
    runner = fake_runner(Corner())
    runner.model.normalise = torch.nn.Identity()
    votes, asks = torch.tensor([[250, 250, 0], [0, 40, 0]]), torch.tensor([[0, 100, 0]])
    some = [
        Pictures(colours[:, :, None, None].repeat(1, 1, 2, 2).to(torch.uint8), labels)
        for colours, labels in ((votes, torch.tensor([0, 1])), (asks, torch.tensor([1])))
    ]
    figures = OnlineProbes(neighbours=1)._look(runner, some)
    assert figures['knn'] == 100
    assert figures['token_diversity'] == pytest.approx(0) and figures['similarity_1'] == 1
    # Rows (1, 1, 0) 250, (0, 40, 0), (0, 100, 0): not of unit length.
    values = np.linalg.svd(np.array([[250, 250, 0], [0, 40, 0], [0, 100, 0]]), compute_uv=False)
    shares = values[:2] / values.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert figures['feature_rank'] == pytest.approx(expected, abs=1e-4)


def test_features_have_the_precision_of_the_training() -> None:
    runner, kinds = fake_runner(), set()
    layer = runner.model.backbone.blocks[0].mlp.fc1
    layer.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    runner.optim_wrapper.optim_context = lambda model: torch.autocast('cpu', torch.bfloat16)
    pixels = torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8)
    some = Pictures(pixels[:2], torch.tensor([0, 1])), Pictures(pixels[2:], torch.tensor([0, 1]))
    assert OnlineProbes()._look(runner, some) is not None
    assert kinds == {torch.bfloat16}


def fake_runner(backbone=None):
    """What the hook touches of a Runner, whose log is a list."""
    backbone = backbone or BACKBONES.build(VIT)
    model = torch.nn.Module()
    model.backbone, model.normalise, model.img_size = backbone, Normalise(), 32
    said: list[str] = []
    return SimpleNamespace(
        model=model, iter=0, epoch=0, max_epochs=100, max_iters=10**9,
        logger=SimpleNamespace(info=said.append, warning=said.append), said=said,
        optim_wrapper=SimpleNamespace(optim_context=nullcontext),
        message_hub=MessageHub.get_instance(f'probes {id(said)}'),
        visualizer=SimpleNamespace(add_scalars=lambda figures, step: None),
    )  # fmt: skip


class Timed(OnlineProbes):
    """Each picture takes a fake second to read and three to look at."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.now, self.looks = 0.0, []
        self.clock = lambda: self.now

    def _choose(self, runner):
        return Labelled(['vote'] * 80, [0, 1] * 40), Labelled(['ask'] * 20, [0, 1] * 10)

    def _read(self, runner, chosen):
        self.now += sum(len(some.files) for some in chosen)
        return chosen

    def _look(self, runner, pictures):
        self.now += 3 * sum(len(some.labels) for some in pictures)
        self.looks.append(self.now)
        return {'knn': 50.0}


def test_probes_take_no_more_than_their_share() -> None:
    """100 s of reading, probes of 300 s, epochs of 1000 s: one for every 6000 s of the run."""
    hook, runner = Timed(interval=1, share=0.05), fake_runner()
    hook.before_train(runner)
    assert hook.spent == 2 * 5 * 4  # a twentieth of the pictures, twice
    assert hook.expected == 400
    hook.looks.clear()
    for epoch in range(100):
        runner.epoch = epoch
        for _ in range(100):
            hook.now += 10
            hook.after_train_iter(runner, 0, {}, {})
            runner.iter += 1
        hook.after_train_epoch(runner)
        assert hook.spent <= 0.05 * hook.now + 40
    hook.after_train(runner)
    # (40 + 400) / 0.05 = 8800 s, less the 400 s to come and one step at most: then every 6000 s.
    assert hook.looks[0] == pytest.approx(8800, abs=10)
    assert np.diff(hook.looks) == pytest.approx(6000, abs=10)
    assert hook.spent == 40 + 100 + 300 * len(hook.looks)
    assert hook.spent == pytest.approx(0.05 * hook.now, rel=0.1)
    waiting = [line for line in runner.said if 'wait' in line]
    assert waiting == ['probes of 400.0 s wait until they are no more than 5% of the run']
    assert runner.message_hub.get_scalar('probe/knn').current() == 50
    assert sum('the last probe was left out' in line for line in runner.said) == hook.due


def test_a_probe_that_can_be_afforded_is_on_time() -> None:
    hook, runner = Timed(interval=2, share=0.5), fake_runner()
    hook.before_train(runner)
    hook.looks.clear()
    for epoch in range(5):
        runner.epoch = epoch
        runner.max_epochs = 5
        hook.now += 1000
        hook.after_train_epoch(runner)
    assert len(hook.looks) == 3  # after 2, 4 and the last
    assert not any('wait' in line for line in runner.said)


def test_the_rest_leaves_modes_and_draws_as_they_were() -> None:
    backbone = BACKBONES.build({**VIT, 'frozen_stages': 1})
    backbone.spread = torch.nn.BatchNorm1d(4)
    backbone.train()
    buffers = [buffer.clone() for buffer in backbone.buffers()]
    modes = [module.training for module in backbone.modules()]
    assert True in modes and False in modes
    state = torch.get_rng_state()
    with at_rest(backbone):
        assert not any(module.training for module in backbone.modules())
        assert not torch.is_grad_enabled()
        backbone.spread(torch.rand(3, 4))
    assert [module.training for module in backbone.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, backbone.buffers(), buffers))
    assert torch.is_grad_enabled()


def test_images_without_labels_have_no_knn(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images', count=8)
    hook = {'type': 'OnlineProbes', 'interval': 1, 'share': 1.0}
    trained(METHODS['SimMIM'], images, tmp_path / 'run', hook)
    found = scalars(tmp_path / 'run')
    assert len(found) == 2 and not any('probe/knn' in line for line in found)


@pytest.mark.parametrize(('options', 'message'), [
    ({'labelled': '/no/such/folder'}, 'folder /no/such/folder is not there; give one with'),
    ({'labelled': 'IMAGES'}, 'has 0 classes of two images or more, and k-NN takes two classes'),
    ({'pool': 'best'}, "online probes: pool='best'; known: cls, mean, cls_mean"),
    ({'interval': 0}, 'interval=0, images=2000, share=0.05: they are at least 1'),
    ({'share': 5}, 'share=5: they are at least 1, at least 10, and above 0 up to 1'),
])  # fmt: skip
def test_mistakes_end_in_one_line_before_the_first_step(options, message, tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    options = {key: str(images) if value == 'IMAGES' else value for key, value in options.items()}
    with pytest.raises(UserError, match=message) as error:
        trained(METHODS['SimMIM'], images, tmp_path / 'run', {'type': 'OnlineProbes', **options})
    assert '\n' not in str(error.value)
    assert not list((tmp_path / 'run').glob('*.pth'))
