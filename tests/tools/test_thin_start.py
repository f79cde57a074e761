"""`--help` of the Python tools imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
CODE = """
import runpy, sys
sys.argv = [{path!r}, '--help']
try:
    runpy.run_path({path!r}, run_name='__main__')
except SystemExit as stop:
    assert stop.code == 0
print('imported:', sorted({{'torch', 'mmengine', 'numpy', 'mmcv'}} & set(sys.modules)))
"""


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_help_is_quick(tool: str) -> None:
    result = subprocess.run(
        [sys.executable, '-c', CODE.format(path=str(TOOLS / tool))], capture_output=True, text=True
    )
    assert '--cfg-options' in result.stdout
    assert result.stdout.splitlines()[-1] == 'imported: []', result.stderr
