"""MAE on the features of a teacher at the size of the demo: minutes on two cores.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper. The
teacher is a ResNet-18 with random weights on images of 128 px, whose last map of 4 x 4 is
interpolated to the 8 x 8 patches: cheap, while 256 px give that grid without (256 / 32). With a
teacher of your own: model.target.teacher.random_weights=False and
model.target.teacher.checkpoint=timm:resnet50@FILE
tools/train.py configs/pretrain/img2vec_demo.py --data DATA
"""
_base_ = ['mae-lite_demo.py']

model = dict(
    loss='smooth_l1', beta=2.0,
    target=dict(
        _delete_=True,
        type='FeatureTarget', norm='layer', aligner='interpolate',
        teacher=dict(
            type='TimmTeacher', checkpoint='timm:resnet18', random_weights=True, input_size=128)))
