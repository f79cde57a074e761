"""A one-stream tracker's network run the way OSTrack's released code does, to measure against.

Equations of arXiv 2203.11991, conventions of botaoye/OSTrack 33b5e12 (lib/test/tracker/ostrack.py,
lib/models/ostrack), written anew: in every frame both crops are embedded, the attention of every
block is a tensor of its own, the asked template rows are picked by a mask, all three maps are made
whole, and padding is cropped and resized along with the picture.
"""

import math
from time import perf_counter

import cv2
import numpy as np
import torch
from torch import Tensor

from downstream.tracking.box import cxcywh_to_xywh
from downstream.tracking.centre_tracker import IMAGENET_MEAN, IMAGENET_STD, CentreTracker
from downstream.tracking.crop import clip_box, window_around
from downstream.tracking.head import decode
from downstream.tracking.model import OneStreamTracker


def has_published_form(model: CentreTracker) -> bool:
    """Whether the released code could hold this model: a plain ViT, and none of our additions."""
    if not isinstance(model, OneStreamTracker) or model.compare or model.size_inertia:
        return False
    vit = model.backbone
    first = vit.blocks[0]
    plain = vit.rope is None and vit.rel_pos_bias is None and first.rel_pos_bias is None
    return plain and first.gamma_1 is None and first.attn.qkv_bias == 'joint' and not model.asks_box


class PublishedTracker:
    """`Tracker` of a model for which `has_published_form`, in float32 on the CPU."""

    def __init__(self, model: OneStreamTracker) -> None:
        self.model = model
        self.box = np.zeros(4)
        self.network_seconds = 0.0  # of the last update

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        """See `Tracker`."""
        model = self.model
        self.box = np.array(box, dtype=np.float64)
        self.template = self._input(image, model.template_factor, model.template_size)
        self.asked = torch.zeros(1, model.template_cells**2, dtype=torch.bool)
        if model.elimination is not None:
            self.asked[:, model.elimination.asked(model.template_cells)] = True

    @torch.no_grad()
    def update(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """See `Tracker`."""
        model = self.model
        search = self._input(image, model.search_factor, model.search_size)
        begin = perf_counter()
        maps = model.head(self._features(search))
        self.network_seconds = perf_counter() - begin
        boxes, scores = decode(maps, model.hann)
        window = window_around(self.box, model.search_factor)
        placed = window.to_image(cxcywh_to_xywh(boxes)[0].double().numpy(), model.published)
        height, width = image.shape[:2]
        self.box = clip_box(placed, height, width, model.margin)
        return self.box, float(scores)

    def _input(self, image: np.ndarray, factor: float, size: int) -> Tensor:
        """Crop about the last box -> (1, 3, size, size), normalised."""
        window = window_around(self.box, factor)
        height, width = image.shape[:2]
        slip = int(self.model.published)  # see crop.py
        before = [max(0, -window.left), max(0, -window.top)]
        after = [
            max(0, window.left + window.side - width + slip),
            max(0, window.top + window.side - height + slip),
        ]
        inner = image[
            window.top + before[1] : window.top + window.side - after[1],
            window.left + before[0] : window.left + window.side - after[0],
        ]
        around = (before[1], after[1], before[0], after[0])
        padded = cv2.copyMakeBorder(inner, *around, cv2.BORDER_CONSTANT)
        outside = np.ones(padded.shape[:2])
        outside[before[1] : len(outside) - after[1], before[0] : outside.shape[1] - after[0]] = 0
        crop = cv2.resize(padded, (size, size))
        cv2.resize(outside, (size, size)).astype(bool)  # handed on there, and read by nothing
        pixels = torch.tensor(crop).float().permute(2, 0, 1)[None]
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
        return (pixels / 255 - mean) / std

    def _features(self, search: Tensor) -> Tensor:
        """(1, 3, S, S) -> (1, D, n, n)."""
        model, vit = self.model, self.model.backbone
        z = vit.embed_patches(self.template) + model.template_pos
        x = torch.cat([z, vit.embed_patches(search) + model.search_pos], dim=1)
        count, cells = z.shape[1], model.search_cells
        places, gone = torch.arange(cells**2)[None], []
        shares = {} if model.elimination is None else model.elimination.shares
        x = vit.norm_pre(x)
        for number, block in enumerate(vit.blocks):
            mixed, attention = _naive_attention(block.attn, block.norm1(x))
            x = x + mixed
            if shares.get(number, 1) < 1:
                left = math.ceil(shares[number] * (x.shape[1] - count))
                given = attention[:, :, :count, count:]
                rows = self.asked[:, None, :, None].expand(-1, given.shape[1], -1, given.shape[3])
                picked = given[rows].view(1, given.shape[1], -1, given.shape[3])
                order = picked.mean(2).mean(1).sort(dim=1, descending=True).indices
                gone.append(places.gather(1, order[:, left:]))
                places = places.gather(1, order[:, :left])
                stay = order[:, :left, None].expand(-1, -1, x.shape[2])
                x = torch.cat([x[:, :count], x[:, count:].gather(1, stay)], dim=1)
            x = x + block.mlp(block.norm2(x))
        found = vit.norm(x)[:, count:]
        if gone:
            lost = torch.cat(gone, dim=1)
            order = torch.cat([places, lost], dim=1)[..., None].expand(-1, -1, x.shape[2])
            whole = torch.cat([found, found.new_zeros(1, lost.shape[1], x.shape[2])], dim=1)
            found = torch.zeros_like(whole).scatter(1, order, whole)
        return found.transpose(1, 2).reshape(1, -1, cells, cells).contiguous()


def _naive_attention(attn: torch.nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the attention adds, and its softmax (B, heads, N, N)."""
    batch, length, dim = x.shape
    qkv = attn.qkv(x).reshape(batch, length, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    weights = ((q @ k.transpose(-2, -1)) * attn.scale).softmax(dim=-1)
    return attn.proj((weights @ v).transpose(1, 2).reshape(batch, length, dim)), weights
