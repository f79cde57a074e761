"""Parity with the published implementations, on files of golden tensors.

    @pytest.mark.golden('mae_pretrain', needs=['pred'])
    def test_decoder(golden, same): same('pred', model(golden['img']), golden['pred'])

runs once per golden file `mae_pretrain*` that has the top-level fields of `needs`. The files are
those of the folder `--golden`; without it those of $MIMBENCH_SHARED/golden, if there is one, and
of tests/golden. The largest difference of each family is printed at the end.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.report import LoadReport

Same = Callable[..., None]
largest: dict[str, dict[float, float]] = defaultdict(dict)  # family -> tolerance -> difference


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        'markers', 'golden(family, needs=()): run once per golden file of a family'
    )


def golden_folders(chosen: Path | None) -> list[Path]:
    """The folder of `--golden` alone, or the shared one and tests/golden.

    Raises:
        UsageError: there is no such folder.
    """
    if chosen is not None:
        if not chosen.is_dir():
            raise pytest.UsageError(f'--golden {chosen}: no such folder')
        return [chosen.resolve()]
    shared = os.environ.get('MIMBENCH_SHARED')
    folders = [Path(shared) / 'golden'] if shared else []
    return [f.resolve() for f in (*folders, Path(__file__).parents[1] / 'golden') if f.is_dir()]


def golden_files(folders: list[Path], family: str) -> list[Path]:
    """Files of a family: its name, perhaps followed by a suffix.

    Of files with the same name the first folder's counts: the copies in tests/golden are shorter.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f'{family}*')):
            if path.suffix in ('.pt', '.json'):
                found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


@lru_cache(maxsize=4)
def read(path: Path) -> dict[str, Any]:
    if path.suffix == '.json':
        return json.loads(path.read_text())
    return torch.load(path, weights_only=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker('golden')
    if mark is None:
        return
    (family,), needs = mark.args, mark.kwargs.get('needs', ())
    folders = golden_folders(metafunc.config.getoption('golden'))
    files = [p for p in golden_files(folders, family) if all(n in read(p) for n in needs)]
    cases = [pytest.param((family, path), id=path.name) for path in files]
    if not cases:
        fields = f' with {", ".join(needs)}' if needs else ''
        reason = f'no file {family}*{fields} in {", ".join(map(str, folders))}'
        cases = [pytest.param(None, id='none', marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize('golden_file', cases)


@pytest.fixture
def golden(golden_file: tuple[str, Path]) -> dict[str, Any]:
    """Content of the golden file."""
    return read(golden_file[1])


@pytest.fixture
def same(golden_file: tuple[str, Path]) -> Same:
    """same(field, found, expected, atol=1e-5): equal tensors (or lists of them), else fail."""

    def compare(field: str, found: Any, expected: Any, atol: float = 1e-5) -> None:
        if isinstance(expected, list | tuple):
            assert len(found) == len(expected), field
            for i, (a, b) in enumerate(zip(found, expected, strict=True)):
                compare(f'{field}[{i}]', a, b, atol)
            return
        found = found.detach()
        torch.testing.assert_close(
            found, expected, atol=atol, rtol=0, msg=lambda text: f'{field}: {text}'
        )
        record(golden_file[0], found, expected, atol)

    return compare


@pytest.fixture
def official_vit() -> Callable[..., MIMViT]:
    """official_vit(config, **options): a MIMViT from the argument names of BEiT and SimMIM."""

    def build(config: dict[str, Any], **options: Any) -> MIMViT:
        shared, own = config.get('use_shared_rel_pos_bias'), config.get('use_rel_pos_bias')
        scale = config['init_values']
        given = {
            'arch': {key: config[key] for key in ('embed_dim', 'depth', 'num_heads')},
            'img_size': config.get('img_size'),
            'patch_size': config['patch_size'],
            'in_channels': config.get('in_chans', 3),
            'pos_embed': 'learned' if config['use_abs_pos_emb'] else 'none',
            'rel_pos_bias': 'per_block' if own else 'shared' if shared else 'none',
            'qkv_bias': 'qv' if config['qkv_bias'] else 'none',
            'layer_scale': None if scale in (None, 'none', 0) else scale,
            'mlp_ratio': config['mlp_ratio'],
            'norm_eps': config['norm_eps'],
        }
        return MIMViT(**{**given, **options}).eval()

    return build


@pytest.fixture
def unseen() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """unseen(golden): what no shape of its state dict shows, as options of `from_checkpoint`."""

    def options(golden: dict[str, Any]) -> dict[str, Any]:
        config, state = golden['config'], golden['state_dict']
        tables = any(key.endswith('relative_position_bias_table') for key in state)
        heads = {} if tables else {'num_heads': config['num_heads']}
        return {'norm_eps': config['norm_eps'], **heads}

    return options


@pytest.fixture
def left_out() -> Callable[[LoadReport], set[str]]:
    """Keys of the file that a load ignored, without the prefix the backbone had there."""

    def collect(report: LoadReport) -> set[str]:
        assert report.unexpected == report.missing == []
        return {key for keys in report.ignored.values() for key in keys}

    return collect


def record(family: str, found: Tensor, expected: Tensor, atol: float) -> None:
    difference = float((found.double() - expected.double()).abs().max()) if found.numel() else 0.0
    largest[family][atol] = max(difference, largest[family].get(atol, 0.0))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not largest:
        return
    terminalreporter.section('largest difference from the published values')
    for family, by_tolerance in sorted(largest.items()):
        for atol, difference in sorted(by_tolerance.items()):
            terminalreporter.line(f'{family:24} {difference:.1e}   allowed {atol:.0e}')
