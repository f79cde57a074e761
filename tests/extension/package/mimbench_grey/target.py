"""What the head predicts: the mean grey level of each patch."""

from torch import Tensor
from torch.nn.functional import avg_pool2d

from pretrain.registry import MODELS
from pretrain.targets.base import Target, Wanted


@MODELS.register_module()
class GreyTarget(Target):
    kind, width = 'pixels', 1

    def bind(self, student) -> None:
        self.grid, self.stride = student.grid, student.stride

    def forward(self, image: Tensor) -> Wanted:
        """image (B, 3, H, W) in [0, 1] -> values (B, 1, h, w)."""
        return Wanted(avg_pool2d(image.mean(1, keepdim=True), self.stride))
