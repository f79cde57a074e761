"""The one exception that means: the user can mend this, and the message says how."""


class UserError(Exception):
    """A user's mistake. One line: what is wrong, where, and the mend. Commands exit with code 2."""
