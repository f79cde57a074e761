"""BEiT v2's tokenizer: codebook steps, k-means, and the whole model from image to both losses."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from torch import Tensor

from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.methods.vqkd import VQKD
from pretrain.registry import MODELS
from pretrain.teachers.base import Features, Teacher
from pretrain.tokenizers import ema_codebook
from pretrain.tokenizers.clustering import spherical_kmeans
from pretrain.tokenizers.ema_codebook import EMACodebook
from pretrain.tokenizers.trained import load_tokenizer

CODEBOOK, MODEL = 'beitv2_vq_ema_kmeans', 'beitv2_vqkd'


class KnownTeacher(Teacher):
    """Says what the golden file says."""

    def __init__(self, grid, embed_dim: int, input_size: int) -> None:
        super().__init__(input_size)
        self.grid, self.embed_dim = tuple(grid), embed_dim
        self.says: Tensor | None = None

    def features(self, image: Tensor) -> Features:
        return Features(self.says)


@pytest.fixture(autouse=True, scope='module')
def _known_teacher():
    MODELS.register_module(name='KnownTeacher', module=KnownTeacher, force=True)


def rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C)."""
    return maps.permute(0, 2, 3, 1)


def statistics(state: dict) -> dict:
    """The published statistics' tensors -> the buffers they are here."""
    return {
        'codebook': state['embedding.weight'],
        'usage': state['cluster_size'],
        'started': state['embedding.initted'][0].bool(),
    }


def starting(prefix: str):
    """field(content): the fields of such names."""

    def fields(content: dict) -> list[str]:
        return [name for name in content if name.startswith(prefix)]

    fields.__name__ = f'{prefix}*'
    return fields


@pytest.mark.golden(CODEBOOK, each=starting('decay_'))
def test_codebook_steps(golden, field, same) -> None:
    name = field
    for i, step in enumerate(golden[name]['steps']):
        codes, dim = step['codebook_before'].shape
        quantize = EMACodebook(
            codes, dim, float(name.removeprefix('decay_')),
            golden['config'].get('beta', 1.0),
            kmeans_start=False,
        ).train()  # fmt: skip
        quantize.codebook.copy_(step['codebook_before'])
        quantize.usage.copy_(step['usage_before'])
        z = step['z_bchw'].clone().requires_grad_()
        found = quantize(rows(z))
        where = f'{name} step {i} '
        same(where + 'ids', found.ids.flatten(), step['ids'].flatten(), atol=0)
        same(where + 'counts', quantize.hits, step['counts'], atol=0)
        same(where + 'quantized', found.vectors, rows(step['quantized_bchw']), atol=1e-6)
        same(where + 'loss', found.loss, step['loss'], atol=1e-6)
        same(where + 'codebook', quantize.codebook, step['codebook_after'], atol=1e-6)
        same(where + 'usage', quantize.usage, step['usage_after'], atol=1e-6)
        (0.1 * found.vectors.square().sum() + found.loss).backward()
        same(where + 'grad_z', z.grad, step['grad_z'], atol=1e-6)
        dead = step['counts'] == 0
        kept = quantize.codebook[dead], step['codebook_before'][dead]
        same(where + 'dead codes', *kept, atol=2e-7)


@pytest.mark.golden(CODEBOOK, each=starting('kmeans_iter'))
def test_kmeans(golden, field, same) -> None:
    name = field
    means, counts = spherical_kmeans(
        golden['kmeans_samples'], golden['kmeans_init'], int(name.removeprefix('kmeans_iter'))
    )
    same(f'{name} means', means, golden[name]['means'], atol=1e-6)
    same(f'{name} bins', counts, golden[name]['bins'], atol=0)
    empty = golden[name]['bins'] == 0
    if name == 'kmeans_iter1':
        assert torch.equal(means[empty], golden['kmeans_init'][empty])


@pytest.mark.golden(CODEBOOK, needs=['first_train_forward_with_kmeans'])
def test_first_step_with_kmeans(golden, same, monkeypatch) -> None:
    first, config = golden['first_train_forward_with_kmeans'], golden['config']
    codes, dim = first['state_before']['embedding.weight'].shape
    decay = config.get('decay', 0.99)
    quantize = EMACodebook(
        codes, dim, decay, config.get('beta', 1.0), kmeans_iterations=config['kmeans_iters']
    )
    quantize.load_state_dict(statistics(first['state_before']), strict=False)
    monkeypatch.setattr(ema_codebook, 'choose_vectors', lambda *_: golden['kmeans_init'])
    found = quantize.train()(rows(first['z_bchw']))
    same('first ids', found.ids.flatten(), first['ids'].flatten(), atol=0)
    same('first loss', found.loss, first['loss'], atol=1e-6)
    for name, expected in statistics(first['state_after']).items():
        same(f'first {name}', getattr(quantize, name), expected, atol=1e-6)


