"""MAE-Lite's transfer of a ViT-Ti with 12 heads to a small set: CIFAR-100, 224 px, 50 epochs.

paper: arXiv 2205.14443 and wangsr126/MAE-Lite projects/eval_tools/finetuning_transfer_exp.py with
scripts/transfer.sh   batch 512
reported top-1: none that could be confirmed   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-ti-h12_mae-lite-pre_50e_cifar100-224.py 4 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

SGD, crop and flip, nothing else. CIFAR-10, Flowers, Pets, Cars, Aircraft and iNaturalist: the same
with their data (docs/classification.md); there the release chose rate, decay, warm-up and epochs by
set and does not say them, so that they are options: optim_wrapper.optimizer.lr,
optim_wrapper.paramwise_cfg.layer_decay, param_scheduler.0.warmup; train_cfg.max_epochs with
param_scheduler.0.end.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['classifier_vit-ti-h12_mae-lite-pre_300e_in1k-224.py']
protocol = dict(name='classifier-vit-ti-h12-mae-lite-transfer', framework='')

data_root = 'data/cifar-100-python'
model = dict(num_classes=100, data_preprocessor=dict(mixup=0.0))
train_dataloader = dict(
    dataset=dict(root=data_root, layout='cifar', view=dict(rand_augment='')))
val_dataloader = dict(dataset=dict(root=data_root, layout='cifar'))
test_dataloader = val_dataloader

epochs = 50
auto_scale_lr = dict(base_batch_size=512)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(layer_decay=0.75),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=10, min_ratio=1e-6 / 0.1, end=epochs)]
train_cfg = dict(max_epochs=epochs, val_interval=10)
