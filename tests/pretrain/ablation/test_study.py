"""What configs/pretrain/ablation says of a study, and the names a user may get wrong."""

import pytest
from mmengine.config import Config

from mim_backbones.errors import UserError
from pretrain.ablation.row import config_text, resolved
from pretrain.ablation.study import Question, find_study, study_files


@pytest.fixture(params=sorted(study_files()))
def study(request):
    return find_study(request.param)


def test_every_row_has_one_name_and_one_place(study) -> None:
    listed = [row for axis in study.axes.values() for row in axis.rows]
    assert len(listed) == len(set(listed))
    for tier in study.tiers.values():
        at_tier = {row for axis in study.axes.values() for row in axis.at[tier.name]}
        assert set(tier.instead) <= at_tier <= set(listed)
        assert tier.recipe.is_file()


def test_a_row_changes_its_recipe(study) -> None:
    """Only the default row may be the recipe as it is."""
    for axis in study.axes.values():
        recipes = {
            row: {
                key: resolved(study.recipe, changes)[key] for key in ('model', 'train_dataloader')
            }
            for row, changes in axis.rows.items()
        }
        others = [row for row in axis.rows if row != axis.default]
        assert all(recipes[row] != recipes[axis.default] for row in others), axis.name


def test_a_file_of_a_row_is_the_recipe_with_its_changes(study, tmp_path) -> None:
    for axis in study.axes.values():
        for row, changes in axis.rows.items():
            path = tmp_path / 'row.py'
            path.write_text(config_text(study.recipe, changes))
            assert Config.fromfile(path).to_dict() == resolved(study.recipe, changes).to_dict(), row


def test_a_row_comes_after_those_that_it_needs(study) -> None:
    for axis in study.axes.values():
        waves = axis.waves(axis.with_needed(axis.rows))
        turn = {row: turn for turn, wave in enumerate(waves) for row in wave}
        assert turn.keys() == {*axis.rows}
        for row, keys in axis.after.items():
            assert all(turn[needed] < turn[row] for needed in keys.values())
            for key in keys:  # one that the row's own recipe can have
                assert resolved(study.recipe, {**axis.rows[row], key: 'x.pth'}) is not None


def question(**after: str) -> Question:
    keys = {row: {'key': needed} for row, needed in after.items()}
    return Question('axis', '', 'a', {row: {} for row in 'abcd'}, {}, {}, '', keys)


def test_rows_bring_those_they_need_and_run_in_turns() -> None:
    chain = question(b='a', d='b')
    assert chain.with_needed(['d', 'c']) == ('a', 'b', 'd', 'c')
    assert chain.with_needed(['c', 'a']) == ('c', 'a')
    assert chain.waves(('a', 'b', 'd', 'c')) == [('a', 'c'), ('b',), ('d',)]
    assert question().waves(('d', 'a')) == [('d', 'a')]


def test_published_figures_say_how_we_know_them(study) -> None:
    for axis in study.axes.values():
        for figure in axis.published.values():
            assert figure.status in ('read', 'recalled')
            assert figure.source
            assert 0 < figure.value < 100


def test_unknown_names_list_the_choices() -> None:
    study = find_study('simmim')
    with pytest.raises(UserError, match=r"^method: no 'simim'; choose from .*simmim"):
        find_study('simim')
    with pytest.raises(
        UserError, match=r"^--axis: no 'ratio'; choose from .*mask_ratio, mask_unit"
    ):
        study.axis('ratio')
    with pytest.raises(UserError, match=r'^--axis: not given; choose from mask_strategy'):
        study.axis(None)
    with pytest.raises(UserError, match=r"^--tier: no 'gold'; choose from smoke"):
        study.tier('gold')
