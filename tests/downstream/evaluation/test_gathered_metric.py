"""Several processes score what one scores, without a file between them."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.downstream.detection.worlds import random_world

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys, tempfile
from pathlib import Path

import torch.distributed as dist

from mim_backbones.training.distributed import leave_together
from tests.downstream.evaluation.test_gathered_metric import score

def refused(*args, **kwargs):
    raise AssertionError('a temporary file')

tempfile.mkdtemp = tempfile.mkstemp = tempfile.NamedTemporaryFile = refused
rank, folder = int(sys.argv[1]), Path(sys.argv[2])
dist.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
score(folder, rank, 2)
leave_together()
"""


def score(folder: Path, rank: int, world: int) -> None:
    """One process's share of both metrics; what it found goes to a file."""
    from downstream.detection.metric import InstanceAP
    from downstream.segmentation.metric import PixelIoU

    found = {}
    metrics = InstanceAP(str(folder / 'truth.json')), PixelIoU()
    both = pickle.loads((folder / 'samples.pkl').read_bytes())
    for metric, samples in zip(metrics, both):
        metric.dataset_meta = {'classes': ('1', '2', '3')}
        share = -(-len(samples) // world)  # as a sampler pads: the last process gets some again
        for i in range(share):
            metric.process({}, [samples[(rank + i * world) % len(samples)]])
        scores = metric.evaluate(len(samples))
        names = metric.units.names if rank == 0 else None
        found[type(metric).__name__] = (scores, names, metric.units and metric.units.observed())
    (folder / f'found{world}-{rank}.pkl').write_bytes(pickle.dumps(found))


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import json

    import torch
    from pycocotools import mask as rle

    folder = tmp_path_factory.mktemp('ranks')
    coco, entries = random_world(3, images=7)
    for each in coco.dataset['annotations']:
        each['segmentation']['counts'] = each['segmentation']['counts'].decode()
    (folder / 'truth.json').write_text(json.dumps(coco.dataset))
    instances = []
    for image in coco.imgs:
        own = [e for e in entries['bbox'] if e['image_id'] == image]
        masks = [e['segmentation'] for e in entries['segm'] if e['image_id'] == image]
        boxes = torch.tensor([e['bbox'] for e in own]).reshape(-1, 4).double()
        boxes[:, 2:] += boxes[:, :2]
        prediction = {
            'bboxes': boxes,
            'labels': torch.tensor([e['category_id'] - 1 for e in own], dtype=torch.long),
            'scores': torch.tensor([e['score'] for e in own]),
            'masks': torch.tensor(rle.decode(masks)).permute(2, 0, 1) if masks else [],
        }
        instances.append({'img_id': image, 'pred_instances': prediction})
    torch.manual_seed(0)
    maps = [
        {
            'img_path': f'{i}.jpg',
            'seg_map_path': f'{i}.png',
            'pred_sem_seg': {'data': torch.randint(0, 3, (1, 9, 8))},
            'gt_sem_seg': {'data': torch.randint(0, 3, (1, 9, 8))},
        }
        for i in range(7)
    ]
    (folder / 'samples.pkl').write_bytes(pickle.dumps((instances, maps)))
    return folder


def test_two_processes_equal_one(folder: Path) -> None:
    commands = [[sys.executable, '-c', PROGRAM, str(rank), str(folder)] for rank in range(2)]
    started = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    score(folder, 0, 1)
    assert [process.wait() for process in started] == [0, 0]
    names = ('found1-0.pkl', 'found2-0.pkl', 'found2-1.pkl')
    alone, first, second = (pickle.loads((folder / name).read_bytes()) for name in names)
    for metric, (scores, units, observed) in alone.items():
        assert len(units) == 7
        assert first[metric] == (scores, units, observed)
        assert second[metric] == (scores, None, None)
