import warnings

import pytest
import torch

from mim_backbones.checkpoints.load import backbone_config, load_pretrained
from mim_backbones.checkpoints.report import LoadReport
from mim_backbones.registry import MODELS


@pytest.fixture
def load():
    """load(checkpoint, **overrides) -> (config, report), on a backbone without memory."""

    def run(checkpoint: dict, **overrides) -> tuple[dict, LoadReport]:
        config = backbone_config(checkpoint, **overrides)
        with torch.device('meta'):
            backbone = MODELS.build(config)
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='.*meta parameter')
            return config, load_pretrained(backbone, checkpoint)

    return run
