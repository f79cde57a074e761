"""What is installed here, who owns it, and what the hardware can do."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path
from typing import Any

from mim_backbones.console.plugins import OURS, doubled, load_plugin, owner, plugins
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

IMPORT_NAMES = (
    'torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'timm', 'numpy', 'cv2',
    'pycocotools', 'faster_coco_eval', 'safetensors',
)  # fmt: skip


def owners(names: Sequence[str] = IMPORT_NAMES) -> dict[str, list[str]]:
    """Import name -> 'distribution version' of everything installed under it."""
    found = packages_distributions()
    return {name: sorted({f'{d} {version(d)}' for d in found.get(name, [])}) for name in names}


def conflicts(owned: Mapping[str, Sequence[str]]) -> list[str]:
    """One line for each import name that is missing or that two distributions fight over.

    Two distributions of the same version under one name (opencv-python and its headless twin)
    hold the same files: no fight.
    """
    lines = []
    for name, distributions in owned.items():
        versions = {text.rpartition(' ')[2] for text in distributions}
        if not distributions:
            lines.append(f'{name} is not installed; run tools/setup.sh')
        elif len(versions) > 1:
            lines.append(
                f'{name} is claimed by {" and ".join(distributions)}: each overwrites the other; '
                'uninstall both and run tools/setup.sh'
            )
    return lines


def import_alone() -> list[str]:
    """A line when torchvision and timm only import after mim_backbones; a new Python tries."""
    result = subprocess.run([sys.executable, '-c', 'import timm'], capture_output=True)
    if not result.returncode:
        return []
    return [
        '`import timm` alone fails here (torchvision was built for another torch); run '
        'tools/setup.sh, or import mim_backbones before it'
    ]


def plugins_found() -> tuple[dict[str, list[str]], list[str]]:
    """Group -> what it names, others' with their package; a line for each broken or doubled one."""
    found: dict[str, list[str]] = {}
    problems = []
    for group in sorted(g for g in entry_points().groups if g.startswith(f'{OURS}.')):
        for name, point in plugins(group).items():
            ours = point.dist is not None and point.dist.name == OURS
            found.setdefault(group, []).append(name if ours else f'{name} ({owner(point)})')
            try:
                load_plugin(point)
            except UserError as error:
                problems.append(str(error))
        problems += doubled(group)
    return found, problems


def hardware() -> dict[str, Any]:
    """CPU, GPUs, and whether bf16 is fast on them."""
    import torch

    from mim_backbones.training.precision import fast_bf16

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        'cpu': cpu_name(),
        'cores': os.cpu_count(),
        'torch_threads': torch.get_num_threads(),
        'cpu_fast_bf16': fast_bf16('cpu'),
        'gpus': gpus,
        'gpu_fast_bf16': bool(gpus) and fast_bf16('cuda'),
    }


def cpu_name() -> str:
    """Model name of the processor."""
    info = Path('/proc/cpuinfo')
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def data_roots(source: str | None) -> tuple[dict[str, str], str | None]:
    """Section -> root of a data YAML, and the first error of what cannot be used."""
    found: dict[str, str] = {}
    if not source:
        return found, None
    try:
        spec = load_data_spec(source)
        for name in spec:
            found[name] = str(spec[name].root)
    except UserError as error:
        return found, str(error)
    return found, None
