"""Hard distillation: both losses by hand, the teacher untouched, and what is refused."""

import pytest
import timm
import torch
import torch.nn.functional as F

from downstream.classification.distillation import DistilledClassifier
from mim_backbones.errors import UserError

VIT = {'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 24, 'depth': 2, 'num_heads': 3},
       'img_size': 32, 'patch_size': 16, 'final_norm': False, 'fc_norm': True}  # fmt: skip
NAME = 'test_resnet'


@pytest.fixture
def teacher(tmp_path):
    """A timm classifier of random weights, and where they are kept."""
    torch.manual_seed(4)
    net = timm.create_model(NAME, pretrained=False).eval()
    torch.save(net.state_dict(), tmp_path / 'teacher.pth')
    return net, f'timm:{NAME}@{tmp_path / "teacher.pth"}'


@pytest.fixture
def model(teacher):
    torch.manual_seed(5)
    options = {'backbone': VIT, 'num_classes': 1000, 'head_std': 0.1}
    return DistilledClassifier(teacher[1], alpha=0.3, **options)


def batch() -> dict:
    inputs = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    return {'inputs': inputs, 'label': torch.tensor([3, 1, 999, 3])}


def test_losses_by_hand(model, teacher) -> None:
    model.train()
    data = batch()
    made = model.data_preprocessor(data, training=True)
    losses = model(made['inputs'], made['label'], ['a'] * 4, None, made['target'], mode='loss')
    (tokens,) = model.backbone.block_tokens(made['inputs'], (-1,))
    own = model.head(model.backbone.fc_norm(tokens[:, 1:].mean(1)))
    learnt = model.teacher_head(model.teacher_norm(tokens[:, 0]))
    said = teacher[0].pretrained_cfg
    mean, std = (torch.tensor(said[key]).view(-1, 1, 1) for key in ('mean', 'std'))
    taught = teacher[0]((data['inputs'] / 255 - mean) / std).argmax(1)
    torch.testing.assert_close(losses['loss'], 0.7 * F.cross_entropy(own, data['label']))
    torch.testing.assert_close(losses['loss_teacher'], 0.3 * F.cross_entropy(learnt, taught))


def test_the_mean_of_both_heads_is_scored(model) -> None:
    model.eval()
    inputs = torch.randn(2, 3, 32, 32)
    (tokens,) = model.backbone.block_tokens(inputs, (-1,))
    own = model.head(model.backbone.fc_norm(tokens[:, 1:].mean(1)))
    learnt = model.teacher_head(model.teacher_norm(tokens[:, 0]))
    torch.testing.assert_close(model(inputs), (own + learnt) / 2)


def test_the_teacher_is_frozen_and_not_saved(model, teacher) -> None:
    count = sum(p.numel() for p in model.parameters())
    assert count < sum(p.numel() for p in teacher[0].parameters()) + 1_000_000
    assert not any('_teacher' in key for key in model.state_dict())
    model.train()
    net = model._teacher[0]
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    made = model.data_preprocessor(batch(), training=True)
    losses = model(made['inputs'], made['label'], ['a'] * 4, None, made['target'], mode='loss')
    sum(losses.values()).backward()
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())
    for name in ('head.weight', 'teacher_head.weight', 'teacher_norm.weight'):
        assert model.get_parameter(name).grad.abs().sum() > 0


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'num_classes': 10}, 'tells 1000 classes, the data has 10'),
        ({'backbone': {**VIT, 'cls_token': False}}, 'needs a ViT with a CLS token and pool=mean'),
        ({'pool': 'cls'}, 'needs a ViT with a CLS token and pool=mean'),
    ],
)
def test_what_cannot_be_is_one_line(teacher, changes, said) -> None:
    with pytest.raises(UserError, match=said):
        DistilledClassifier(teacher[1], **{'backbone': VIT, 'num_classes': 1000, **changes})


def test_a_teacher_must_be_timms_and_fit(teacher) -> None:
    options = {'backbone': VIT, 'num_classes': 1000}
    with pytest.raises(UserError, match='give timm:NAME or timm:NAME@FILE'):
        DistilledClassifier('regnety.pth', **options)
    other = teacher[1].replace(NAME, 'test_vit')
    with pytest.raises(UserError, match='the weights do not fit timm:test_vit'):
        DistilledClassifier(other, **options)
