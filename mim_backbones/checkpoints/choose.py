"""Which of the models in a checkpoint is the backbone: the one below the right prefix.

A file may hold a student and a teacher, averaged and plain weights, an encoder and a tokenizer.
Each is found by its patch embedding; names of the prefixes say what it is.
"""

import re
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content

# Ours and most sources', Hugging Face's CLIP and SigLIP, and OpenAI's CLIP, whose convolution has a
# ResNet's name: its CLS token lies beside.
PATCH_EMBED = re.compile(
    r'(?P<prefix>|.*\.)(patch_embed\.proj(ection)?|embeddings\.patch_embedding|(?P<clip>conv1))'
    r'\.weight'
)
# A teacher of another model, the decoder of a tokenizer, the tokenizer of a pre-training model.
OTHER_MODEL = {
    'tch_model', 'teacher_model', 'distill_model', 'decoder', 'target_generator', 'vqkd',
    'tokenizer', 'momentum_encoder',
}  # fmt: skip
AVERAGED = {
    'model_ema', 'ema', 'ema_model', 'state_dict_ema', 'ema_state_dict', 'teacher',
    'momentum_encoder',
}  # fmt: skip
WEIGHTS = ('auto', 'ema', 'plain')


@dataclass(frozen=True)
class Model:
    """One model of a checkpoint.

    Attributes:
        name: of the checkpoint, for messages.
        prefix: where it was found, '' or ending in a dot.
        state: its tensors, below that prefix.
        outside: the file's tensors that belong to no backbone (heads, decoders).
        others: keys of the file's other models.
        averaged: True for averaged (EMA) weights, False for plain ones beside them, None when
            the file does not have both.
        said, record: see `Content`.
    """

    name: str
    prefix: str
    state: dict[str, Tensor]
    outside: dict[str, Tensor]
    others: tuple[str, ...]
    averaged: bool | None
    said: dict[str, Any]
    record: dict[str, Any] | None

    def has(self, pattern: str) -> bool:
        """Whether a key of the model matches the pattern from its start."""
        regex = re.compile(pattern)
        return any(regex.match(key) for key in self.state)

    def beside(self, pattern: str) -> bool:
        """Whether a key outside of the model, anywhere, contains the pattern."""
        regex = re.compile(pattern)
        return any(regex.search(key) for key in (*self.outside, *self.others))

    @property
    def where(self) -> str:
        """For reports: which of the file's weights these are."""
        kind = {True: 'averaged (EMA) weights', False: 'plain weights', None: 'weights'}
        place = f" under '{self.prefix}'" if self.prefix else ''
        return kind[self.averaged] + place


def choose_model(content: Content, weights: str = 'auto') -> Model:
    """The backbone's own model.

    Args:
        weights: 'ema' or 'plain' where the file has both; 'auto' takes the averaged ones, except
            MoCo v3's momentum encoder, whose paper transfers the base encoder.

    Raises:
        CheckpointError: no backbone of the known families, no such weights, or several models
            that nothing tells apart.
    """
    if weights not in WEIGHTS:
        raise ValueError(f'weights={weights!r}; known: {", ".join(WEIGHTS)}')
    found = {
        match['prefix']: value
        for key, value in content.tensors.items()
        if (match := PATCH_EMBED.fullmatch(key))
        and value.ndim >= 4
        and (not match['clip'] or f'{match["prefix"]}class_embedding' in content.tensors)
    }
    if not found:
        shown = ', '.join(list(content.tensors)[:4])
        raise CheckpointError(
            f'checkpoint {content.name} holds no ViT, Swin or Hiera backbone (no patch_embed '
            f'among its {len(content.tensors)} tensors: {shown}, ...)'
        )
    prefix = _best(content, list(found), weights)
    siblings = tuple(other for other in found if other != prefix and other)
    return Model(
        name=content.name,
        prefix=prefix,
        state={
            key.removeprefix(prefix): value
            for key, value in content.tensors.items()
            if key.startswith(prefix) and not (not prefix and key.startswith(siblings))
        },
        outside={
            key: value
            for key, value in content.tensors.items()
            if not key.startswith((prefix, *siblings))
        },
        others=tuple(key for key in content.tensors if key.startswith(siblings)),
        averaged=_averaged(prefix, list(found)),
        said=content.said,
        record=content.record,
    )


def _best(content: Content, prefixes: list[str], weights: str) -> str:
    if weights != 'auto':
        wanted = [p for p in prefixes if _averaged(p, prefixes) is (weights == 'ema')]
        if not wanted:
            kinds = 'no averaged (EMA)' if weights == 'ema' else 'no other than averaged'
            raise CheckpointError(
                f"checkpoint {content.name} holds {kinds} weights; leave weights='auto'"
            )
        return _first(content, wanted, lambda p: (_is_other(p) and weights == 'plain',))
    return _first(content, prefixes, lambda p: (_is_other(p), _averaged(p, prefixes) is not True))


def _first(content: Content, prefixes: list[str], rank: Any) -> str:
    ordered = sorted(prefixes, key=rank)
    if len(ordered) > 1 and rank(ordered[0]) == rank(ordered[1]):
        both = ' and '.join(repr(prefix) for prefix in ordered[:2])
        raise CheckpointError(
            f'checkpoint {content.name} holds several backbones, under {both}; '
            'pass the state dict of one'
        )
    return ordered[0]


def _is_other(prefix: str) -> bool:
    return bool(OTHER_MODEL & set(prefix.split('.')))


def _averaged(prefix: str, prefixes: list[str]) -> bool | None:
    """Whether these are averaged weights; None when the file holds no such pair."""
    names = set(prefix.split('.'))
    pair = any(AVERAGED & set(p.split('.')) for p in prefixes)
    if not pair:
        return None
    if any(p.startswith('ema_state_dict.') for p in prefixes):
        # mmengine's EMAHook swaps on saving: the averaged weights are in `state_dict`.
        return 'ema_state_dict' not in names
    return bool(AVERAGED & names)
