"""torchrun that ends as its processes do: with 2 and no traceback of its own where they do.

Called by dist_train.sh and dist_test.sh with torchrun's arguments.
"""

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import get_args_parser, run

USER_ERROR = 2

if __name__ == '__main__':
    logging.getLogger('torch.distributed.elastic').setLevel(logging.CRITICAL)
    try:
        run(get_args_parser().parse_args())
    except ChildFailedError as error:
        if all(one.exitcode in (USER_ERROR, -15) for one in error.failures.values()):
            sys.exit(USER_ERROR)  # the first has said why, the others were ended
        raise
