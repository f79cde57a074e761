"""torchrun that ends as its processes do: with 2 and no traceback of its own where they do.

Called by dist_train.sh and dist_test.sh with torchrun's arguments but for where processes meet.
"""

import logging
import os
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import get_args_parser, run

USER_ERROR = 2


def meeting() -> list[str]:
    """Where the processes meet; on a free port where none is named: two runs never clash."""
    if not os.environ.get('NNODES') and not os.environ.get('PORT'):
        return ['--standalone', '--local_addr=127.0.0.1']
    return [
        f'--nnodes={os.environ.get("NNODES") or 1}',
        f'--node_rank={os.environ.get("NODE_RANK") or 0}',
        f'--master_addr={os.environ.get("MASTER_ADDR") or "127.0.0.1"}',
        f'--master_port={os.environ.get("PORT") or 29500}',
    ]


if __name__ == '__main__':
    logging.getLogger('torch.distributed.elastic').setLevel(logging.CRITICAL)
    try:
        run(get_args_parser().parse_args([*meeting(), *sys.argv[1:]]))
    except ChildFailedError as error:
        if all(one.exitcode in (USER_ERROR, -15) for one in error.failures.values()):
            sys.exit(USER_ERROR)  # the first has said why, the others were ended
        raise
