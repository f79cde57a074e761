from importlib.metadata import version

import mim_backbones


def test_the_version_is_the_distributions():
    assert mim_backbones.__version__ == version('mimbench')
