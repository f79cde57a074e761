"""BEiT v2's tokenizer: codebook steps, k-means, and the whole model from image to both losses."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from torch import Tensor

from pretrain.images.preprocessor import IMAGENET_MEAN, IMAGENET_STD
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


@pytest.mark.golden(CODEBOOK)
def test_codebook_steps(golden, same) -> None:
    for name in [name for name in golden if name.startswith('decay_')]:
        for i, step in enumerate(golden[name]['steps']):
            codes, dim = step['codebook_before'].shape
            quantize = EMACodebook(
                codes, dim, float(name.removeprefix('decay_')), golden['config']['beta'],
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


@pytest.mark.golden(CODEBOOK)
def test_kmeans(golden, same) -> None:
    for name in [name for name in golden if name.startswith('kmeans_iter')]:
        means, counts = spherical_kmeans(
            golden['kmeans_samples'], golden['kmeans_init'], int(name.removeprefix('kmeans_iter'))
        )
        same(f'{name} means', means, golden[name]['means'], atol=1e-6)
        same(f'{name} bins', counts, golden[name]['bins'], atol=0)
        empty = golden[name]['bins'] == 0
        if name == 'kmeans_iter1':
            assert torch.equal(means[empty], golden['kmeans_init'][empty])


@pytest.mark.golden(CODEBOOK)
def test_first_step_with_kmeans(golden, same, monkeypatch) -> None:
    first, config = golden['first_train_forward_with_kmeans'], golden['config']
    codes, dim = first['state_before']['embedding.weight'].shape
    decay = config.get('decay', 0.99)
    quantize = EMACodebook(
        codes, dim, decay, config['beta'], kmeans_iterations=config['kmeans_iters']
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
    assert config['rec_loss_type'] == 'cosine'
    heads = {
        part: {key: config[part][key] for key in ('embed_dim', 'depth', 'num_heads')}
        for part in ('encoder', 'decoder')
    }
    options = {
        part: {
            'norm_eps': config[part]['norm_eps'],
            'mlp_ratio': config[part]['mlp_ratio'],
            'qkv_bias': 'qv' if config[part]['qkv_bias'] else 'none',
        }
        for part in heads
    }
    encoder = config['encoder']
    side = encoder['img_size'] // encoder['patch_size']
    mean, std = ((0.5,) * 3,) * 2
    if config['process_type'] == 'imagenet_norm':
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
            'beta': config['beta'],
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


@pytest.mark.golden(MODEL, needs=['pre_quant'])
def test_from_image_to_losses(golden, same, model) -> None:
    image = golden['image_01']
    same('encoder_input', model.normalise(image), golden['encoder_input'], atol=1e-6)
    same(
        'encoder_patch_tokens',
        model.patch_tokens(image).flatten(1, 2),
        golden['encoder_patch_tokens'],
    )
    same('pre_quant', model.features(image).flatten(1, 2), golden['pre_quant'])
    ids = model.encode(image)
    same('token_ids', ids.flatten(1), golden['token_ids'].flatten(1), atol=0)
    code = model.quantize(model.features(image))
    same('quantized', code.vectors, rows(golden['quantized']))
    same('decoder_output', model.decode(code.vectors).flatten(1, 2), golden['decoder_output'])
    losses = model(image, mode='loss')
    same('quant_loss', losses['loss_quant'], golden['quant_loss'], atol=1e-6)
    same('rec_loss', losses['loss_rec'], golden['rec_loss'], atol=1e-6)
    same('loss', losses['loss_quant'] + losses['loss_rec'], golden['loss'], atol=1e-6)


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


@pytest.mark.golden(MODEL, needs=['teacher_input_clip'])
def test_what_teachers_see(golden, same) -> None:
    if golden['config']['process_type'] != 'default':
        return  # the published code undoes the default whatever was done
    image = golden['image_01']
    imagenet = (IMAGENET_MEAN, IMAGENET_STD)
    for name, statistics in (('clip', (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)), ('dino', imagenet)):
        teacher = KnownTeacher((1, 1), 1, image.shape[-1])
        Teacher.__init__(teacher, image.shape[-1], *statistics)
        same(f'teacher_input_{name}', teacher.prepare(image), golden[f'teacher_input_{name}'])


@pytest.mark.golden(MODEL, needs=['token_ids'])
def test_the_tokenizer_is_read_from_its_file(golden, same) -> None:
    config = golden['config']
    if config['process_type'] != 'default' or config['encoder']['norm_eps'] != 1e-6:
        return  # neither leaves a trace in a published file
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
