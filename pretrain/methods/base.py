"""What every method shares: its backbone, its target, what it wants of the data, how it loads.

    image in [0, 1] -> normalised for the backbone -> prediction
                    -> target -> wanted

A recipe says the image size and the patch once, in `backbone`: the target is fitted to it when the
model is built, data set and masker when a run starts (`bind`).
"""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.checkpoints.source import Content
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.images.dataset import Needs
from pretrain.registry import MODELS, build
from pretrain.targets.base import Target, Wanted, bound_target, student_of

Infer = Callable[[], dict[str, Any]]


class Method(BaseModel):
    """A backbone and what it learns from.

    `unneeded`: entries of the state dict beside the backbone that predictions do without.
    `released_masker`: config of the masker that released files of the method were trained with.

    Args:
        backbone: config of a `mim_backbones` backbone.
        target: config of what is to be predicted, a `pretrain.targets.base.Target`; None for a
            model that has nothing left to learn.
        mean, std: per channel, of images in [0, 1], as the backbone is to see them.

    Raises:
        ValueError: the parts do not fit each other; the message names both grids.
    """

    unneeded: tuple[str, ...] = ('target.fingerprint',)
    released_masker: dict[str, Any] | None = None

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] | Target | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(build(MODELS, data_preprocessor or {'type': 'ImagePreprocessor'}))
        self.backbone: MIMBackbone = BACKBONES.build(backbone)
        self.normalise = Normalise(mean, std)
        self.target = None
        if target is not None:
            self.target = bound_target(target, self.backbone)
            self.target.start(self)

    def init_weights(self) -> None:
        """Weights that the backbone starts from (`init_cfg`) are the start of what follows it."""
        super().init_weights()
        for target in self.targets:
            target.start(self)

    @property
    def targets(self) -> list[Target]:
        """All that it learns from."""
        return [] if self.target is None else [self.target]

    @property
    def img_size(self) -> int:
        """Side in pixels of the images the backbone is made for.

        Raises:
            UserError: they are no squares.
        """
        height, width = student_of(self.backbone).img_size
        if height != width:
            raise UserError(
                f'model.backbone.img_size is {height}x{width}; pre-training crops squares'
            )
        return height

    def bind(self, dataset: Any) -> None:
        """Tell a data set the sizes of the backbone and the view of the target; once, at the start.

        A data set without `bind` has to know by itself.

        Raises:
            UserError: the recipe says other sizes there, or it gives what the method cannot take.
        """
        taken = inspect.signature(self.forward).parameters
        for name in set(getattr(dataset, 'gives', ())) - set(taken):
            raise UserError(
                f'{type(self).__name__} takes no {name}, which {type(dataset).__name__} gives; set '
                "train_dataloader.dataset.type='UnlabelledImages', and a masker if it is to hide"
            )
        if hasattr(dataset, 'bind'):
            view, known = (getattr(self.target, name, None) for name in ('view', 'known'))
            who = type(self.backbone).__name__
            dataset.bind(Needs(self.img_size, self.backbone.mask_size, view, known, who))

    def prepare(self, image: Tensor, **batch: Any) -> None:
        """Settle what a run looks at once, with its first batch: a compiled loss cannot.

        A frozen net goes to its device, a palette is looked at, a codebook starts; nothing else is
        learnt. Arguments as of the loss.
        """

    # ------------------------------------------------------------------ from a checkpoint

    @classmethod
    def for_loading(cls, model: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        """The config that a checkpoint of the config `model` is loaded with: no file but that.

        facts: of the target, see `Target.facts`.
        """
        target = model.get('target')
        if target is None:
            return model
        target_class = MODELS.get(target['type'])
        if target_class is None:
            raise UserError(f'model.target: nothing is registered as {target["type"]!r}')
        return {**model, 'target': target_class.without_files(target, facts)}

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The config of a file that records none; None where it is of another method.

        Args:
            content: the file.
            names: its tensors beside the backbone, without the prefix of the model.
            infer: gives type and arguments of its backbone, from its shapes.
            options: constructor arguments that no shape shows, from the user.

        Raises:
            CheckpointError: it is of this method, and an option is missing.
        """
        return None

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights beside the backbone under our names, from ours or the released ones."""
        return state

    def fit_state(self, own: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of `own_names` as this model wants them: position tables at its sizes.

        Raises:
            ValueError: a table that fits no grid.
        """
        return own


class MaskedImageModel(Method):
    """image -> mask -> backbone -> prediction -> loss against the target.

    `needs_mask`: whether a loss without anything hidden is a mistake of the recipe.
    """

    needs_mask = True

    def forward(
        self,
        image: Tensor,
        mask: Tensor | None = None,
        target_image: Tensor | None = None,
        target_ids: Tensor | None = None,
        target_features: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """mode 'loss': dict of losses and figures; else `predict`.

        Args:
            image: (B, 3, H, W) in [0, 1], the student's view.
            mask: (B, H/m, W/m) bool, True = hidden.
            target_image: (B, 3, H', W') in [0, 1], the target's view of the same crop.
            target_ids: (B, h, w) int64, what the target would say where that is known.
            target_features: (B, rows, T), what its teacher would, see `Target.stored`.

        Raises:
            UserError: a loss without a mask, or a mask of another grid than the image's.
        """
        if mode != 'loss':
            return self.predict(image, mask)
        if mask is None and self.needs_mask:
            raise UserError(f'{type(self).__name__}: the data set of the recipe has no masker')
        if target_ids is not None:
            return self.loss(image, mask, Wanted(target_ids))
        if target_features is not None:
            return self.loss(image, mask, self.target.stored(target_features))
        return self.loss(image, mask, self.wanted(image if target_image is None else target_image))

    def prepare(
        self,
        image: Tensor,
        mask: Tensor | None = None,
        target_image: Tensor | None = None,
        target_ids: Tensor | None = None,
        target_features: Tensor | None = None,
    ) -> None:
        if target_ids is None and target_features is None:
            self.wanted(image if target_image is None else target_image)

    @torch.no_grad()
    def wanted(self, image: Tensor) -> Wanted:
        """What is to be predicted, of the target's view in [0, 1]."""
        return self.target(image)

    @abstractmethod
    def loss(self, image: Tensor, mask: Any, wanted: Wanted) -> dict[str, Tensor]:
        """image (B, 3, H, W) in [0, 1]; mask (B, H/m, W/m) bool, True = hidden. No randomness.

        mask is None only where `needs_mask` is False.
        """

    @abstractmethod
    def predict(self, image: Tensor, mask: Tensor | None) -> Any:
        """What is said of an image in [0, 1], in the target's units."""
