from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.synthetic.classes import OBJECT_CLASSES, STUFF_CLASSES
from downstream.synthetic.layouts.item import random_stream
from downstream.synthetic.sampler import PORTRAIT, STILL_LIFE, draw_scene
from downstream.synthetic.shapes import SHAPES, draw_shape

numbers = st.integers(0, 2**32)


@given(numbers, st.floats(0.5, 2.0))
@settings(max_examples=40, deadline=None)
def test_every_scene_keeps_to_the_rules(seed, aspect):
    scene = draw_scene(np.random.default_rng(seed), STILL_LIFE, aspect=aspect)
    families = [ground.texture.family for ground in scene.grounds]
    assert scene.grounds[0].outline is None
    assert len(set(families)) == len(families) <= 3
    assert set(families) <= set(STUFF_CLASSES)
    labelled = [thing for thing in scene.things if thing.label]
    assert STILL_LIFE.things[0] <= len(labelled) <= STILL_LIFE.things[1]
    for thing in labelled:
        _, _, texture = OBJECT_CLASSES[thing.label - 1]
        assert thing.texture.family == texture
        assert 0 <= thing.centre[0] <= aspect
        assert 0 <= thing.centre[1] <= 1
        assert STILL_LIFE.radius[0] <= thing.radius <= STILL_LIFE.radius[1]


@given(numbers, st.integers(1, len(OBJECT_CLASSES)))
@settings(max_examples=20, deadline=None)
def test_a_portrait_has_one_dominant_thing_of_the_class(seed, label):
    scene = draw_scene(np.random.default_rng(seed), PORTRAIT, dominant=label)
    large = [thing for thing in scene.things if thing.radius > PORTRAIT.radius[1]]
    assert [thing.label for thing in large] == [label]


@given(numbers, st.sampled_from(sorted(SHAPES)))
@settings(max_examples=60, deadline=None)
def test_shapes_fill_the_unit_disc(seed, family):
    outer, *holes = draw_shape(family, np.random.default_rng(seed))
    reach = np.hypot(*outer.T)
    assert np.isclose(reach.max(), 1)
    assert all(np.hypot(*hole.T).max() < 1 for hole in holes)
    assert bool(holes) == (family == 'ring')


def test_shape_and_texture_each_leave_two_classes_open():
    for part in ('shape', 'texture'):
        assert set(Counter(getattr(c, part) for c in OBJECT_CLASSES).values()) == {2}
    assert len({(c.shape, c.texture) for c in OBJECT_CLASSES}) == len(OBJECT_CLASSES)


def test_streams_differ_by_seed_split_and_index():
    draws = {
        random_stream(*key).random()
        for key in ((0, 'a', 0), (1, 'a', 0), (0, 'b', 0), (0, 'a', 1), (0, 'a', 0))
    }
    assert len(draws) == 4
