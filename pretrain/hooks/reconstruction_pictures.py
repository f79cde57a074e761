"""Pictures of what a pre-training predicts, while it runs."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.training.distributed import undistributed
from pretrain.images.decode import choose_images, evenly, load_readable
from pretrain.inspect.reconstruction import reconstruction_picture
from pretrain.methods.base import MaskedImageModel
from pretrain.registry import HOOKS


@HOOKS.register_module()
class ReconstructionPictures(Hook):
    """Every few epochs, and after the last, the same images with the same masks.

    Written to WORK_DIR/reconstructions/epoch_N.png and to the visualizer's backends as
    `reconstruction`. Training is not touched: nothing random is drawn from its generators. For
    methods whose predictions have no colours the hook says so once and does nothing.

    Args:
        interval: epochs between two pictures.
        images: an image or a folder of images; default: some of the training images.
        count: rows of a picture.
        seed: of the masks.
    """

    def __init__(
        self, interval: int = 20, images: str | None = None, count: int = 4, seed: int = 0
    ) -> None:
        self.interval = interval
        self.images = images
        self.count = count
        self.seed = seed
        self.files: list[str] = []

    @master_only
    def before_train(self, runner: Runner) -> None:
        model = undistributed(runner.model)
        if not isinstance(model, MaskedImageModel) or not model.target.drawable:
            runner.logger.info(
                f'no reconstruction pictures: {type(model).__name__} predicts no colours'
            )
            return
        dataset = runner.train_dataloader.dataset
        if self.images is not None:
            files = choose_images(self.images, self.count)
        else:
            files = evenly(dataset.files, self.count)
        self.files = [*load_readable(files, dataset.img_size)]

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        due = self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)
        if not due or not self.files:
            return
        model = undistributed(runner.model)
        dataset = runner.train_dataloader.dataset
        device = next(model.parameters()).device
        batch = torch.stack([*load_readable(self.files, dataset.img_size).values()]).to(device)
        training = model.training
        model.eval()
        picture = reconstruction_picture(model, dataset.masker, batch, self.seed)
        model.train(training)
        epoch = runner.epoch + 1
        path = Path(runner.work_dir) / 'reconstructions' / f'epoch_{epoch}.png'
        write_atomically(path, lambda stream: picture.save(stream, format='PNG'))
        runner.visualizer.add_image('reconstruction', np.asarray(picture), step=epoch)
