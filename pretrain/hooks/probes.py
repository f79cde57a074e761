"""Probes of a backbone while it pre-trains: what its neighbours know, how its tokens differ."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mim_backbones.errors import UserError
from mim_backbones.probes.diversity import effective_rank, token_figures
from mim_backbones.probes.nearest import knn_scores
from mim_backbones.training.distributed import undistributed
from pretrain.images.decode import evenly
from pretrain.images.labelled import (
    ASKING,
    Labelled,
    Pictures,
    choose_labelled,
    classes_of,
    read,
    with_val,
)
from pretrain.images.preprocessor import to_unit
from pretrain.registry import HOOKS

BATCH = 64  # images of a forward pass
MAPS = 6  # tokens are looked at in one of so many pictures: ranks cost more than a forward pass
TRIAL = 20  # one of so many pictures tells how long all will take


@HOOKS.register_module()
class OnlineProbes(Hook):
    """k-NN accuracy on a few labelled images, token diversity and ranks; docs/probes.md.

    A line of the log, and scalars `probe/NAME` for TensorBoard and the other backends. Of any
    method, the backbone alone is measured, in eval mode and the precision of the training, which
    does not notice: modes and random states are put back, nothing else is touched.

    The main process measures, the others wait for it at their next step. It keeps count of its
    time, and puts a probe off that would take more than `share` of the run's.

    Args:
        interval: epochs between two probes; there is one after the last, too.
        by_epoch: False: `interval` counts iterations.
        labelled: folder, see `images/labelled.py`; None: the training images, if they lie in
            folders of classes. Without classes there is no k-NN.
        images: how many of them are looked at, at most; they stay in memory as uint8.
        share: of the run's time that probes may take.
        neighbours, temperature: of the k-NN, see `mim_backbones.probes.nearest`.
        pool: what an image's vector is, 'mean', or 'cls' and 'cls_mean' where there is one.

    Raises:
        ValueError: no such interval, number of images or share.
        UserError: labelled images of fewer than two classes, what `classes_of` and `read` refuse,
            or a backbone that cannot be probed so.
    """

    priority = 'LOW'  # after a target's update, before the checkpoint

    def __init__(
        self,
        interval: int = 5,
        by_epoch: bool = True,
        labelled: str | None = None,
        images: int = 2000,
        share: float = 0.05,
        neighbours: int = 20,
        temperature: float = 0.07,
        pool: str = 'mean',
    ) -> None:
        if interval < 1 or images < 2 * ASKING or not 0 < share <= 1:
            raise ValueError(
                f'OnlineProbes: interval={interval}, images={images}, share={share}: they are at '
                f'least 1, at least {2 * ASKING}, and above 0 up to 1'
            )
        self.interval = interval
        self.by_epoch = by_epoch
        self.labelled = labelled
        self.images = images
        self.share = share
        self.neighbours = neighbours
        self.temperature = temperature
        self.pool = pool
        self.clock = time.perf_counter
        self.began = self.spent = self.expected = 0.0  # seconds
        self.due = self.put_off = False
        self.chosen: tuple[Labelled, Labelled] = (Labelled([], []), Labelled([], []))
        self.pictures: tuple[Pictures, Pictures] | None = None

    @master_only
    def before_train(self, runner: Runner) -> None:
        self.began = self.clock()
        self.chosen = self._choose(runner)
        few = tuple(some.first(-(-len(some.files) // TRIAL)) for some in self.chosen)
        try:
            self._look(runner, self._read(runner, few))  # libraries warm up
            start = self.clock()
            self._look(runner, self._read(runner, few))
        except ValueError as error:
            raise UserError(f'online probes: {error}') from error
        self.expected = TRIAL * (self.clock() - start)
        self.spent = self.clock() - self.began

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        last = self.is_last_train_iter(runner)
        if not self.by_epoch and (last or self.every_n_train_iters(runner, self.interval)):
            self.due = True
        self._probe(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        last = self.is_last_train_epoch(runner)
        if self.by_epoch and (last or self.every_n_epochs(runner, self.interval)):
            self.due = True
        self._probe(runner, runner.iter)

    @master_only
    def after_train(self, runner: Runner) -> None:
        if self.due:
            runner.logger.info(
                f'the last probe was left out: its {self.expected:.1f} s are more than '
                f'{self.share:.0%} of the run; fewer images, or a larger share'
            )

    @master_only
    def _probe(self, runner: Runner, step: int) -> None:
        """What is due, if it can be afforded."""
        if not self.due:
            return
        start = self.clock()
        run = start - self.began + self.expected
        if self.spent + self.expected > self.share * run:
            if not self.put_off:
                runner.logger.info(
                    f'probes of {self.expected:.1f} s wait until they are no more than '
                    f'{self.share:.0%} of the run'
                )
            self.put_off = True
            return
        self.due = False
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # what training still has to do is not the probe's time
            start = self.clock()
        if self.pictures is None:
            self.pictures = self._read(runner, self.chosen)
        read_at = self.clock()
        figures = self._look(runner, self.pictures)
        end = self.clock()
        self.expected = end - read_at
        self.spent += end - start
        if figures is None:
            runner.logger.warning(f'iteration {step}, no probe: the features are not finite')
            return
        for name, value in figures.items():
            runner.message_hub.update_scalar(f'probe/{name}', value)
        runner.visualizer.add_scalars({f'probe/{n}': v for n, v in figures.items()}, step=step)
        text = ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
        runner.logger.info(
            f'iteration {step}, probe: {text}; {end - start:.1f} s, all probes '
            f'{self.spent / (end - self.began):.1%} of the run'
        )

    def _choose(self, runner: Runner) -> tuple[Labelled, Labelled]:
        """Images that vote and that ask; without classes none vote."""
        dataset = runner.train_dataloader.dataset
        folder = self.labelled or with_val(dataset.root)
        voting, asking = classes_of(folder)
        if len(asking) >= 2:
            runner.logger.info(f'probes: k-NN on images of {folder}, {len(asking)} classes')
            return choose_labelled(voting, asking, self.images)
        if self.labelled is not None:
            raise UserError(
                f'labelled images: {folder} has {len(asking)} classes of two images or more, and '
                'k-NN takes two classes: CLASS/*, or train/CLASS/* and val/CLASS/*'
            )
        runner.logger.info(f'probes without k-NN: {folder} has no classes; labelled=FOLDER has')
        files = evenly(dataset.files, self.images // ASKING)
        return Labelled([], []), Labelled(files, [0] * len(files))

    def _read(self, runner: Runner, chosen: tuple[Labelled, Labelled]) -> tuple[Pictures, Pictures]:
        img_size = undistributed(runner.model).img_size
        voting, asking = (read(some, img_size) for some in chosen)
        return voting, asking

    def _look(self, runner: Runner, pictures: tuple[Pictures, Pictures]) -> dict[str, float] | None:
        """Figures by name; None where features are not finite."""
        model = undistributed(runner.model)
        voting, asking = pictures
        with at_rest(model.backbone), runner.optim_wrapper.optim_context(runner.model):
            pooled = [
                model.backbone.forward_pooled(image, self.pool).float()
                for some in pictures
                for image in batches(model, some.pixels)
            ]
            maps = [
                model.backbone.forward_tokens(image)
                for image in batches(model, asking.pixels[::MAPS])
            ]
        vectors = torch.cat(pooled)
        if not all(bool(each.isfinite().all()) for each in (vectors, *maps)):
            return None
        figures = {'feature_rank': float(effective_rank(vectors))}
        for name, values in token_figures(torch.cat(maps)).items():
            figures[name] = float(values.mean())
        if not len(voting.labels):
            return figures
        bank, queries = F.normalize(vectors).split([len(voting.labels), len(asking.labels)])
        labels, truth = (some.labels.to(vectors.device) for some in pictures)
        classes = int(labels.max()) + 1
        scores = knn_scores(queries, bank, labels, classes, self.neighbours, self.temperature)
        return {'knn': 100 * float((scores.argmax(1) == truth).float().mean()), **figures}


def batches(model: nn.Module, pixels: Tensor) -> Iterator[Tensor]:
    """Images as the backbone is to see them, on its device."""
    device = next(model.parameters()).device
    for start in range(0, len(pixels), BATCH):
        yield model.normalise(to_unit(pixels[start : start + BATCH].to(device)))


@contextmanager
def at_rest(backbone: nn.Module) -> Iterator[None]:
    """Eval mode, no gradients; afterwards modes and torch's random states are what they were."""
    modes = [(module, module.training) for module in backbone.modules()]
    device = next(backbone.parameters()).device
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == 'cuda' else []):
            backbone.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
