"""Rules that the Swin dialects with the official names share: SimMIM, timm, MAE-Lite, ours."""

from mim_backbones.checkpoints.dialects.base import Rule
from mim_backbones.checkpoints.dialects.vit_rules import CLASSIFIER, INDEX, SAME

BLOCK = r'layers\.\d+\.blocks\.\d+\.'

CORE: tuple[Rule, ...] = (
    (r'absolute_pos_embed|mask_token', SAME),
    (r'patch_embed\.(proj|norm)\.(weight|bias)', SAME),
    (BLOCK + r'(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)', SAME),
    (BLOCK + r'attn\.relative_position_bias_table', SAME),
    (r'norm\d?\.(weight|bias)', SAME),
    (r'.*\.(relative_position_index|relative_coords_table|attn_mask)', INDEX),
    (r'head(\..*)?', CLASSIFIER),
)
MERGING: tuple[Rule, ...] = (
    (r'layers\.\d+\.downsample\.(norm\.(weight|bias)|reduction\.weight)', SAME),
)
# V2: cosine attention and a continuous bias; its first files call the MLP rpe_mlp.
V2: tuple[Rule, ...] = (
    (BLOCK + r'attn\.(logit_scale|q_bias|v_bias)', SAME),
    (rf'({BLOCK}attn\.)(?:cpb|rpe)_mlp\.(0\.(?:weight|bias)|2\.weight)', r'\1cpb_mlp.\2'),
)
