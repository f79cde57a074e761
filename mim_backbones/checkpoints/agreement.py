"""Whether a checkpoint and a backbone that was built by hand compute the same: what no shape shows.

family           a Swin's weights in a ViT
unseen options   activation and rotary positions of a ViT
scale            windows that a Swin V2's bias is scaled by
values           NaN and infinity
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mim_backbones.backbones.archs import FAMILIES
from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.layers.rope import make_rope
from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes.hints import Hints
from mim_backbones.checkpoints.shapes.swin import shown_scale
from mim_backbones.checkpoints.shapes.vit import unseen_options
from mim_backbones.registry import MODELS


def family_of(backbone: MIMBackbone) -> str:
    """'vit', 'swin' or 'hiera', of subclasses too."""
    return next((FAMILIES[c.__name__] for c in type(backbone).mro() if c.__name__ in FAMILIES), '')


def check_family(backbone: MIMBackbone, model: Model, dialect: Dialect) -> None:
    """Raises CheckpointError for a Swin's weights in a ViT and the like."""
    if family_of(backbone) != dialect.family:
        raise CheckpointError(
            f'checkpoint {model.name} holds a {dialect.family} backbone ({dialect.name}); '
            f'{type(backbone).__name__} cannot take it'
        )


def check_unseen(backbone: MIMBackbone, model: Model, dialect: Dialect) -> None:
    """Raises CheckpointError when a ViT differs from its checkpoint in what no shape shows.

    That is the activation and the rotary positions, where the file, timm or the dialect says them.
    """
    if family_of(backbone) != 'vit' or dialect.family != 'vit':
        return
    record = (model.record or {}).get('backbone')
    if record is None:
        stated = {**unseen_options(model.said), **dialect.options(model)}
    else:
        stated = {'act': record.get('act', 'gelu'), 'rope': record.get('rope')}
    if backbone.act is None:  # a gated MLP
        stated.pop('act', None)
    wrong = ['act'] if stated.get('act', backbone.act) != backbone.act else []
    if 'rope' in stated:
        rope = make_rope(stated['rope'], backbone.embed_dim // backbone.num_heads)
        wrong += ['rope'] if rope != backbone.rope else []
    if wrong:
        right = ', '.join(f'{option}={stated[option]!r}' for option in wrong)
        raise CheckpointError(
            f'checkpoint {model.name} was trained with {right}, without which its weights compute '
            'something else; build the backbone with that'
        )


def check_scale(backbone: MIMBackbone, model: Model, dialect: Dialect) -> None:
    """Raises CheckpointError when a Swin V2 scales its bias by other windows than its checkpoint.

    Where the file, timm or the record of a pre-training shows them.
    """
    if not isinstance(backbone, MIMSwin) or dialect.family != 'swin':
        return
    if not model.has(r'.*\.(cpb|rpe)_mlp\.'):
        return
    record = (model.record or {}).get('backbone')
    if record is None:
        hints = Hints(model.name, implied=dialect.options(model), said=model.said)
        theirs = shown_scale(hints)
    else:
        with torch.device('meta'):
            theirs = MODELS.build({k: v for k, v in record.items() if k != 'init_cfg'}).bias_windows
    pairs = zip(backbone.bias_windows, theirs)
    if any(own and wanted and own != wanted for own, wanted in pairs):
        raise CheckpointError(
            f'checkpoint {model.name} has a bias scaled by the windows of its pre-training, '
            f'{theirs}, and the backbone scales by {backbone.bias_windows}; build it with '
            f'pretrained_window_sizes={theirs}'
        )


def refuse_broken(state: Mapping[str, Tensor], name: str) -> None:
    """Raises CheckpointError for weights that are not finite."""
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        more = f' and {len(broken) - 1} more' if len(broken) > 1 else ''
        raise CheckpointError(
            f'checkpoint {name}: {broken[0]}{more} holds NaN or infinity, as after a training that '
            'diverged; take an earlier one'
        )
