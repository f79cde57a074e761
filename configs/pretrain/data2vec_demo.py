"""data2vec at the size of the demo: a small ViT that follows itself, minutes on two cores.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/data2vec_demo.py --data DATA
"""
_base_ = ['beitv2_demo.py']

model = dict(
    _delete_=True,
    type='Data2Vec',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=128, depth=6, num_heads=4),
        img_size=64, patch_size=8,
        pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
        mask_token=True),
    # A thousand steps: a copy as slow as the published one would stay where it starts.
    target=dict(type='EMABlocks', blocks=3, start_decay=0.99, decay=0.999, anneal_steps=500))
train_dataloader = dict(dataset=dict(masker=dict(ratio=0.6)))
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.999)))
