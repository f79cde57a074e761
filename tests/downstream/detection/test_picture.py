import io
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.structures import InstanceData
from PIL import Image

from downstream.detection.picture import instance_sheet


def test_a_picture_without_detections_says_so(tmp_path, monkeypatch):
    Image.new('RGB', (64, 64), (90, 90, 90)).save(tmp_path / 'x.png')
    said = []
    monkeypatch.setattr(
        'downstream.detection.picture.note', lambda tile, text: said.append(text) or tile
    )
    boxes = torch.tensor([[4.0, 4, 40, 40]])
    samples = [
        SimpleNamespace(
            img_path=str(tmp_path / 'x.png'),
            gt_instances=InstanceData(bboxes=boxes[:objects], labels=torch.zeros(objects).long()),
            pred_instances=InstanceData(
                bboxes=boxes, labels=torch.zeros(1).long(), scores=torch.tensor([score])
            ),
        )
        for objects, score in ((1, 0.9), (1, 0.1), (0, 0.9))
    ]
    page = Image.open(io.BytesIO(instance_sheet(samples, ['disc'])))
    assert said == ['no score over 0.3', 'no objects']
    assert np.asarray(page).shape[2] == 3
