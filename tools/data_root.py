"""Print the root of one data set of a data YAML: python tools/data_root.py DATA SECTION."""

import sys

from mim_backbones.data_spec import load_data_spec, require
from mim_backbones.errors import UserError

if __name__ == '__main__':
    try:
        print(require(load_data_spec(sys.argv[1]), sys.argv[2]).root)
    except UserError as error:
        sys.exit(f'data_root.py: error: {error}')
