"""EVA-02, pre-trained, fine-tuned or of EVA-CLIP. Source: baaivision/EVA, EVA-02 and EVA-CLIP.

Rotary positions lie in the file as tables of cosines, one for the model and one in each block,
which show the width of a head. Query and value have a bias, the key has none. The small ones have a
packed SwiGLU; the larger ones separate matrices and a norm inside.
"""

from math import isqrt
from typing import Any

import torch

from mim_backbones.backbones.layers.rope import make_rope
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored, State
from mim_backbones.checkpoints.dialects.parts import APART, BLOCK, joined
from mim_backbones.checkpoints.dialects.rules import BEIT, CLASSIFIER, CORE, HEADS, MASK_TOKEN
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

TABLE = 'rope.freqs_cos'


def options(model: Model) -> dict[str, Any]:
    """Rotary positions and heads.

    Raises:
        CheckpointError: a table of cosines that EVA-02's rule does not give.
    """
    key = next(key for key in model.state if key.endswith(TABLE))
    cosines = model.state[key].float().flatten(0, -2)
    head_dim, side = cosines.shape[-1], isqrt(len(cosines))
    rope = make_rope('eva02', head_dim)
    assert rope is not None
    own = rope([(side, side)], torch.device('cpu')).cos
    if own.shape != cosines.shape or not torch.allclose(own, cosines, atol=2e-3):  # fp16 in some
        raise CheckpointError(
            f"checkpoint {model.name}: {key} is not EVA-02's (cells of a 16 x 16 grid); other "
            'rotary positions are not known here'
        )
    width = len(model.state['patch_embed.proj.weight'])
    return {'rope': 'eva02', 'heads': width // head_dim}


def adapt(state: State, model: Model) -> State:
    return joined(state)


EVA02 = Dialect(
    name='EVA-02',
    source='baaivision/EVA, EVA-02',
    family='vit',
    recognise=lambda model: (
        model.has(r'(blocks\.0\.attn\.)?rope\.freqs_cos') and model.has(r'blocks\.0\.norm1\.')
    ),
    rules=(
        *CORE,
        *MASK_TOKEN,
        *BEIT,
        *APART,
        (BLOCK + r'attn\.inner_attn_ln\.(weight|bias)', r'\1attn.norm.\2'),
        (BLOCK + r'mlp\.ffn_ln\.(weight|bias)', r'\1mlp.norm.\2'),
        (r'(.*\.)?rope\.freqs_(cos|sin)', Ignored('tables of rotary positions, an option here')),
        (r'lm_head\..*', CLASSIFIER),
        *HEADS,
    ),
    adapt=adapt,
    options=options,
)
