"""Linear probes of every block of a frozen backbone, all trained in one pass.

    block -> (final norm) -> CLS, mean or both -> (BatchNorm) -> Linear -> C logits
    a cell: one of each of these and a factor of the learning rate
    loss  sum over the cells of their cross-entropies: no cell has a part in another's gradient

The backbone looks at every picture again in every epoch, or once at fixed views of it, whose
features are kept (fixed_views.py).

What counts is the cell that is best on held-out training pictures (metric.py). Protocols differ in
block, pooling and norm: MAE reads CLS behind the final norm and BatchNorm (arXiv 2111.06377,
appendix A.1), BEiT both poolings of every block, SimMIM the mean of the 8th.
"""

from collections.abc import Sequence
from itertools import accumulate, product

import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from timm.layers import trunc_normal_
from torch import Tensor, nn

from downstream.classification.classifier import Classifier
from downstream.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mim_backbones.backbones.layers.tokens import pool_tokens
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.training.distributed import undistributed

NORMS = ('none', 'final', 'batch', 'final_batch')
Read = tuple[int, str, str]  # block from 0, pooling, norm


@MODELS.register_module()
class LinearGrid(Classifier):
    """See the module.

    Args:
        backbone: config of MIMViT, MIMSwin or MIMHiera; never trained, always in eval mode.
        num_classes: C.
        blocks: which, counted over all stages, negative from the end; None: every one.
        pools: 'cls', 'mean', 'cls_mean'; without a CLS token the mean alone is left.
        norms: of `NORMS`; 'final': the backbone's norm of tokens, before pooling. A backbone whose
            blocks share none (Swin, Hiera, `final_norm=False`) has only the others.
        rates: factors of the optimizer's learning rate.
        head_std: of the linear layers' start, a truncated normal.
        data_preprocessor: arguments of `MixedBatch` but the number of classes.

    Attributes:
        names: of the cells, block from 1.
        width: of what the backbone makes of a picture for all cells.

    Raises:
        ValueError: no such norm, or nothing is left to read.
    """

    logits = True

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        blocks: Sequence[int] | None = None,
        pools: Sequence[str] = ('cls', 'mean', 'cls_mean'),
        norms: Sequence[str] = ('none', 'final', 'batch'),
        rates: Sequence[float] = (0.1, 0.3, 1.0, 3.0, 10.0),
        head_std: float = 0.01,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, True, data_preprocessor, init_cfg)
        if not set(norms) <= set(NORMS):
            raise ValueError(f'LinearGrid: norms={tuple(norms)}; known: {", ".join(NORMS)}')
        has_final = isinstance(getattr(self.backbone, 'norm', None), nn.LayerNorm)
        has_final &= isinstance(self.backbone, MIMViT)
        pools = [pool for pool in pools if self.has_cls or pool == 'mean']
        norms = [norm for norm in norms if has_final or 'final' not in norm]
        if not (pools and norms):
            raise ValueError('LinearGrid: the backbone has no CLS token or final norm to read')
        depth = self.backbone.depth
        chosen = range(depth) if blocks is None else [block % depth for block in blocks]
        self.reads: list[Read] = list(product(chosen, pools, norms))
        self.rates = tuple(rates)
        self.names = tuple(
            f'block {block + 1}, {pool}, {norm}, rate x{rate:g}'
            for (block, pool, norm), rate in product(self.reads, self.rates)
        )
        widths = block_widths(self.backbone)
        self.vectors = list(
            dict.fromkeys((block, 'final' in norm) for block, _, norm in self.reads)
        )
        ends = list(accumulate(widths[block] * (1 + self.has_cls) for block, _ in self.vectors))
        self.width = ends[-1]
        self.places: list[slice] = []
        self.norms, self.heads = nn.ModuleList(), nn.ModuleList()
        for block, pool, norm in self.reads:
            width = widths[block] * (2 if pool == 'cls_mean' else 1)
            end = ends[self.vectors.index((block, 'final' in norm))]
            start = end - widths[block] if pool == 'mean' else end - 2 * widths[block]
            self.places.append(slice(start, start + width))
            batch = 'batch' in norm
            self.norms.append(
                nn.BatchNorm1d(width, affine=False, eps=1e-6) if batch else nn.Identity()
            )
            self.heads.append(nn.ModuleList(nn.Linear(width, num_classes) for _ in rates))
            for head in self.heads[-1]:
                trunc_normal_(head.weight, std=head_std)
                nn.init.zeros_(head.bias)

    def extract(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Pictures (B, 3, S, S), normalised, or `pooled` of them -> (B, D) for each of `reads`."""
        pooled = inputs if inputs.dim() == 2 else self.pooled(inputs)
        return tuple(pooled[:, place] for place in self.places)

    def pooled(self, inputs: Tensor) -> Tensor:
        """inputs (B, 3, S, S), normalised -> (B, width) float32: all that any cell reads.

        CLS, where there is one, and mean of each of `vectors`, side by side.
        """
        blocks = sorted({block for block, _ in self.vectors})
        with torch.no_grad():
            if not isinstance(self.backbone, MIMViT):
                maps = dict(zip(blocks, self.backbone.intermediates(inputs, blocks)))
                return torch.cat([maps[block].float().mean((2, 3)) for block, _ in self.vectors], 1)
            tokens = dict(zip(blocks, self.backbone.block_tokens(inputs, blocks)))
            pool = 'cls_mean' if self.has_cls else 'mean'
            read = (
                self.backbone.norm(tokens[block]) if final else tokens[block]
                for block, final in self.vectors
            )
            prefix = self.backbone.num_prefix
            return torch.cat([pool_tokens(each.float(), prefix, pool) for each in read], 1)

    def losses(
        self, features: Sequence[Tensor], target: Tensor, label: Tensor, name: Sequence[str]
    ) -> dict[str, Tensor]:
        logits = self.scores(features)
        cells = -(target[:, None] * logits.log_softmax(2)).sum(2).mean(0)  # (K,)
        return {'loss': cells.sum(), 'best_cell': cells.detach().min()}

    def scores(self, features: Sequence[Tensor]) -> Tensor:
        """Features as of `extract` -> (B, K, C) float32, in the order of `names`."""
        found = []
        for feature, norm, heads in zip(features, self.norms, self.heads, strict=True):
            weight = torch.cat([head.weight for head in heads])
            bias = torch.cat([head.bias for head in heads])
            # In float32: what tells cells apart is less than bf16 keeps.
            with torch.autocast(feature.device.type, enabled=False):
                every = nn.functional.linear(norm(feature), weight, bias)
            found.append(every.unflatten(1, (len(heads), -1)))
        return torch.cat(found, 1)


def block_widths(backbone: nn.Module) -> list[int]:
    """Channels of every block's output: a stage has twice those of the one before."""
    depths = getattr(backbone, 'depths', (backbone.depth,))
    return [backbone.embed_dim * 2**stage for stage, n in enumerate(depths) for _ in range(n)]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GridRates:
    """Optimizer of a `LinearGrid`: the cells of one factor are one group.

    Args:
        optim_wrapper_cfg: mmengine's config, with `optimizer` and any wrapper type.
        paramwise_cfg: there is none to give.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        assert not paramwise_cfg, "GridRates: the factors are the model's `rates`"
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        grid, rate = undistributed(model), self.optimizer_cfg['lr']
        groups = [
            {
                'params': [p for heads in grid.heads for p in heads[number].parameters()],
                'lr': rate * factor,
            }
            for number, factor in enumerate(grid.rates)
        ]
        MMLogger.get_current_instance().info(f'{len(grid.names)} probes, rates {grid.rates}')
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': groups})
        wrapper = {'type': 'OptimWrapper', **self.wrapper_cfg}
        return OPTIM_WRAPPERS.build(wrapper, default_args={'optimizer': optimizer})
