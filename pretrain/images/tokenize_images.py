"""A folder of images through a tokenizer: the ids of their centre crops."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mim_backbones.errors import UserError
from pretrain.images.dataset import list_images, load_image
from pretrain.images.token_cache import UNREADABLE, TokenCache, relative_names
from pretrain.targets.frozen import FrozenTokenizer


@torch.inference_mode()
def tokenize_images(
    tokenizer: FrozenTokenizer,
    root: str | Path,
    size: int,
    batch_size: int = 32,
    done: Callable[[int], None] = lambda count: None,
) -> TokenCache:
    """Ids of every image below a folder.

    Args:
        size: side in pixels of the tokenizer's view.
        done: called with the number of images after each batch.

    Raises:
        UserError: no images, or none that can be decoded.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    files = list_images(root)
    rows: dict[str, np.ndarray] = {}
    for start in range(0, len(files), batch_size):
        chosen = files[start : start + batch_size]
        views = {path: view for path in chosen if (view := readable(path, size)) is not None}
        if views:
            image = torch.stack([*views.values()]).to(device).float() / 255
            rows |= zip(views, tokenizer(image).to('cpu', torch.int32).numpy(), strict=True)
        done(len(chosen))
    if not rows:
        raise UserError(f'none of the {len(files)} images below {root} can be decoded')
    blank = np.full_like(next(iter(rows.values())), UNREADABLE)
    return TokenCache(
        names=np.array(relative_names(files, root)),
        ids=np.stack([rows.get(path, blank) for path in files]),
        codes=tokenizer.codes,
        digest=tokenizer.fingerprint().numpy(),
    )


def readable(path: str, size: int) -> torch.Tensor | None:
    """The centre of an image, None when it cannot be decoded."""
    try:
        return load_image(path, size, 'bicubic')
    except UserError:
        return None
