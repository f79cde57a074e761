import torch

from pretrain.methods.simmim import SimMIM


def simmim(dim: int, depth: int, heads: int, img_size: int, patch_size: int, **options) -> SimMIM:
    return SimMIM(
        backbone=dict(
            type='mim_backbones.MIMViT', arch=dict(embed_dim=dim, depth=depth, num_heads=heads),
            img_size=img_size, patch_size=patch_size, mask_token=True, **options),
        target=dict(type='PixelTarget'),
        head=dict(type='PixelShuffleHead', in_dim=dim, stride=patch_size),
    )  # fmt: skip


def test_loss_draws_nothing_and_only_the_hidden_part_counts() -> None:
    model = simmim(32, 1, 2, 32, 8).eval()
    image, mask = torch.randn(2, 3, 32, 32), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:3] = True
    assert torch.equal(model.loss(image, mask)['loss'], model.loss(image, mask)['loss'])
    pred = model.predict(image, mask)
    by_hand = (pred - image)[:, :, 8:24].abs().mean()
    torch.testing.assert_close(model.loss(image, mask)['loss'], by_hand, atol=1e-5, rtol=1e-5)


def test_equal_to_the_published_implementation(shared) -> None:
    """Features, reconstruction, loss and gradients with the official state dict, as released."""
    files = sorted((shared / 'golden').glob('simmim_vit_*.pt'))
    assert files
    for path in files:
        golden = torch.load(path, weights_only=True)
        config = golden['config']
        model = simmim(
            config['embed_dim'], config['depth'], config['num_heads'], config['img_size'],
            config['patch_size'], pos_embed='none', rel_pos_bias='shared', qkv_bias='qv',
            layer_scale=config['init_values'], norm_eps=config['norm_eps'],
        ).eval()  # fmt: skip
        names = {'encoder.': 'backbone.', 'decoder.0.': 'head.project.'}

        def ours(name: str, names: dict = names) -> str:
            old = next(prefix for prefix in names if name.startswith(prefix))
            return names[old] + name.removeprefix(old)

        state = {ours(k): v for k, v in golden['state_dict'].items() if 'position_index' not in k}
        model.load_state_dict(state)
        mask = golden['mask'].bool()
        exact = dict(atol=1e-5, rtol=0)
        features = model.backbone.forward_tokens(golden['img'], mask)
        torch.testing.assert_close(features, golden['encoder_featmap'], **exact)
        torch.testing.assert_close(
            model.predict(golden['img'], mask), golden['reconstruction'], **exact
        )
        loss = model.loss(golden['img'], mask)['loss']
        torch.testing.assert_close(loss, golden['loss'], **exact)
        loss.backward()
        for name, gradient in golden['grads'].items():
            torch.testing.assert_close(model.get_parameter(ours(name)).grad, gradient, **exact)
