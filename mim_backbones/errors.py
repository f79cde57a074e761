"""The one exception that means: the user can mend this, and the message says how."""

import re

# What PyTorch makes of an exception in a loader's process: its traceback, as text.
FROM_LOADER = re.compile(r'Caught \w+ in DataLoader worker process.*UserError: (?P<line>.+)', re.S)


class UserError(Exception):
    """A user's mistake. One line: what is wrong, where, and the mend. Commands exit with code 2."""

    def __init__(self, message: str) -> None:
        handed_over = FROM_LOADER.match(message)
        super().__init__(handed_over['line'].strip() if handed_over else message)
