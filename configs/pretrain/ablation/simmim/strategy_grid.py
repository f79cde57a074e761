"""SimMIM ablation, mask strategy: three of four units, the same always. Not in the work."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(
    masker=dict(
        _delete_=True, type='GridMasker', img_size={{_base_.img_size}},
        patch_size={{_base_.patch_size}},
        unit_px={{_base_.train_dataloader.dataset.masker.unit_px}}, every=2)))
