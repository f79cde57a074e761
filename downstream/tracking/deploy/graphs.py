"""A tracker's network as the two graphs that are exported, from pixels to box.

    template: crop (1, T, T, 3) uint8[, box (1, 4) float32] -> what is kept of the template
    search:   crop (1, S, S, 3) uint8, what is kept -> box (1, 4) cxcywh in fractions, score (1,)

Normalisation, elimination, window and decoding are inside. All sizes are constants, the number of
candidates that leave included. The template's tokens are all that can be kept: from the first
block on they attend to the search crop, so that nothing deeper is the same in the next frame.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.deploy.settled import settle_biases

PRECISIONS = ('fp32', 'bf16', 'int8')


class TemplateGraph(nn.Module):
    """`CentreTracker.remember` of one crop."""

    def __init__(self, model: CentreTracker) -> None:
        super().__init__()
        self.model = model

    def forward(self, crop: Tensor, box: Tensor | None = None) -> tuple[Tensor, ...]:
        return self.model.embed_template(_pixels(self.model, crop), box)


class SearchGraph(nn.Module):
    """`CentreTracker.find` in one crop."""

    def __init__(self, model: CentreTracker) -> None:
        super().__init__()
        self.model = model

    def forward(self, crop: Tensor, *template: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.model.look(template, _pixels(self.model, crop))
        return self.model.head.best(feature, self.model.hann)


@dataclass(frozen=True)
class Graphs:
    """Both graphs in eval mode, and an example of what goes into each."""

    template: TemplateGraph
    search: SearchGraph
    template_inputs: tuple[Tensor, ...]
    search_inputs: tuple[Tensor, ...]


@torch.no_grad()
def graphs_of(model: CentreTracker, bf16: bool = False) -> Graphs:
    """The graphs of a tracker, which is copied to the CPU; weights in bfloat16 if asked for."""
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    if bf16:
        pixels, window = copy.deepcopy(model.data_preprocessor), model.hann
        model.bfloat16()
        model.data_preprocessor, model.hann = pixels, window  # grey levels have 8 bits, bf16 too
    settle_biases(model)
    template = TemplateGraph(model).eval()
    search = SearchGraph(model).eval()
    draw = torch.Generator().manual_seed(0)
    crops = [
        torch.randint(256, (1, size, size, 3), dtype=torch.uint8, generator=draw)
        for size in (model.template_size, model.search_size)
    ]
    box = torch.tensor([[0.25, 0.25, 0.5, 0.5]])
    inputs = (crops[0], box) if model.asks_box else (crops[0],)
    kept = template(*inputs)
    search(crops[1], *kept)  # biases are made before anything is traced
    return Graphs(template, search, inputs, (crops[1], *kept))


def _pixels(model: CentreTracker, crop: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S), normalised, of the weights' dtype."""
    normalised = model.normalise(crop.permute(0, 3, 1, 2))
    return normalised.to(next(model.head.parameters()).dtype)
