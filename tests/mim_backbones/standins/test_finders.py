"""The finders, each case in its own process: what is imported when, and what is left alone."""

import os
import subprocess
import sys
from pathlib import Path

import mim_backbones

ROOT = Path(mim_backbones.__file__).parents[1]


def run(code: str, *folders: Path) -> str:
    path = os.pathsep.join(map(str, (*folders, ROOT)))
    result = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_mim_backbones_imports_nothing_heavy():
    heavy = ['torch', 'torchvision', 'numpy', 'mmcv', 'mmengine', 'click']
    code = f'import mim_backbones, sys; print([m for m in {heavy} if m in sys.modules])'
    assert run(code).strip() == '[]'


def test_installing_twice_adds_one_finder_of_each():
    code = (
        'import mim_backbones, sys; mim_backbones.standins.install();'
        'print([type(f).__name__ for f in sys.meta_path if "standins" in type(f).__module__])'
    )
    assert run(code).strip() == "['MmcvExtFinder', 'TorchvisionFinder']"


def test_torchvision_without_its_library():
    code = """
import mim_backbones, torch
def refuse(path): raise OSError(path)
torch.ops.load_library = refuse            # as if the library were built for another torch
import timm, torchvision
from mim_backbones.errors import UserError
assert mim_backbones.standins.provider()['nms'] != 'torchvision'
torch.set_num_threads(1)
boxes = torch.tensor([[0., 0, 8, 8], [0, 0, 8, 7], [4, 4, 8, 8]])
print(torchvision.ops.nms(boxes, torch.tensor([.5, .9, .1]), .5).tolist())
feature = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
align = lambda x: torchvision.ops.roi_align(x, [boxes.double()], 2, 1.0, 2, True)
print(torch.autograd.gradcheck(align, (feature,)))
with torch.autocast('cpu', torch.bfloat16):
    print(torchvision.ops.roi_align(feature.bfloat16(), [boxes.bfloat16()], 2).dtype)
try:
    torchvision.ops.roi_pool(feature, [boxes], 2)
except UserError as error:
    print('roi_pool' in str(error))
"""
    assert run(code).split('\n')[:4] == ['[1, 2]', 'True', 'torch.bfloat16', 'True']


def test_a_torchvision_that_loads_is_left_alone(tmp_path):
    package = tmp_path / 'torchvision'
    package.mkdir()
    package.joinpath('__init__.py').write_text('from . import extension\n')
    package.joinpath('extension.py').write_text('def _has_ops(): return True\n')
    code = (
        'import mim_backbones, sys, torchvision;'
        'print(torchvision.extension._has_ops(), "torch" in sys.modules)'
    )
    assert run(code, tmp_path).strip() == 'True False'


def test_a_compiled_mmcv_is_used(tmp_path):
    package = tmp_path / 'mmcv'
    package.mkdir()
    package.joinpath('__init__.py').touch()
    package.joinpath('_ext.py').write_text('nms = "compiled"\n')
    code = (
        'import mim_backbones, mmcv._ext; from mim_backbones.standins import providers;'
        'print(mmcv._ext.nms, providers.mmcv_compiled())'
    )
    assert run(code, tmp_path).strip() == 'compiled True'


def test_timm_before_mim_backbones_works_at_the_next_try():
    """Where torchvision fits its torch, the first import works; else mim_backbones mends it."""
    code = """
try:
    import timm
except RuntimeError as error:
    assert 'torchvision::nms' in str(error)
import mim_backbones
import timm, torch, torchvision
print(mim_backbones.MIMViT('tiny', img_size=32).depth)
boxes = torch.tensor([[0., 0, 8, 8], [0, 0, 8, 7]])
print(torchvision.ops.nms(boxes, torch.tensor([.5, .9]), .5).tolist())
"""
    assert run(code).split('\n')[:2] == ['12', '[1]']