@pytest.fixture
def model(golden) -> VQKD:
    config = golden['config']
    assert config.get('rec_loss_type', 'cosine') == 'cosine'  # the only one there is
    heads = {
        part: {key: config[part][key] for key in ('embed_dim', 'depth', 'num_heads')}
        for part in ('encoder', 'decoder')
    }
    options = {
        part: {
            'norm_eps': config[part].get('norm_eps', 1e-6),
            'mlp_ratio': config[part].get('mlp_ratio', 4.0),
            'qkv_bias': 'qv' if config[part].get('qkv_bias', True) else 'none',
        }
        for part in heads
    }
    encoder = config['encoder']
    side = encoder['img_size'] // encoder['patch_size']
    mean, std = ((0.5,) * 3,) * 2
    if config.get('process_type') == 'imagenet_norm':
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    model = VQKD(
        backbone={
            'type': 'mim_backbones.MIMViT',
            'arch': heads['encoder'],
            'img_size': encoder['img_size'],
            'patch_size': encoder['patch_size'],
            'final_norm': False,
            'fc_norm': True,
            **options['encoder'],
        },
        decoder={'arch': heads['decoder'], **options['decoder']},
        target={
            'type': 'FeatureTarget',
            'teacher': {
                'type': 'KnownTeacher',
                'grid': (side, side),
                'embed_dim': config['teacher_dim'],
            },
        },
        codebook={
            'codes': config['n_embed'],
            'dim': config['code_dim'],
            'decay': config['decay'],
            'beta': config.get('beta', 1.0),
        },
        mean=mean,
        std=std,
    )
    found = model.load_state_dict(
        {ours(name): value for name, value in golden['state_dict'].items()}, strict=False
    )
    assert all(name.startswith('quantize.embedding.') for name in found.unexpected_keys)
    assert set(found.missing_keys) == {
        'target.fingerprint', *(f'quantize.{name}' for name in ('hits', 'idle', 'steps', 'started'))
    }  # fmt: skip
    model.quantize.started.fill_(True)
    model.target.frozen.net.says = golden['teacher_target']
    return model.eval()


def ours(name: str) -> str:
    """The published names of the whole training; `own_names` knows those of the tokenizer."""
    renamed = {
        'quantize.embedding.weight': 'quantize.codebook',
        'quantize.cluster_size': 'quantize.usage',
    }
    return renamed.get(name, name.replace('encoder.', 'backbone.', 1))


FOUND = {
    'encoder_input': lambda model, image: model.normalise(image),
    'encoder_patch_tokens': lambda model, image: model.patch_tokens(image).flatten(1, 2),
    'pre_quant': lambda model, image: model.features(image).flatten(1, 2),
    'token_ids': lambda model, image: model.encode(image).flatten(1),
    'quantized': lambda model, image: model.quantize(model.features(image)).vectors,
    'decoder_output': lambda model, image: model.decode(
        model.quantize(model.features(image)).vectors
    ).flatten(1, 2),
    'quant_loss': lambda model, image: model(image, mode='loss')['loss_quant'],
    'rec_loss': lambda model, image: model(image, mode='loss')['loss_rec'],
    'loss': lambda model, image: sum(model(image, mode='loss').values()),
}
PUBLISHED = {'token_ids': lambda ids: ids.flatten(1), 'quantized': rows}  # their shape as ours


@pytest.mark.golden(MODEL, each=[*FOUND])
def test_from_image_to_losses(golden, field, same, model) -> None:
    found = FOUND[field](model, golden['image_01'])
    atol = 0 if field == 'token_ids' else 1e-6 if 'loss' in field or 'input' in field else 1e-5
    same(field, found, PUBLISHED.get(field, lambda value: value)(golden[field]), atol)


@pytest.mark.golden(MODEL, needs=['grads'])
def test_gradients(golden, same, model) -> None:
    sum(model(golden['image_01'], mode='loss').values()).backward()
    for name, expected in golden['grads'].items():
        same(f'grads {name}', model.get_parameter(ours(name)).grad, expected)


@pytest.mark.golden(MODEL, needs=['usage_buffer_after_one_eval_forward'])
def test_usage_average(golden, same, model) -> None:
    """The published model counts in eval mode too; here only a step in train mode does."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(golden['image_01'], mode='loss')
    model.encode(golden['image_01'])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.quantize.train()(model.features(golden['image_01']))
    expected = golden['usage_buffer_after_one_eval_forward']
    same('usage', model.quantize.usage, expected, atol=1e-6)


STATISTICS = {
    'teacher_input_clip': (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
    'teacher_input_dino': (IMAGENET_MEAN, IMAGENET_STD),
}


@pytest.mark.golden(MODEL, each=[*STATISTICS])
def test_what_teachers_see(golden, field, same) -> None:
    if golden['config'].get('process_type', 'default') != 'default':
        pytest.skip('the published code undoes the default whatever was done')
    image = golden['image_01']
    teacher = KnownTeacher((1, 1), 1, image.shape[-1])
    Teacher.__init__(teacher, image.shape[-1], *STATISTICS[field])
    same(field, teacher.prepare(image), golden[field])


@pytest.mark.golden(MODEL, needs=['token_ids'])
def test_the_tokenizer_is_read_from_its_file(golden, same) -> None:
    config = golden['config']
    process, eps = config.get('process_type', 'default'), config['encoder'].get('norm_eps', 1e-6)
    if process != 'default' or eps != 1e-6:
        pytest.skip('neither leaves a trace in a published file')
    state = {
        **golden['state_dict'],
        'teacher_model.visual.proj': torch.ones(2, 2),
        'scaling_layer.shift': torch.ones(1),
        'loss.weight': torch.ones(1),
    }
    tokenizer = load_tokenizer({'model': state}, {'num_heads': config['encoder']['num_heads']})
    found = tokenizer.encode(golden['image_01'])
    same('token_ids', found.flatten(1), golden['token_ids'].flatten(1), atol=0)
    assert not any(p.requires_grad for p in tokenizer.parameters())
    assert isinstance(tokenizer.backbone.norm, nn.Identity)
    assert F.normalize(tokenizer.quantize.codebook).allclose(tokenizer.quantize.codebook, atol=1e-6)
