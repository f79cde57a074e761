"""Each picture's error: what the report draws intervals from."""

import numpy as np

from downstream.results.units import UnitScores


class GreyUnits(UnitScores):
    kind, metrics = 'brightness', ('accuracy',)

    def __init__(self, names, errors: np.ndarray) -> None:
        super().__init__(names)
        self.errors = errors

    def score(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """weights (R, U): how often each picture counts -> (R,) percent."""
        return {'accuracy': 100 * (1 - weights @ self.errors / weights.sum(1))}

    def arrays(self) -> dict[str, np.ndarray]:
        return {'errors': self.errors}

    @classmethod
    def from_arrays(cls, names, arrays) -> 'GreyUnits':
        return cls(names, arrays['errors'])
