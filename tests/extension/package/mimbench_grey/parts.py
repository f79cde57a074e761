"""What the protocol names: pictures, a model, and a metric that keeps each picture's score."""

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from PIL import Image
from torch import Tensor, nn

from downstream.registry import DATASETS, METRICS, MODELS
from mimbench_grey.units import GreyUnits


@DATASETS.register_module()
class GreyPictures(torch.utils.data.Dataset):
    def __init__(self, root: str, split: str) -> None:
        from pathlib import Path

        self.files = sorted(Path(root, split).rglob('*.JPEG'))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict:
        rgb = np.asarray(Image.open(self.files[index]).convert('RGB').resize((64, 64)))
        image = torch.from_numpy(rgb.transpose(2, 0, 1) / np.float32(255))
        return {'inputs': image, 'grey': image.mean(), 'name': str(self.files[index])}


@MODELS.register_module()
class BrightnessProbe(BaseModel):
    def __init__(self, backbone: dict) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.head = nn.Linear(self.backbone.num_features[-1], 1)

    def forward(self, inputs: Tensor, grey: Tensor, name: list[str], mode: str = 'tensor'):
        inputs, grey = torch.stack(list(inputs)), torch.stack(list(grey))
        found = self.head(self.backbone(inputs)[-1].mean((2, 3)))[:, 0]
        if mode == 'loss':
            return {'loss': (found - grey).square().mean()}
        return list(zip(name, (found - grey).abs().tolist()))


@METRICS.register_module()
class GreyError(BaseMetric):
    def process(self, data_batch, data_samples) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list) -> dict[str, float]:
        names, errors = zip(*results)
        self.units = GreyUnits(names, np.array(errors))
        return self.units.observed()
