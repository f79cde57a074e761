"""A trained VQ-KD tokenizer from its file: ours, or one in the published names.

Source of the names: microsoft/unilm beit2, modeling_vqkd.py and norm_ema_quantizer.py. A published
file has encoder, decoder and codebook, perhaps with the teacher; only what turns an image into ids
is read.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from mim_backbones.checkpoints.load import backbone_config
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content, Source, open_source
from pretrain.methods.load_state import load_state
from pretrain.tokenizers.vqkd import VQKDTokenizer

State = dict[str, Tensor]
PUBLISHED = {
    'quantize.embedding.weight': 'quantize.codebook',
    'quantize.embedding.initted': 'quantize.started',
    'quantize.cluster_size': 'quantize.usage',
}
CODEBOOK = re.compile(r'(.*\.|)quantize\.(embedding\.weight|codebook)')
# What training leaves in the codebook beside its vectors: starts at zero in a loaded tokenizer.
STATISTICS = ('usage', 'hits', 'idle', 'steps')


def vqkd_state(content: Content) -> State:
    """Weights of encoder, decoder and codebook in our names; teacher, loss and wrappers left out.

    Raises:
        CheckpointError: there is no VQ-KD tokenizer, or its codebook was never started.
    """
    prefix = next((m[1] for key in content.tensors if (m := CODEBOOK.fullmatch(key))), None)
    if prefix is None:
        shown = ', '.join(list(content.tensors)[:4])
        raise CheckpointError(
            f'checkpoint {content.name} holds no VQ-KD tokenizer (no codebook among its '
            f'{len(content.tensors)} tensors: {shown}, ...)'
        )
    parts = ('encoder.', 'decoder.', 'quantize.', 'encode_task_layer.', 'decode_task_layer.')
    state = {}
    for key, value in content.tensors.items():
        name = key.removeprefix(prefix)
        name = PUBLISHED.get(name, name)
        if key.startswith(prefix) and name.startswith(parts) and '.embedding.' not in name:
            state[name] = value
    if 'quantize.started' in state:
        state['quantize.started'] = state['quantize.started'].reshape(-1)[0].bool()
        if not state['quantize.started']:
            raise CheckpointError(
                f'checkpoint {content.name} was saved before its codebook was started; train it'
            )
    return state


def load_tokenizer(checkpoint: Source | Path, num_heads: int | None = None) -> VQKDTokenizer:
    """A frozen tokenizer with the architecture its file records, or its shapes show.

    Args:
        checkpoint: a file, or a state dict; one of ours or in the published names.
        num_heads: of the encoder, where neither record nor width tells.

    Raises:
        CheckpointError: unreadable, no VQ-KD tokenizer, or weights missing.
    """
    content = open_source(checkpoint)
    state = vqkd_state(content)
    tokenizer = VQKDTokenizer(**described(content, state, num_heads))
    own = {
        key: value
        for key, value in state.items()
        if key.startswith(('encoder.', 'quantize.', 'encode_task_layer.'))
        and key.rpartition('.')[2] not in STATISTICS
    }
    found = load_state(tokenizer, own, content.name)
    missing = [k for k in found.missing if k.rpartition('.')[2] not in (*STATISTICS, 'started')]
    if missing or found.unexpected:
        wrong = [*missing, *found.unexpected]
        raise CheckpointError(
            f'checkpoint {content.name} is no whole VQ-KD tokenizer: {wrong[0]} and '
            f'{len(wrong) - 1} more are missing or have no place'
        )
    tokenizer.quantize.started.fill_(True)
    return tokenizer.freeze()


def described(content: Content, state: State, num_heads: int | None) -> dict[str, Any]:
    """Arguments of the `VQKDTokenizer` a file holds."""
    record = (content.record or {}).get('model', {})
    if 'backbone' in record:
        config = {k: record[k] for k in ('backbone', 'codebook', 'mean', 'std') if k in record}
        return {**config, 'backbone': {**record['backbone'], 'init_cfg': None}}
    heads = {} if num_heads is None else {'num_heads': num_heads}
    encoder = Content(
        content.name, {k: v for k, v in state.items() if not k.startswith('decoder.')}
    )
    codes, dim = state['quantize.codebook'].shape
    return {
        'backbone': backbone_config(encoder, **heads),
        'codebook': {'codes': codes, 'dim': dim},
    }
