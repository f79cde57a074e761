"""What a checkpoint says of its backbone -> the backbone config of a task's recipe."""

from typing import Any

from mim_backbones.backbones.archs import VIT


def task_backbone(
    recorded: dict[str, Any], recipe: dict[str, Any], checkpoint: str | None, blocks: int = 1
) -> dict[str, Any]:
    """The recorded architecture with what the task changes.

    Args:
        recorded: constructor arguments as pre-training recorded them.
        recipe: the recipe's own backbone config; its img_size, drop path and windows count.
        checkpoint: weights to load, None for the random start.
        blocks: how many evenly spaced blocks return a map.

    Windows need an absolute-position ViT without CLS and registers: a checkpoint with relative
    positions keeps global attention, and its CLS token, which its tables have rows for; one with
    registers keeps global attention too.
    """
    config = dict(recorded)
    if '.' not in str(config.get('type', 'MIMViT')):
        config['type'] = f'mim_backbones.{config.get("type", "MIMViT")}'
    depth = depth_of(config)
    config.update(
        img_size=recipe['img_size'],
        out_indices=spread(depth, blocks),
        mask_token=False,
        drop_path_rate=recipe.get('drop_path_rate', 0.0),
        init_cfg={'type': 'Pretrained', 'checkpoint': checkpoint},
    )
    window_px = recipe.get('window_size', 0) * recipe['patch_size']
    if (
        window_px
        and config.get('rel_pos_bias', 'none') == 'none'
        and not config.get('num_registers')
    ):
        config.update(
            cls_token=False,
            window_size=window_px // config.get('patch_size', 16),
            global_blocks=spread(depth, global_count(depth)),
        )
    return config


def family_of(config: dict[str, Any]) -> str:
    """'vit', 'swin', 'hiera', or '' for a backbone of another package."""
    kind = str(config.get('type', 'MIMViT')).rpartition('.')[2]
    return {'MIMViT': 'vit', 'MIMSwin': 'swin', 'MIMHiera': 'hiera'}.get(kind, '')


def depth_of(config: dict[str, Any]) -> int:
    """Number of blocks of a MIMViT config."""
    return int(sizes(config)['depth'])


def width_of(config: dict[str, Any]) -> int:
    """Embedding width of a MIMViT config."""
    return int(sizes(config)['embed_dim'])


def sizes(config: dict[str, Any]) -> dict[str, Any]:
    """embed_dim, depth and num_heads, whether the config names an architecture or spells it out."""
    arch = config.get('arch', 'base')
    return dict(VIT[arch]) if isinstance(arch, str) else dict(arch)


def spread(depth: int, count: int) -> tuple[int, ...]:
    """`count` blocks, evenly spaced, the last included: (12, 4) -> (2, 5, 8, 11)."""
    return tuple((i + 1) * depth // count - 1 for i in range(count))


def global_count(depth: int) -> int:
    """Blocks that stay global among windowed ones: four as in ViTDet, two in shallow ViTs."""
    return 4 if depth >= 12 else 2


def architecture_name(config: dict[str, Any]) -> str:
    """For people: 'MIMViT tiny/16' or 'MIMViT 192x6/8' (width x depth / patch size)."""
    kind = str(config.get('type', 'MIMViT')).rpartition('.')[2]
    arch = config.get('arch', 'base')
    size = arch
    if not isinstance(arch, str):
        depths = arch['depths'] if 'depths' in arch else [arch['depth']]
        size = f'{arch["embed_dim"]}x{"-".join(map(str, depths))}'
    return f'{kind} {size}/{config.get("patch_size", 16)}'
