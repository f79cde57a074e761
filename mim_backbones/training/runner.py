"""mmengine's Runner, whose learning rate also follows the batches that one step accumulates."""

from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.runner import Runner


class AccumulatingRunner(Runner):
    """Scales by the batch of an optimizer step: devices x batch size x `accumulative_counts`.

    mmengine's own rule leaves the last factor out, so that a batch reached by accumulation would
    train at a fraction of its rate.
    """

    def scale_lr(
        self, optim_wrapper: OptimWrapper, auto_scale_lr: dict[str, Any] | None = None
    ) -> None:
        steps = getattr(optim_wrapper, '_accumulative_counts', 1)
        if auto_scale_lr is not None and auto_scale_lr.get('enable', False) and steps > 1:
            self.logger.info(f'an optimizer step takes {steps} batches: base batch / {steps}')
            base = auto_scale_lr['base_batch_size'] / steps
            auto_scale_lr = {**auto_scale_lr, 'base_batch_size': base}
        super().scale_lr(optim_wrapper, auto_scale_lr)
