import pytest
import torch

from downstream.tracking.elimination import Elimination, EliminationSchedule, tokens_in_box


def given(rows):
    """An attention of one head: row r of `rows` is what template token r gives to all tokens."""
    table = torch.tensor(rows)[None, None]
    return lambda places: table[:, :, places]


def test_the_best_candidates_stay_in_the_order_of_their_scores():
    choose = Elimination(blocks=[1], keep=0.5).chooser(1)
    attention = given([[0.9, 0.1, 0.4, 0.2, 0.3]])  # one template token, four candidates
    assert choose(0, attention) is None
    assert choose(1, attention).tolist() == [[0, 2, 4]]


def test_a_share_of_one_asks_for_no_attention():
    def never(places):
        raise AssertionError

    assert Elimination(blocks=[1], keep=0.5).chooser(1, share=1.0)(1, never) is None
    assert Elimination(blocks=[1], keep=1).chooser(1, share=0.5)(1, never) is None


def test_each_image_asks_the_tokens_in_its_own_box():
    choose = Elimination(blocks=[0], keep=0.5, template='box').chooser(2, torch.eye(4).bool()[:1])
    rows = [[0.0] * 4 + [0.1, 0.9], [0.0] * 4 + [0.9, 0.1]] + [[0.0] * 6] * 2
    assert choose(0, given(rows)).tolist() == [[0, 1, 2, 3, 5]]


@pytest.mark.parametrize(
    ('template', 'cells', 'asked'),
    [
        ('centre', 4, [5]),
        ('centre', 3, [4]),
        ('centre-square', 4, [5, 6, 9, 10]),
        ('centre-square', 3, [4]),
        ('all', 2, [0, 1, 2, 3]),
    ],
)
def test_tokens_of_the_template(template, cells, asked):
    assert Elimination(template=template).asked(cells).tolist() == asked


def test_counts_are_known_beforehand():
    """256 -> 180 -> 126 -> 89, as published."""
    elimination, count = Elimination(), 256
    counts = [count := elimination.staying(block, count) for block in (3, 6, 9)]
    assert counts == [180, 126, 89]


def test_tokens_in_a_box():
    """By hand: 4 cells of 8 px, the middles at 4, 12, 20, 28 px."""
    box = torch.tensor([[0.25, 0.5, 0.5, 0.25]])  # x 8..24, y 16..24
    assert tokens_in_box(box, 32, 4).view(4, 4).nonzero().tolist() == [[2, 1], [2, 2]]
    thin = torch.tensor([[0.0, 0.45, 1.0, 0.02]])  # no middle of a row lies in it
    assert tokens_in_box(thin, 32, 4).view(4, 4).any(1).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        ({'keep': [0.7]}, 'one share of'),
        ({'keep': 0}, 'one share of'),
        ({'template': 'CTR_POINT'}, 'known: centre, centre-square, box, all'),
    ],
)
def test_what_it_refuses(options, says):
    with pytest.raises(ValueError, match=says):
        Elimination(**options)


def test_candidates_that_left_are_zero_to_the_head(make_model):
    model = make_model(elimination={'blocks': [0, 1], 'keep': 0.5}).eval()
    seen = []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model({'template': torch.rand(2, 3, 32, 32), 'search': torch.rand(2, 3, 64, 64)})
    assert (seen[0].abs().sum(1) > 0).flatten(1).sum(1).tolist() == [16, 16]


@pytest.mark.parametrize('options', [{'rel_pos_bias': 'per_block'}, {'rope': 'dinov3'}])
def test_a_token_keeps_its_relative_position(make_model, options):
    """A last block that drops half of its candidates changes none of those that stay."""
    backbone = {
        'type': 'mim_backbones.MIMViT',
        'arch': {'embed_dim': 32, 'depth': 3, 'num_heads': 2},
        'img_size': 64,
        'patch_size': 8,
        'cls_token': False,
        **options,
    }
    model = make_model(backbone=backbone).eval().backbone
    with torch.no_grad():
        for name, table in model.named_parameters():
            if 'bias_table' in name:
                table.normal_()
    tokens, grids = torch.randn(1, 80, 32), [(4, 4), (8, 8)]
    everything = torch.arange(79, -1, -1)[None]

    def turned_round(block, attention):
        """All stay, in the opposite order, so that every table has to be read anew."""
        return everything if block < 2 else None

    with torch.no_grad():
        found, plain = model.encode(tokens, grids, turned_round), model.encode(tokens, grids)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('iterations', [None, 3])
def test_training_follows_the_schedule(make_model, iterations):
    model = make_model(elimination={'blocks': [0], 'keep': 0.5, 'start': 2, 'warm': 2})
    runner = type('Runner', (), {'model': model, 'epoch': 0, 'iter': 0})()
    hook, shares = EliminationSchedule(iterations), []
    for step in range(4 * 3):
        runner.iter, runner.epoch = step, 0 if iterations else step // 3
        hook.before_train_iter(runner, step)
        shares.append(model.share)
    assert shares[::3] == shares[2::3] == [1.0, 1.0, pytest.approx(0.75), 0.5]
