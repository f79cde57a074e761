"""What a checkpoint says of itself, so that backbone and method load from it alone."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.training.distributed import undistributed
from pretrain.methods.base import Method
from pretrain.methods.load import recorded
from pretrain.registry import HOOKS


@HOOKS.register_module()
class MethodRecord(Hook):
    """Writes `meta.mimbench` into each checkpoint.

        method, backbone, model   name and configs
        img_size, masker          of the images it saw
        target                    facts of what it predicted
        frozen                    nets that answered: fingerprint, files, and how they are read
        custom_imports            modules that registered the user's own parts
        steps, note               updates so far; what an ablation has to say of them

    Args:
        note: a remark that goes into the record.
    """

    def __init__(self, note: str | None = None) -> None:
        self.note = note

    def before_run(self, runner: Runner) -> None:
        for net in frozen_nets(undistributed(runner.model)):
            words = ', '.join(f'{name} {value}' for name, value in net['reading'].items())
            files = ', '.join(net['files']) or 'no file'
            runner.logger.info(
                f'target {net["target"]} {net["fingerprint"][:12]}: {files}; {words or "as it is"}'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        model, record = undistributed(runner.model), recorded(runner.cfg)
        steps = runner.iter // getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        checkpoint['meta']['mimbench'] = {
            'method': record['model']['type'],
            **record,
            'img_size': model.img_size,
            'target': model.target.facts(),
            'frozen': frozen_nets(model),
            'steps': steps,
            **({'note': self.note} if self.note else {}),
        }


def frozen_nets(model: Method) -> list[dict[str, Any]]:
    """For each target of frozen nets what they are, as plain values."""
    return [
        {
            'target': type(target).__name__,
            'fingerprint': bytes(target.fingerprint.tolist()).hex(),
            'files': list(target.files),
            'reading': target.reading(),
        }
        for target in model.targets
        if target.state == 'frozen'
    ]
