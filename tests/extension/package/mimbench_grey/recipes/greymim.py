"""GreyMIM at the size of the demo: the demo's recipe with other parts, 10 epochs of 100 steps."""
_base_ = ['{{$MIMBENCH_RECIPES:configs}}/pretrain/simmim_demo.py']
custom_imports = dict(imports=['mimbench_grey.method'])
model = dict(
    _delete_=True, type='GreyMIM', target=dict(type='GreyTarget'),
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=48, depth=2, num_heads=3),
        img_size=64, patch_size=8, mask_token=True))
train_dataloader = dict(dataset=dict(masker=dict(_delete_=True, type='StripeMasker', unit_px=16)))
