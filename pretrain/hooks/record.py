"""What a checkpoint says of itself, so that backbone and method load from it alone."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.training.distributed import undistributed
from pretrain.methods.load import recorded
from pretrain.registry import HOOKS


@HOOKS.register_module()
class MethodRecord(Hook):
    """Writes `meta.mimbench` into each checkpoint.

        method, backbone, model   name and configs
        img_size, masker          of the images it saw
        target                    facts of what it predicted; its weights' fingerprint is in the
                                  state dict
        custom_imports            modules that registered the user's own parts
        steps, note               updates so far; what an ablation has to say of them

    Args:
        note: a remark that goes into the record.
    """

    def __init__(self, note: str | None = None) -> None:
        self.note = note

    def before_run(self, runner: Runner) -> None:
        target = undistributed(runner.model).target
        if target.files and target.state == 'frozen':
            digest = bytes(target.fingerprint.tolist()).hex()[:12]
            runner.logger.info(
                f'target {type(target).__name__} {digest}: {", ".join(target.files)}'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        model, record = undistributed(runner.model), recorded(runner.cfg)
        steps = runner.iter // getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        checkpoint['meta']['mimbench'] = {
            'method': record['model']['type'],
            **record,
            'img_size': model.img_size,
            'target': model.target.facts(),
            'steps': steps,
            **({'note': self.note} if self.note else {}),
        }
