"""Teachers: what they compute, what they see, and what they say when weights are missing."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from mim_backbones import from_checkpoint
from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.teachers.backbone import BackboneTeacher, DINOTeacher
from pretrain.teachers.clip import CLIPTeacher
from pretrain.teachers.timm_model import TimmTeacher

TINY = dict(type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=1, num_heads=2))
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def openai_state(width=128, depth=2, patch=16, side=4, out=24) -> dict:
    """Random weights under OpenAI's names, half precision as theirs, with a text tower beside."""

    def draw(*shape: int) -> torch.Tensor:
        return (0.2 * torch.randn(*shape)).half()

    state = {
        'class_embedding': draw(width), 'positional_embedding': draw(1 + side * side, width),
        'conv1.weight': draw(width, 3, patch, patch) * 0.1, 'proj': draw(width, out),
    }  # fmt: skip
    for name in ('ln_pre', 'ln_post'):
        state |= {f'{name}.weight': 1 + draw(width), f'{name}.bias': draw(width)}
    for i in range(depth):
        shapes = {
            'ln_1.weight': (width,), 'ln_1.bias': (width,),
            'attn.in_proj_weight': (3 * width, width), 'attn.in_proj_bias': (3 * width,),
            'attn.out_proj.weight': (width, width), 'attn.out_proj.bias': (width,),
            'ln_2.weight': (width,), 'ln_2.bias': (width,),
            'mlp.c_fc.weight': (4 * width, width), 'mlp.c_fc.bias': (4 * width,),
            'mlp.c_proj.weight': (width, 4 * width), 'mlp.c_proj.bias': (width,),
        }  # fmt: skip
        state |= {f'transformer.resblocks.{i}.{n}': draw(*shape) for n, shape in shapes.items()}
    tower = {f'visual.{name}': value for name, value in state.items()}
    text = {'transformer.resblocks.0.ln_1.weight': draw(8), 'text_projection': draw(8, out)}
    return {**tower, **text, 'logit_scale': draw(1)}


