"""A linear layer on the mean of the patch tokens, Mixup or CutMix, erasing and smoothing.

Everything here is what DeiT fine-tunes by and MAE, SimMIM and BEiT v2 took over.
"""

model = dict(
    type='downstream.ImageClassifier',
    num_classes=1000,
    pool='mean',
    head_std=2e-5,
    data_preprocessor=dict(erase=0.25, mixup=0.8, cutmix=1.0, smoothing=0.1))
