"""Whether the weights of a file really reached a model: what mmengine says as a warning, refused.

What has to be covered:

    test, resume   every weight, of the right shape, and none of another model's
    load_from      the whole backbone; a head for other classes is what the training is for
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mim_backbones.checkpoints.safe.weights_file import CheckpointError

SHOWN = 3


class Coverage:
    """What of a model a loader fills in: taken before it starts, asked when it is done.

    Every write to a tensor in place raises its version, by whatever names and hooks it was found.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.versions = {name: value._version for name, value in weights_of(model).items()}

    def missing(self) -> list[str]:
        """Weights that nothing was written to.

        Tables of indices and counters are left out: they are what they were made to be.
        """
        return [
            name
            for name, value in weights_of(self.model).items()
            if value.is_floating_point() and value._version == self.versions.get(name)
        ]

    def refuse_gaps(self, filename: str) -> None:
        """Raises CheckpointError unless the file covers all of the model, and is all of it."""
        missing = self.missing()
        if missing:
            raise CheckpointError(
                f'checkpoint {filename} does not fit the model of the config: '
                f'{named(missing, len(self.versions))} would stay untrained; '
                'give a checkpoint that was trained with this config'
            )

    def refuse_strangers(self, filename: str, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError when the file has more of a part than the model."""
        own = weights_of(self.model)
        parts = {name.partition('.')[0] for name in own}
        strange = [
            name
            for name, value in state.items()
            if name not in own and isinstance(value, Tensor) and value.is_floating_point()
            and name.partition('.')[0] in parts
        ]  # fmt: skip
        if strange:
            raise CheckpointError(
                f'checkpoint {filename} does not fit the model of the config: it has '
                f'{named(strange, len(state))} that the model lacks; '
                'give the config it was trained with'
            )

    def refuse_bare_backbone(self, filename: str) -> None:
        """Raises CheckpointError when a backbone stays as it was, in part or as a whole.

        A model without a part of that name is taken for one.
        """
        own = [name for name, value in weights_of(self.model).items() if value.is_floating_point()]
        inner = [name for name in own if 'backbone' in name.split('.')] or own
        missing = set(self.missing())
        bare = [name for name in inner if name in missing]
        if bare:
            raise CheckpointError(
                f'load_from={filename} leaves {named(bare, len(inner))} of the backbone as they '
                "are; name the file in model.backbone.init_cfg=dict(type='Pretrained', "
                'checkpoint=FILE), which knows the names and sizes of other projects'
            )


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Name -> tensor of a state dict; they share their versions with the model's own."""
    return {name: v for name, v in model.state_dict().items() if isinstance(v, torch.Tensor)}


def named(names: list[str], total: int) -> str:
    """'3 of 120 weights (a, b, c)'."""
    more = ', ...' if len(names) > SHOWN else ''
    return f'{len(names)} of {total} weights ({", ".join(names[:SHOWN])}{more})'