def clip_by_definition(state: dict, image: torch.Tensor) -> torch.Tensor:
    """All patch tokens of the last layer, normed and projected, written down with torch's parts."""
    w = {k.removeprefix('visual.'): v.float() for k, v in state.items() if k.startswith('visual.')}
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    x = F.conv2d((image - mean) / std, w['conv1.weight'], stride=w['conv1.weight'].shape[-1])
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([w['class_embedding'].expand(len(x), 1, -1), x], dim=1)
    width = x.shape[-1]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (width,), w[f'{name}.weight'], w[f'{name}.bias'], 1e-5)

    x = norm(x + w['positional_embedding'], 'ln_pre')
    for i in range(2):
        block = f'transformer.resblocks.{i}.'
        attention = nn.MultiheadAttention(width, width // 64, batch_first=True)
        own = {k.removeprefix(f'{block}attn.'): v for k, v in w.items() if f'{block}attn.' in k}
        attention.load_state_dict(own)
        y = norm(x, f'{block}ln_1')
        x = x + attention(y, y, y, need_weights=False)[0]
        y = F.linear(
            norm(x, f'{block}ln_2'), w[f'{block}mlp.c_fc.weight'], w[f'{block}mlp.c_fc.bias']
        )
        y = y * torch.sigmoid(1.702 * y)
        x = x + F.linear(y, w[f'{block}mlp.c_proj.weight'], w[f'{block}mlp.c_proj.bias'])
    return norm(x[:, 1:], 'ln_post') @ w['proj']


HUGGING_FACE = {
    'transformer.resblocks.': 'encoder.layers.', 'ln_pre': 'pre_layrnorm',
    'ln_post': 'post_layernorm', 'ln_': 'layer_norm', 'c_fc': 'fc1', 'c_proj': 'fc2',
    'attn.out_proj': 'self_attn.out_proj', 'conv1.weight': 'embeddings.patch_embedding.weight',
    'class_embedding': 'embeddings.class_embedding',
    'positional_embedding': 'embeddings.position_embedding.weight',
}  # fmt: skip


def hugging_face(state: dict) -> dict:
    """The same weights as Hugging Face names them."""
    found = {}
    for key, value in state.items():
        if not key.startswith('visual.'):
            continue
        key = key.removeprefix('visual.')
        for old, new in HUGGING_FACE.items():
            key = key.replace(old, new)
        if 'in_proj_' in key:
            stem, _, kind = key.rpartition('attn.in_proj_')
            for name, part in zip('qkv', value.chunk(3), strict=True):
                found[f'vision_model.{stem}self_attn.{name}_proj.{kind}'] = part
        elif key == 'proj':
            found['visual_projection.weight'] = value.T
        else:
            found[f'vision_model.{key}'] = value
    return found


@pytest.mark.parametrize('layout', ['openai', 'hugging face', 'wrapped', 'timm'])
def test_clip_features(tmp_path, layout) -> None:
    state, image = openai_state(), torch.rand(2, 3, 64, 64)
    expected = clip_by_definition(state, image)
    file = {
        'openai': lambda: state,
        'hugging face': lambda: hugging_face(state),
        'wrapped': lambda: {'state_dict': {f'module.{k}': v for k, v in state.items()}},
        'timm': lambda: timm_names(CLIPTeacher(write(tmp_path, state, 'x.pt'), input_size=64)),
    }[layout]()
    teacher = CLIPTeacher(write(tmp_path, file, 'clip.pth'), input_size=64).eval()
    assert teacher.grid == (4, 4) and teacher.embed_dim == 24
    torch.testing.assert_close(teacher(image).patches, expected, atol=1e-4, rtol=1e-4)


def timm_names(teacher: CLIPTeacher) -> dict:
    """timm has the same names as our backbone; the projection is its classifier."""
    return {**teacher.net.state_dict(), 'head.weight': teacher.head.weight.data}


def write(folder, content, name: str) -> str:
    torch.save(content, folder / name)
    return str(folder / name)


def test_clip_at_another_size(tmp_path) -> None:
    teacher = CLIPTeacher(write(tmp_path, openai_state(), 'clip.pth'), input_size=96)
    assert teacher.grid == (6, 6)
    assert teacher(torch.rand(1, 3, 64, 64)).patches.shape == (1, 36, 24)  # resized to 96 first


def test_clip_refuses(tmp_path) -> None:
    with pytest.raises(UserError, match=r'no weights; it wants the CLIP ViT-B/16 .*ViT-B-16\.pt'):
        CLIPTeacher()
    with pytest.raises(UserError, match=r'nowhere\.pth does not exist; it wants the CLIP'):
        CLIPTeacher('nowhere.pth')
    with pytest.raises(UserError, match='both checkpoint=x and random_weights=True'):
        CLIPTeacher('x', random_weights=True)
    with pytest.raises(UserError, match='no image tower of a CLIP ViT'):
        CLIPTeacher(write(tmp_path, {'weight': torch.ones(2)}, 'a.pth'))
    broken = openai_state()
    del broken['visual.transformer.resblocks.1.ln_2.bias']
    with pytest.raises(UserError, match=r'1 parameters missing: blocks\.1\.norm2\.bias'):
        CLIPTeacher(write(tmp_path, broken, 'b.pth'))


def test_a_torchscript_archive_says_how_to_convert(tmp_path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(tmp_path / 'ViT-B-16.pt'))
    with pytest.raises(UserError, match=r'TorchScript archive.*torch\.jit\.load\(') as error:
        CLIPTeacher(str(tmp_path / 'ViT-B-16.pt'))
    assert '\n' not in str(error.value)


def test_dino_is_the_final_norms_patch_tokens(tmp_path) -> None:
    net = timm.create_model(
        'vit_tiny_patch16_224', img_size=64, depth=2, num_classes=0, weight_init='jax'
    ).eval()
    file = write(tmp_path, net.state_dict(), 'dino.pth')
    teacher = DINOTeacher(file, input_size=64, loading=dict(num_heads=3)).eval()
    image = torch.rand(2, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (image - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    expected = net.forward_features(normal)[:, 1:]
    torch.testing.assert_close(teacher(image).patches, expected, atol=2e-5, rtol=1e-4)
    with pytest.raises(UserError, match=r'DINOTeacher: no weights; .*dino_vitbase16_pretrain'):
        DINOTeacher()


@pytest.mark.parametrize('backbone', [
    dict(TINY, patch_size=16),
    dict(type='mim_backbones.MIMSwin', arch=dict(embed_dim=16, depths=(1, 1, 1, 1),
         num_heads=(1, 1, 2, 2)), window_size=2),
])  # fmt: skip
def test_any_backbone(backbone) -> None:
    teacher = BackboneTeacher(random_weights=True, backbone=backbone, input_size=64)
    features = teacher(torch.rand(2, 3, 64, 64)).patches
    rows, columns = teacher.grid
    assert features.shape == (2, rows * columns, teacher.embed_dim)


def test_a_backbone_from_its_file(tmp_path) -> None:
    net = BackboneTeacher(random_weights=True, backbone=dict(TINY, patch_size=8), input_size=32).net
    file = write(tmp_path, net.state_dict(), 'vit.pth')
    teacher = BackboneTeacher(file, input_size=32, loading=dict(num_heads=2))
    image = torch.rand(1, 3, 32, 32)
    expected = from_checkpoint(file, num_heads=2)[0].forward_tokens(teacher.prepare(image))
    assert torch.equal(teacher(image).patches, expected.flatten(2).transpose(1, 2))
    with pytest.raises(UserError, match='BackboneTeacher: no weights'):
        BackboneTeacher()
    with pytest.raises(UserError, match=r'needs model\.target\.teacher\.backbone'):
        BackboneTeacher(random_weights=True)


@pytest.mark.parametrize(('name', 'grid', 'mean'), [
    ('vit_tiny_patch16_224', (4, 4), 0.5), ('resnet10t', (2, 2), 0.485),
])  # fmt: skip
def test_any_timm_model(name, grid, mean) -> None:
    teacher = TimmTeacher(f'timm:{name}', random_weights=True, input_size=64)
    assert teacher.grid == grid
    features = teacher(torch.rand(1, 3, 64, 64)).patches
    assert features.shape == (1, grid[0] * grid[1], teacher.embed_dim)
    assert float(teacher.normalise.mean[0]) == pytest.approx(mean)  # what timm says its weights saw


def test_timm_weights_from_a_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr('huggingface_hub.try_to_load_from_cache', lambda *_: None)
    net = timm.create_model('resnet10t').eval()
    file = write(tmp_path, net.state_dict(), 'resnet.pth')
    teacher = TimmTeacher(f'timm:resnet10t@{file}', input_size=64)
    image = torch.rand(1, 3, 64, 64)
    expected = net.forward_features(teacher.prepare(image)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(teacher(image).patches, expected)
    with pytest.raises(UserError, match=r'TimmTeacher: none\.pth does not exist'):
        TimmTeacher('timm:resnet10t@none.pth')
    with pytest.raises(UserError, match=r'wants model\.safetensors of timm/resnet10t.* on Hugging'):
        TimmTeacher('timm:resnet10t')
    with pytest.raises(UserError, match="timm knows no model 'resnet11t'"):
        TimmTeacher('timm:resnet11t', random_weights=True)
    with pytest.raises(UserError, match='is no resnet14t of timm'):
        TimmTeacher(f'timm:resnet14t@{file}')
    with pytest.raises(UserError, match='give timm:NAME'):
        TimmTeacher('resnet10t')


def test_teachers_are_registered() -> None:
    for name in ('CLIPTeacher', 'DINOTeacher', 'BackboneTeacher', 'TimmTeacher'):
        assert MODELS.get(name) is not None


def dino_positions(table: torch.Tensor, side: int) -> torch.Tensor:
    """DINO's interpolate_pos_encoding, which BEiT v2's CLIP has too: the new side plus 0.1."""
    own = round((table.shape[1] - 1) ** 0.5)
    maps = table[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
    scale = (side + 0.1) / own
    new = F.interpolate(maps, scale_factor=(scale, scale), mode='bicubic')
    return torch.cat([table[:, :1], new.flatten(2).transpose(1, 2)], dim=1)


@pytest.mark.parametrize('size', [48, 96, 112])
def test_teachers_resize_positions_as_their_own_code(tmp_path, size) -> None:
    file = write(tmp_path, openai_state(), 'clip.pth')
    own, moved = CLIPTeacher(file, input_size=64), CLIPTeacher(file, input_size=size)
    expected = dino_positions(own.net.pos_embed, size // 16)
    torch.testing.assert_close(moved.net.pos_embed, expected, atol=1e-5, rtol=0)

    net = BackboneTeacher(
        random_weights=True, backbone=dict(TINY, patch_size=16), input_size=64
    ).net
    file = write(tmp_path, net.state_dict(), 'dino.pth')  # names of any plain ViT
    teacher = DINOTeacher(file, input_size=size, loading=dict(num_heads=2))
    expected = dino_positions(net.pos_embed, size // 16)
    torch.testing.assert_close(teacher.net.pos_embed, expected, atol=1e-6, rtol=0)
    plain = BackboneTeacher(file, input_size=size, loading=dict(num_heads=2))
    assert (plain.net.pos_embed - expected).abs().max() > 1e-5
