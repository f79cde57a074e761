"""Brightness of a picture from the mean token, 60 steps on 64 px: what a probe of grey shows."""
_base_ = ['{{$MIMBENCH_RECIPES:configs}}/_base_/runtime.py']
protocol = dict(name='brightness-smoke', version='1', task='brightness', tier='smoke')
default_scope = 'downstream'
custom_imports = dict(imports=['mimbench_grey.parts'])
model = dict(
    type='BrightnessProbe', backbone=dict(type='mim_backbones.MIMViT', img_size=64))
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler'),
    dataset=dict(type='GreyPictures', root='data', split='train'))
test_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='GreyPictures', root='data', split='val'))
test_evaluator = dict(type='GreyError')
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=60)
log_processor = dict(by_epoch=False)
