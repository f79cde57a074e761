"""An object that answers for another one and changes a part of what it does."""

from typing import Any


class StandIn:
    """Whatever it does not do itself, reading and setting included, the other does.

    Hooks look into a run's data set and loader, and set what is there: with a stand-in as without.

    Args:
        inner: the other.
    """

    inner: Any
    own = ('inner',)  # attributes that are not the other's

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name in type(self).own:  # before it is set, in a worker that unpickles
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).own:
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)

    def __len__(self) -> int:
        return len(self.inner)
