"""The scripts say what they do, and end with 2 when the user can mend it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'MIMBENCH_VENV': str(Path(sys.prefix))}
SHELL = ['test.sh', 'demo.sh', 'dist_train.sh', 'dist_test.sh', 'slurm_train.sh']
PYTHON = [
    'train.py', 'test.py', 'analysis_tools/browse_dataset.py', 'analysis_tools/get_flops.py',
    'analysis_tools/print_config.py',
]  # fmt: skip


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(words, capture_output=True, text=True, env=ENV)


@pytest.mark.parametrize('script', SHELL)
def test_shell_scripts_print_help(script: str) -> None:
    result = run('bash', str(TOOLS / script), '--help')
    assert result.returncode == 0
    assert script in result.stdout


@pytest.mark.parametrize('script', PYTHON)
def test_a_users_mistake_ends_with_2(script: str) -> None:
    words = ['no_such_recipe', *(['a.pth'] if script == 'test.py' else [])]
    result = run(sys.executable, str(TOOLS / script), *words)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f'{Path(script).name}: error: ')


def test_how_many_processes_is_a_number() -> None:
    result = run('bash', str(TOOLS / 'dist_train.sh'), 'simmim', 'all')
    assert result.returncode == 2
    assert "GPUS='all' is no number" in result.stderr


@pytest.mark.slow
def test_several_processes_end_as_they_say() -> None:
    result = run('bash', str(TOOLS / 'dist_train.sh'), 'no_such_recipe', '2')
    assert result.returncode == 2
    assert 'train.py: error: config no_such_recipe does not exist' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.slow
def test_two_launches_at_once_take_two_ports(tmp_path: Path) -> None:
    """The first is still there when the second starts."""
    both = tmp_path / 'meet.py'
    both.write_text("""
import sys, time
from pathlib import Path
import torch.distributed as dist
dist.init_process_group('gloo')
here, other = Path(sys.argv[1]), Path(sys.argv[2])
here.touch()
for _ in range(600):
    if other.exists():
        break
    time.sleep(0.1)
dist.destroy_process_group()
sys.exit(not other.exists())
""")
    launch = [sys.executable, str(TOOLS / 'processes.py'), '--nproc_per_node=1', str(both)]
    env = {k: v for k, v in ENV.items() if k not in ('PORT', 'NNODES')}
    names = [str(tmp_path / 'one'), str(tmp_path / 'two')]
    runs = [
        subprocess.Popen([*launch, *order], env=env) for order in (names, names[::-1])
    ]  # fmt: skip
    assert [each.wait(120) for each in runs] == [0, 0]


def test_operations_are_those_of_the_papers() -> None:
    """ViT-B/16 at 224 px: 17.6 G (DeiT, arXiv 2012.12877, Table 5, of the backbone alone)."""
    import torch

    from mim_backbones import MIMViT
    from mim_backbones.bench.complexity import operations

    count = operations(MIMViT('base').eval(), torch.zeros(1, 3, 224, 224))
    assert count == pytest.approx(17.6e9, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    'recipe', ['simmim_demo', 'mask-rcnn_vit_smoke_coco', 'upernet_vit_smoke_ade',
               'one-stream_vit_smoke_lasot'],
)  # fmt: skip
def test_browsing_writes_pictures(recipe: str, world: Path, tmp_path: Path) -> None:
    script = str(TOOLS / 'analysis_tools/browse_dataset.py')
    words = ['--data', str(world), '--output-dir', str(tmp_path / 'out'), '--count', '3']
    result = run(sys.executable, script, recipe, *words)
    assert result.returncode == 0, result.stderr[-500:]
    assert len(list((tmp_path / 'out').glob('*.png'))) == 3
