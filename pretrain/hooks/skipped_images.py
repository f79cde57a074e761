"""Images that could not be decoded: a run names them, and goes on while they are few."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.errors import UserError
from pretrain.registry import HOOKS


@HOOKS.register_module()
class SkippedImages(Hook):
    """Name and count images that could not be decoded; stop when there are too many.

    Args:
        limit: largest tolerated share of the data set's files.
    """

    priority = 'VERY_HIGH'

    def __init__(self, limit: float = 0.01) -> None:
        self.limit = limit
        self.files: set[str] = set()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        found = {name for names in data_batch['skipped'] for name in names.split('\n') if name}
        for name in sorted(found - self.files):
            runner.logger.warning(f'skipped {name}: it cannot be decoded')
        self.files |= found
        total = len(runner.train_dataloader.dataset)
        if len(self.files) > self.limit * total:
            raise UserError(
                f'{len(self.files)} of {total} images cannot be decoded, more than '
                f'{self.limit:.0%}; the last is {max(found)}'
            )

    def after_train(self, runner: Runner) -> None:
        if self.files:
            runner.logger.warning(f'{len(self.files)} images were skipped in all')
