"""What MAE predicts beside pixels: losses and selectors, CLS, several decoders, the whole image."""

import pytest
import torch
import torch.nn.functional as F

from mim_backbones.training.launch import build_runner
from pretrain.losses import CLS, SELECTORS
from pretrain.methods.load import load_method
from pretrain.methods.mae import MAE
from pretrain.registry import MODELS, build
from tests.pretrain.small import (
    ARCH,
    FEATURES,
    HIERA,
    IDS,
    MAE_DECODER,
    MAE_VIT,
    TEACHER,
    recipe,
    write_blobs,
)  # fmt: skip

DEEP = {**MAE_VIT, 'arch': {**ARCH, 'depth': 4}}
EVERYTHING = {
    'type': 'MAE', 'backbone': DEEP, 'decoder': MAE_DECODER, 'target': FEATURES,
    'loss': 'cosine', 'selector': 'all+cls', 'decode_from': [0, 2, 3],
    'decode_weights': [0.25, 0.25, 0.5], 'whole_weight': 0.5,
}  # fmt: skip


def features(**options) -> MAE:
    torch.manual_seed(0)
    return MAE(**{'backbone': MAE_VIT, 'target': FEATURES, 'decoder': MAE_DECODER, **options})


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 32, 32, generator=generator)
    hidden = torch.rand(2, 16, generator=generator).argsort(1) < 10
    return image, hidden.view(2, 4, 4)


def said_of(model: MAE, image, mask):
    """Predictions (B, 1 + N, C), CLS first, put together one place after the other."""
    latent, keep, hidden = model.encoded(image, mask)
    said = torch.zeros(len(image), 17, model.target.width)
    some = model.decoder(latent, keep, hidden, with_cls=True)
    said[:, 0] = some[:, 0]
    said[:, 1:] = model.decoder.everywhere(latent, keep, hidden)
    for i in range(len(image)):  # what the quick way says of hidden places is the same
        torch.testing.assert_close(said[i, 1 + hidden[i]], some[i, 1:], atol=1e-5, rtol=1e-5)
    return said


ERRORS = {
    'smooth_l1': lambda a, b: F.smooth_l1_loss(a, b, reduction='none', beta=0.5).mean(-1),
    'cosine': lambda a, b: 2 - 2 * (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1),
    'l2': lambda a, b: (a - b).square().mean(-1),
}


@pytest.mark.parametrize('cls', ['', CLS])
@pytest.mark.parametrize('selector', SELECTORS)
@pytest.mark.parametrize('loss', ERRORS)
def test_the_loss_is_the_mean_error_of_what_is_selected(batch, loss, selector, cls) -> None:
    """Token by token, channels last: a cosine is one of channels, not of positions."""
    image, mask = batch
    options = {'beta': 0.5} if loss == 'smooth_l1' else {'shift': 2.0, 'scale': 2.0}
    model = features(loss=loss, selector=selector + cls, **options).eval()
    wanted = model.wanted(image)
    rows = torch.cat([wanted.whole[:, None], wanted.values.flatten(2).transpose(1, 2)], dim=1)
    error = ERRORS[loss](said_of(model, image, mask), rows)
    places = {'masked': mask, 'all': torch.ones_like(mask), 'visible': ~mask}[selector].flatten(1)
    counted = torch.cat([torch.full((2, 1), bool(cls)), places], dim=1)
    found = model(image, mask, mode='loss')['loss']
    torch.testing.assert_close(found, error[counted].mean(), atol=1e-6, rtol=1e-5)


def test_ids_are_predicted_at_hidden_places(batch) -> None:
    image, mask = batch
    model = features(target=IDS, loss='cross_entropy').eval()
    ids = model.wanted(image).values
    said = said_of(model, image, mask)[:, 1:]
    expected = F.cross_entropy(said[mask.flatten(1)], ids[mask])
    torch.testing.assert_close(model(image, mask, mode='loss')['loss'], expected)


def test_predictions_are_averaged_for_a_coarser_teacher() -> None:
    """Squares of 2 x 2 tokens, hidden as a whole, against one feature each."""
    coarse = {**TEACHER, 'backbone': {**TEACHER['backbone'], 'patch_size': 16}}
    target = {**FEATURES, 'aligner': 'pool', 'teacher': coarse}
    model = features(target=target, loss='smooth_l1', beta=2.0).eval()
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2, :2] = mask[1, 2:, 2:] = True
    said = said_of(model, image, mask)[:, 1:].unflatten(1, (4, 4))
    wanted = model.wanted(image).values
    assert wanted.shape == (2, 32, 2, 2)
    first = F.smooth_l1_loss(said[0, :2, :2].mean((0, 1)), wanted[0, :, 0, 0], beta=2.0)
    second = F.smooth_l1_loss(said[1, 2:, 2:].mean((0, 1)), wanted[1, :, 1, 1], beta=2.0)
    found = model(image, mask, mode='loss')['loss']
    torch.testing.assert_close(found, (first + second) / 2, atol=1e-5, rtol=1e-4)
    assert model.predict(image, mask).shape == (2, 32, 2, 2)


