"""mim_backbones imports neither other package, they never import each other or tools."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    'mim_backbones': {'pretrain', 'downstream', 'tools'},
    'pretrain': {'downstream', 'tools'},
    'downstream': {'pretrain', 'tools'},
}
FILES = [path for package in FORBIDDEN for path in sorted((ROOT / package).rglob('*.py'))]


def imported_packages(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split('.')[0])
    return names


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_forbidden_import(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert not imported_packages(path) & FORBIDDEN[package]


def test_packages_without_a_downstream_stack() -> None:
    """mim_backbones and pretrain never need mmdet, mmseg or mmcv."""
    code = (
        'import sys\n'
        'sys.modules.update(dict.fromkeys(["mmdet", "mmseg", "mmcv"]))\n'  # None: import fails
        'from mim_backbones.registry import MODELS\n'
        'from pretrain.registry import MODELS as P\n'
        'assert MODELS.get("MIMViT") and P.get("SimMIM")\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize(
    'module',
    [
        'mim_backbones.console.cli',
        'mim_backbones.commands.doctor',
        'pretrain.commands.analyze',
        'pretrain.commands.analyze_masks',
        'pretrain.commands.analyze_codebook',
        'pretrain.commands.ablate',
        'pretrain.commands.reconstruct',
        'pretrain.commands.palette',
        'downstream.commands.eval',
        'downstream.commands.report',
        'downstream.commands.synth',
    ],
)
def test_commands_import_nothing_heavy(module: str) -> None:
    code = (
        f'import sys, {module}\n'
        'heavy = {"torch", "mmengine", "mmcv", "matplotlib", "scipy", "cv2"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
