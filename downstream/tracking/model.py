"""One-stream tracking: template and search tokens go through the same ViT together.

    z = embed(template) + e_z,  x = embed(search) + e_x
    [z, x] -> ViT, candidates leave on the way -> search tokens -> centre head -> box

paper: arXiv 2203.11991 (OSTrack), section 3; candidates: elimination.py
head, loss, data, tracking: centre_tracker.py   recipes: configs/downstream/tracking/

The published code trains two tables of positions, one for each crop, that start as the backbone's
resized. e_z and e_x are what is added to the backbone's: they start at zero.
"""

from typing import Any

import torch
from torch import Tensor, nn

from downstream.registry import MODELS
from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.correlation import correlation
from downstream.tracking.elimination import Elimination, tokens_in_box
from downstream.tracking.head import CenterHead


@MODELS.register_module()
class OneStreamTracker(CentreTracker):
    """A tracker made of a ViT and a centre head.

    Args:
        backbone: config of a backbone with `embed_patches`, `encode`, `patch_size`, `embed_dim`
            (mim_backbones.MIMViT without windows, CLS and register tokens).
        head: arguments of CenterHead but its width.
        elimination: arguments of Elimination; None keeps every candidate.
        compare: the head also reads the correlation (correlation.py) of the tokens that come out.
            Not published: a short training learns to compare late.
        options: of CentreTracker.

    Raises:
        ValueError: a crop is not a multiple of the patch size.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict | None = None,
        elimination: dict | None = None,
        compare: bool = False,
        **options: Any,
    ) -> None:
        built = MODELS.build(backbone)
        super().__init__(built.patch_size, **options)
        self.backbone = built
        self.compare = compare
        seen = self.template_cells**2 if compare else 0
        self.head = CenterHead(built.embed_dim + seen, **(head or {}))
        self.elimination = None if elimination is None else Elimination(**elimination)
        self.share: float | None = None  # of training, see elimination.EliminationSchedule
        self.template_pos = nn.Parameter(torch.zeros(1, self.template_cells**2, built.embed_dim))
        self.search_pos = nn.Parameter(torch.zeros(1, self.search_cells**2, built.embed_dim))

    @property
    def asks_box(self) -> bool:
        return self.elimination is not None and self.elimination.template == 'box'

    def embed_template(self, template: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """Tokens (B, N, D); where the box says who is asked, also which are in it, (B, N) bool."""
        tokens = self.backbone.embed_patches(template) + self.template_pos
        if not self.asks_box:
            return (tokens,)
        cells = self.template_cells
        return tokens, tokens_in_box(boxes, self.template_size, cells, self.published)

    def look(self, template: tuple[Tensor, ...], search: Tensor) -> Tensor:
        """See CentreTracker; a candidate that has left is a zero vector to the head."""
        tokens, *in_box = template
        cells, grid = self.template_cells, (self.search_cells, self.search_cells)
        choose = None
        if self.elimination is not None:
            share = self.share if self.training else None
            choose = self.elimination.chooser(cells, *in_box, share=share)
        joined = torch.cat([tokens, self.backbone.embed_patches(search) + self.search_pos], dim=1)
        encoded = self.backbone.encode(joined, [(cells, cells), grid], choose)
        z, x = encoded.split([cells**2, self.search_cells**2], dim=1)
        found = x.transpose(1, 2)
        if self.compare:
            found = torch.cat([found, correlation(z, x)], dim=1)
        return found.unflatten(2, grid).contiguous()
