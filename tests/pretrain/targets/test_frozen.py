"""In what precision a frozen net answers, and what its fingerprint does not see."""

import pytest
import torch

from pretrain.targets.frozen import Frozen
from pretrain.teachers.resnet import ResNetTeacher
from tests.pretrain.small import method


@pytest.mark.parametrize(('precision', 'student', 'expected'), [
    ('same', False, torch.float32), ('same', True, torch.bfloat16),
    ('fp32', True, torch.float32), ('bf16', False, torch.bfloat16), ('bf16', True, torch.bfloat16),
])  # fmt: skip
def test_precision_is_its_own(precision, student, expected) -> None:
    """student: whether it computes in bf16 around."""
    frozen = Frozen(ResNetTeacher(random_weights=True, depth=18, input_size=32, stage=1), precision)
    image = torch.rand(1, 3, 32, 32)
    with torch.autocast('cpu', torch.bfloat16, enabled=student), frozen.asked(image) as teacher:
        found = teacher(image).patches
        assert not torch.is_grad_enabled()
    exact = frozen.net(image).patches
    assert found.dtype == expected
    assert torch.equal(found, exact) == (expected == torch.float32)
    torch.testing.assert_close(found.float(), exact, atol=0.05, rtol=0.05)
    assert torch.equal(frozen.fingerprint(), Frozen(frozen.net).fingerprint())


def test_features_in_bf16_are_normalised_in_float32() -> None:
    config = {'type': 'FeatureTarget', 'norm': 'layer', 'precision': 'bf16', 'teacher': {
        'type': 'ResNetTeacher', 'random_weights': True, 'depth': 18, 'stage': 2,
    }}  # fmt: skip
    values = method('SimMIM', target=config).target(torch.rand(2, 3, 32, 32)).values
    assert values.dtype == torch.float32 and values.shape == (2, 128, 4, 4)
    torch.testing.assert_close(values.mean(1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)


def test_no_such_precision() -> None:
    with pytest.raises(ValueError, match="precision 'fp16'; known: fp32, bf16, same"):
        Frozen(torch.nn.Linear(1, 1), 'fp16')
