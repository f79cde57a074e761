"""Print the root of one data set of a data YAML: python tools/data_root.py DATA SECTION."""

import sys

from mim_backbones.console.cli import errors_in_one_line
from mim_backbones.data_spec import load_data_spec, require

if __name__ == '__main__':
    with errors_in_one_line('data_root.py'):
        print(require(load_data_spec(sys.argv[1]), sys.argv[2]).root)
