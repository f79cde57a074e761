"""What ties a run's parts together: data to model at its start, target to student as it goes."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.training.distributed import undistributed
from pretrain.registry import HOOKS
from pretrain.targets.base import Progress


@HOOKS.register_module()
class BindData(Hook):
    """Tells the data set what the model wants of it, before the first worker starts."""

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        undistributed(runner.model).bind(runner.train_dataloader.dataset)


@HOOKS.register_module()
class UpdateTarget(Hook):
    """Lets a target follow the student, after every step of the optimizer."""

    priority = 'HIGH'  # before whoever looks at it, or saves it

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        model = undistributed(runner.model)
        for target in model.targets:
            if target.state in ('ema', 'stage') and runner.optim_wrapper.should_update():
                target.update(model, progress_of(runner))


def progress_of(runner: Runner) -> Progress:
    """Of a run in the midst of `after_train_iter`."""
    batches = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    iterations = (runner.iter + 1, runner.max_iters, len(runner.train_dataloader))
    return Progress(*(-(-count // batches) for count in iterations))
