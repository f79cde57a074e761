"""Rules that several dialects share.

MAE, DINO, MoCo v3, DeiT and timm have the same core of a ViT, and so have SimMIM, timm, MAE-Lite
and this project of a Swin.
"""

from mim_backbones.checkpoints.dialects.base import Ignored, Rule

SAME = r'\g<0>'

CLASSIFIER = Ignored('classifier or projection head')
INDEX = Ignored('index buffer')
DECODER = Ignored('decoder')

CORE: tuple[Rule, ...] = (
    (r'(cls_token|pos_embed)', SAME),
    (r'patch_embed\.proj\.(weight|bias)', SAME),
    (r'blocks\.\d+\.(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)', SAME),
    (r'norm(_pre)?\.(weight|bias)', SAME),
    (r'blocks\.\d+\.(attn\.(norm|q_norm|k_norm)|mlp\.norm)\.(weight|bias)', SAME),
)
MASK_TOKEN: tuple[Rule, ...] = ((r'mask_token', SAME),)
# BEiT, BEiT v2 and SimMIM's ViT.
BEIT: tuple[Rule, ...] = (
    (r'blocks\.\d+\.gamma_[12]', SAME),
    (r'blocks\.\d+\.attn\.[qv]_bias', SAME),
    (r'rel_pos_bias\.relative_position_bias_table', SAME),
    (r'(blocks\.\d+)\.attn\.(relative_position_bias_table)', r'\1.rel_pos_bias.\2'),
    (r'(.*\.)?relative_position_index', INDEX),
)
# timm's and DINOv2's layer scale.
LAYER_SCALE: tuple[Rule, ...] = ((r'(blocks\.\d+)\.ls([12])\.gamma', r'\1.gamma_\2'),)
HEADS: tuple[Rule, ...] = (
    (r'fc_norm\.(weight|bias)', SAME),
    (r'(head|head_dist|heads|fc|classifier|pre_logits|attn_pool)(\..*)?', CLASSIFIER),
)
MAE_DECODER: tuple[Rule, ...] = ((r'(decoder_.*|mask_token)', DECODER),)

STAGE_BLOCK = r'layers\.\d+\.blocks\.\d+\.'
SWIN: tuple[Rule, ...] = (
    (r'absolute_pos_embed|mask_token', SAME),
    (r'patch_embed\.(proj|norm)\.(weight|bias)', SAME),
    (STAGE_BLOCK + r'(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)', SAME),
    (STAGE_BLOCK + r'attn\.relative_position_bias_table', SAME),
    (r'layers\.\d+\.downsample\.(norm\.(weight|bias)|reduction\.weight)', SAME),
    (r'norm\d?\.(weight|bias)', SAME),
    (r'.*\.(relative_position_index|relative_coords_table|attn_mask)', INDEX),
    (r'head(\..*)?', CLASSIFIER),
)
# Cosine attention and a continuous bias; V2's first files call the MLP rpe_mlp.
SWIN_V2: tuple[Rule, ...] = (
    *SWIN,
    (STAGE_BLOCK + r'attn\.(logit_scale|q_bias|v_bias)', SAME),
    (rf'({STAGE_BLOCK}attn\.)(?:cpb|rpe)_mlp\.(0\.(?:weight|bias)|2\.weight)', r'\1cpb_mlp.\2'),
)
