"""1,000 mutated files: each loads, or ends in one clear line."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.load import from_checkpoint
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

CASES = 1000
SIZE = {'embed_dim': 4, 'depth': 1, 'num_heads': 1}


def whole_files(folder: Path) -> list[Path]:
    """The same little ViT in every format."""
    state = MIMViT(SIZE, img_size=8, patch_size=4).state_dict()
    content = {'model': state, 'epoch': 3, 'args': {'num_heads': 1}, 'best': np.float64(1)}
    torch.save(content, folder / 'zip.pth')
    torch.save(content, folder / 'old.pth', _use_new_zipfile_serialization=False)
    save_file(state, folder / 'a.safetensors')
    arrays = {key: value.numpy() for key, value in state.items()}
    np.save(folder / 'array.npy', arrays['norm.weight'])
    (folder / 'plain.pkl').write_bytes(pickle.dumps({'model': arrays}, 4))
    return sorted(folder.iterdir())


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Cut short, bytes changed, a piece repeated, dropped or filled."""
    data = bytearray(whole)
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.randrange(1, 64))
    kind = rng.randrange(5)
    if kind == 0:
        del data[start:]
    elif kind == 1:
        for _ in range(rng.randrange(1, 9)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        data[start:start] = data[start:stop]
    elif kind == 3:
        del data[start:stop]
    else:
        data[start:stop] = bytes([rng.choice([0, 255, 40, 82])]) * (stop - start)
    return bytes(data)


def test_damaged_files_end_in_one_clear_error(tmp_path) -> None:
    files = whole_files(tmp_path)
    assert len(files) == 5
    content = {file: file.read_bytes() for file in files}
    rng = random.Random(0)
    outcomes = {'loaded': 0, 'refused': 0}
    for case in range(CASES):
        file = files[case % len(files)]
        target = tmp_path / f'damaged{file.suffix}'
        target.write_bytes(damaged(content[file], rng))
        try:
            _, report = from_checkpoint(str(target), num_heads=1)
            assert report.covered > 0
            outcomes['loaded'] += 1
        except CheckpointError as error:
            assert 'checkpoint' in str(error)
            assert '\n' not in str(error)
            outcomes['refused'] += 1
        except Exception as error:
            pytest.fail(f'case {case}, {file.name}: {type(error).__name__}: {error}')
    assert outcomes['refused'] > CASES / 3
