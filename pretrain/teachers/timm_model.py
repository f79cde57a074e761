"""Any model of timm as a teacher: ViTs, hierarchical transformers, CNNs."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file
from mim_backbones.checkpoints.source import TIMM, content_of, create_timm_model
from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher, features_of, numbered, one_shape
from pretrain.teachers.weights import check_cached, check_choice, drawn_alike


@MODELS.register_module()
class TimmTeacher(Teacher):
    """Maps of a timm model, with the normalisation its weights were trained with.

    Beside them the CLS token of a ViT, or the mean patch where there is none.

    Args:
        checkpoint: 'timm:NAME' (weights in the cache of Hugging Face) or 'timm:NAME@FILE'.
        random_weights: NAME without its weights, to try things out.
        input_size: side in pixels; None: the one the model was trained with.
        blocks: which maps are read, as timm counts them: blocks of a ViT, stages of others, a
            CNN's stem among them; negative from the end. Nothing behind the last of them runs.
        final_norm: whether the norm behind the last block is applied to what is read, as far as
            the model does that.

    Raises:
        UserError: timm does not know the model, its weights cannot be had or do not fit, it gives
            no feature maps, or blocks are not there or have maps of different shapes.
    """

    def __init__(
        self,
        checkpoint: str,
        random_weights: bool = False,
        input_size: int | None = None,
        blocks: Sequence[int] = (-1,),
        final_norm: bool = True,
    ) -> None:
        if not checkpoint.startswith(TIMM):
            raise UserError(f'TimmTeacher: checkpoint={checkpoint!r}; give timm:NAME')
        name, _, file = checkpoint.removeprefix(TIMM).partition('@')
        if random_weights or file:
            check_choice('TimmTeacher', file or None, random_weights, f'the weights of {name}')
        net = timm_model(name, file, random_weights)
        if not hasattr(net, 'forward_intermediates'):
            raise UserError(f'TimmTeacher: timm gives no feature maps of {name}; take another')
        said = net.pretrained_cfg
        size = input_size or said['input_size'][-1]
        super().__init__(size, said['mean'], said['std'])
        if hasattr(net, 'set_input_size'):
            net.set_input_size(img_size=(size, size))
        self.net = net.eval()
        self.final_norm, self.whole = final_norm, True
        prefixed = 'return_prefix_tokens' in inspect.signature(net.forward_intermediates).parameters
        cls_first = prefixed and getattr(net, 'cls_token', None) is not None
        self.beside = {'return_prefix_tokens': True} if cls_first else {}
        with torch.no_grad():
            maps, _ = self._read(torch.zeros(1, 3, size, size), None)
        self.blocks = numbered(name, blocks, len(maps))
        self.embed_dim, self.grid = one_shape(name, {i: maps[i].shape[1:] for i in self.blocks})

    def features(self, image: Tensor) -> Features:
        maps, whole = self._read(image, self.blocks)
        return features_of([x.flatten(2).transpose(1, 2) for x in maps], whole)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), 'final_norm': self.final_norm}

    def _read(
        self, image: Tensor, blocks: Sequence[int] | None
    ) -> tuple[list[Tensor], list[Tensor] | None]:
        """Maps (B, T, h, w) and CLS tokens (B, T), of all blocks if none are named."""
        read = self.net.forward_intermediates(
            image, indices=None if blocks is None else list(blocks), norm=self.final_norm,
            stop_early=True, output_fmt='NCHW', intermediates_only=True, **self.beside,
        )  # fmt: skip
        if not self.beside:
            return list(read), None
        return [maps for maps, _ in read], [tokens[:, 0] for _, tokens in read]


def timm_model(name: str, file: str, random_weights: bool) -> nn.Module:
    """Raises CheckpointError when there is no such model, or the file is not its weights."""
    create_timm_model(name, pretrained=False)  # refuses a name that timm does not know
    if not random_weights and not file:
        check_cached('TimmTeacher', name)
        return create_timm_model(name, pretrained=True)
    import timm

    net = drawn_alike(lambda: timm.create_model(name, pretrained=False))
    if file:
        state = content_of(read_weights_file(file), file).tensors
        head = net.pretrained_cfg.get('classifier') or ()
        heads = (head,) if isinstance(head, str) else tuple(head)
        try:
            found = net.load_state_dict(state, strict=False)
        except RuntimeError as error:  # shapes
            why = str(error).splitlines()[-1].strip()
            raise CheckpointError(f'checkpoint {file} is no {name} of timm: {why}') from error
        missing = [key for key in found.missing_keys if not key.startswith(heads)]
        if missing or found.unexpected_keys:
            wrong = [*missing, *found.unexpected_keys][0]
            raise CheckpointError(f'checkpoint {file} is no {name} of timm: {wrong} differs')
    return net