def test_several_decoders_add_up_by_their_weights(batch) -> None:
    image, mask = batch
    model = features(
        backbone=DEEP, loss='l2', decode_from=[0, -2, 3], decode_weights=[0.2, 0.3, 0.5]
    ).eval()
    wanted = model.wanted(image)
    keep = mask.flatten(1).int().argsort(dim=1, stable=True)
    keep, hidden = keep[:, :6], keep[:, 6:]
    blocks = model.backbone.block_tokens(model.normalise(image), (0, 2, 3), keep=keep)
    latents = (*blocks[:2], model.backbone.norm(blocks[2]))  # the last one alone is normed
    decoders = (*model.early_decoders, model.decoder)
    rows = wanted.values.flatten(2).transpose(1, 2)
    rows = torch.stack([row[place] for row, place in zip(rows, hidden, strict=True)])
    errors = [
        (decoder(latent, keep, hidden) - rows).square().mean()
        for decoder, latent in zip(decoders, latents, strict=True)
    ]
    expected = 0.2 * errors[0] + 0.3 * errors[1] + 0.5 * errors[2]
    found = model.train()(image, mask, mode='loss')['loss']
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize('cls_token', [True, False])
def test_the_whole_image_is_a_term_of_its_own(batch, cls_token: bool) -> None:
    image, mask = batch
    backbone = {**MAE_VIT, 'cls_token': cls_token}
    model = features(backbone=backbone, loss='l2', whole_weight=0.25).eval()
    latent, *_ = model.encoded(image, mask)
    seen = model.whole_head(latent[:, 0] if cls_token else latent.mean(1))
    losses = model(image, mask, mode='loss')
    expected = 0.25 * (1 - F.cosine_similarity(seen, model.wanted(image).whole)).mean()
    torch.testing.assert_close(losses['loss_whole'], expected)
    assert losses.keys() == {'loss', 'loss_whole'}


def test_hiera_predicts_features_too() -> None:
    coarse = {**TEACHER, 'backbone': {**TEACHER['backbone'], 'patch_size': 32}}
    backbone = {**HIERA, 'mask_token': False}
    model = MAE(
        backbone, {**FEATURES, 'teacher': coarse}, {**MAE_DECODER, 'pos_embed': 'learned'},
        'smooth_l1', selector='all',
    )  # fmt: skip
    mask = torch.tensor([[[True, False], [False, False]]])
    image = torch.rand(1, 3, 64, 64)
    found = model(image, mask, mode='loss')['loss']
    error = F.smooth_l1_loss(model.predict(image, mask), model.wanted(image).values)
    torch.testing.assert_close(found, error, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(('options', 'message'), [
    ({'selector': 'all+cls', 'target': {'type': 'PatchTarget'}}, r"selector='all\+cls' needs"),
    ({'selector': 'all+cls', 'backbone': {**MAE_VIT, 'cls_token': False}}, 'needs a CLS token'),
    ({'whole_weight': 0.5, 'target': {'type': 'PatchTarget'}}, 'whole_weight=0.5 wants values of'),
    ({'whole_weight': 1.5}, 'whole_weight=1.5 .* lies between 0 and 1'),
    ({'decode_from': [0, 1]}, r'decode_weights=\[1.0\] for 2 decoded blocks'),
    ({'decode_from': [0, 1], 'decode_weights': [0.5, 0.6]}, 'a sum of 1'),
    ({'decode_from': [1, 0], 'decode_weights': [0.5, 0.5]}, 'has to rise from block to block'),
    ({'decode_from': [0, 2], 'decode_weights': [0.5, 0.5]}, 'decode_from=2 of 2 blocks'),
    ({'backbone': {**HIERA, 'mask_token': False}, 'target': {'type': 'PatchTarget'},
      'decode_from': [0, 3], 'decode_weights': [0.5, 0.5]}, 'MIMHiera differ in width and grid'),
    ({'loss': 'cross_entropy'}, "loss='cross_entropy'; known: smooth_l1"),
    ({'selector': 'some'}, "selector='some'; known: masked, all, visible"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features(**{'loss': 'l2', **options})


def test_all_of_it_trains_and_loads_from_its_file(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images')
    runner = build_runner(recipe(EVERYTHING, images, tmp_path / 'run'))
    runner.train()
    path = tmp_path / 'run' / 'epoch_2.pth'
    model, record, missing = load_method(path)
    assert missing == [] and record['target']['whole']
    own = build(MODELS, EVERYTHING).eval()
    own.load_state_dict(torch.load(path, weights_only=False)['state_dict'])
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:3] = True
    assert torch.equal(model.predict(image, mask), own.predict(image, mask))
    larger = load_method(path, backbone={'img_size': 48}).model
    assert larger.early_decoders[0].pos_embed.shape == (1, 37, 16)


@pytest.mark.slow
def test_a_vit_learns_a_resnet_s_features_by_heart() -> None:
    """Img2Vec in small: 8 images, 200 steps, the masked loss falls by half at least."""
    torch.manual_seed(0)
    teacher = {'type': 'ResNetTeacher', 'random_weights': True}
    model = MAE(
        {**MAE_VIT, 'arch': 'tiny', 'img_size': 64, 'patch_size': 16},
        {'type': 'FeatureTarget', 'aligner': 'input', 'norm': 'layer', 'teacher': teacher},
        {'type': 'MAEDecoder', 'embed_dim': 192, 'depth': 2, 'num_heads': 3},
        'smooth_l1', beta=2.0,
    )  # fmt: skip
    image = F.interpolate(torch.rand(8, 3, 8, 8), (64, 64), mode='bicubic').clamp(0, 1)
    wanted = model.wanted(image)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(200):
        hidden = torch.rand(8, 16).argsort(1) < 12
        loss = model.loss(image, hidden.view(8, 4, 4), wanted)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.5 * losses[0]
