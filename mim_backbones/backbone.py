"""What every backbone shares: loading through `init_cfg`, freezing, layer depth for layer decay."""

from abc import abstractmethod

from mmengine.model import BaseModule


class MIMBackbone(BaseModule):
    """Base of MIMViT and the other families.

    `init_cfg=dict(type='Pretrained', checkpoint=FILE)` loads FILE through
    `mim_backbones.checkpoint.load_pretrained`, which recognises its dialect and raises when a
    parameter stays uncovered; `checkpoint=None` keeps the random start.
    """

    def init_weights(self) -> None:
        if self._is_init or not self.init_cfg:
            return
        from mim_backbones.checkpoint import load_pretrained

        if self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        checkpoint = self.init_cfg.get('checkpoint')
        if checkpoint is not None:
            report = load_pretrained(self, checkpoint)
            report.log()
        self._is_init = True

    @abstractmethod
    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of parameter `name` for layer decay: (depth, number of depths), 0 = the input."""
