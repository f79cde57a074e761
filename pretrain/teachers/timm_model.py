"""Any model of timm as a teacher: ViTs, hierarchical transformers, CNNs."""

import torch
import torch.nn as nn
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file
from mim_backbones.checkpoints.source import TIMM, content_of, create_timm_model
from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher
from pretrain.teachers.weights import check_cached, check_choice, drawn_alike


@MODELS.register_module()
class TimmTeacher(Teacher):
    """The last map of a timm model, with the normalisation its weights were trained with.

    Args:
        checkpoint: 'timm:NAME' (weights in the cache of Hugging Face) or 'timm:NAME@FILE'.
        random_weights: NAME without its weights, to try things out.
        input_size: side in pixels; None: the one the model was trained with.

    Raises:
        UserError: timm does not know the model, its weights cannot be had or do not fit, or it
            gives no feature maps.
    """

    def __init__(
        self, checkpoint: str, random_weights: bool = False, input_size: int | None = None
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
        with torch.no_grad():
            last = self._last_map(torch.zeros(1, 3, size, size))
        self.embed_dim = last.shape[1]
        self.grid = (last.shape[2], last.shape[3])

    def features(self, image: Tensor) -> Features:
        return Features(self._last_map(image).flatten(2).transpose(1, 2))

    def _last_map(self, image: Tensor) -> Tensor:
        """(B, T, h, w), after the final norm where the model has one."""
        (last,) = self.net.forward_intermediates(
            image, indices=1, norm=True, output_fmt='NCHW', intermediates_only=True
        )
        return last


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
