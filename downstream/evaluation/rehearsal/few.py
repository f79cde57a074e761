"""A test set cut down to a few of its images."""

from typing import Any

from mmengine.registry import DATASETS as ROOT_DATASETS

from downstream.evaluation.inference import evenly_spaced
from downstream.registry import DATASETS
from mim_backbones.training.steps.stand_in import StandIn


@DATASETS.register_module()
class Few(StandIn):
    """Evenly spaced samples of a data set, which is built whole.

    Args:
        dataset: config.
        count: how many.
    """

    own = ('inner', 'chosen')

    def __init__(self, dataset: dict[str, Any], count: int) -> None:
        super().__init__(ROOT_DATASETS.build(dataset))
        if hasattr(self.inner, 'full_init'):
            self.inner.full_init()
        self.chosen = evenly_spaced(len(self.inner), count)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Any:
        return self.inner[self.chosen[index]]
