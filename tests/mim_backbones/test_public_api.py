"""What `from mim_backbones import ...` gives: typed, lazy, and as documented."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mim_backbones

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```python\n(.*?)^```', re.MULTILINE | re.DOTALL)


def test_every_public_name_is_there() -> None:
    for name in mim_backbones.__all__:
        assert getattr(mim_backbones, name).__name__ == name
        assert name in dir(mim_backbones)
    with pytest.raises(AttributeError, match='nothing_of_ours'):
        _ = mim_backbones.nothing_of_ours


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for them only, and what is imported when asked for."""
    tree = ast.parse(Path(mim_backbones.__file__).read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == mim_backbones.LAZY
    assert {*seen, 'UserError'} == set(mim_backbones.__all__)
    assert (Path(mim_backbones.__file__).parent / 'py.typed').exists()


@pytest.mark.slow
def test_mypy_reads_the_types(tmp_path) -> None:
    (tmp_path / 'user.py').write_text(
        'from mim_backbones import LoadReport, from_checkpoint\n'
        'backbone, report = from_checkpoint("x.pth")\n'
        'covered: float = report.covered\n'
        'wrong: int = report.source\n'
    )
    result = subprocess.run(
        [sys.executable, '-m', 'mypy', '--config-file=', '--ignore-missing-imports',
         '--follow-imports=silent', str(tmp_path / 'user.py')],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert 'user.py:4: error: Incompatible types' in result.stdout
    assert 'Found 1 error' in result.stdout


@pytest.mark.parametrize('page', ['api.md', 'completion.md'])
def test_the_examples_of_a_page_run(page: str) -> None:
    blocks = BLOCK.findall((ROOT / 'docs' / page).read_text())
    assert blocks
    exec(compile('\n'.join(blocks), page, 'exec'), {'__name__': page})
