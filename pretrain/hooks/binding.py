"""What ties a run's parts together: data to model at its start, target to student as it goes."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.training.distributed import undistributed
from pretrain.registry import HOOKS


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
        if model.target.state in ('ema', 'stage') and runner.optim_wrapper.should_update():
            model.target.update(model, (runner.iter + 1) / runner.max_iters)
