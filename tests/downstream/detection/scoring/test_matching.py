import numpy as np
import pytest
from faster_coco_eval import COCO as FastCOCO
from faster_coco_eval import COCOeval_faster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from downstream.detection.scoring.summary import summary
from tests.downstream.detection.worlds import (
    FIGURES,
    detect,
    enlarged,
    matched,
    oracle,
    random_box,
    random_world,
    renumbered,
    scored,
)


def assert_equal(coco, found):
    """Every figure, and those that the unit scores give."""
    ours, theirs = summary(matched(coco, found)), oracle(coco, found, FIGURES)
    defined = {name: value for name, value in theirs.items() if value >= 0}  # -100: no such object
    assert ours == pytest.approx(defined, abs=1e-9)
    observed = scored(coco, found).observed()
    assert observed == pytest.approx({name: ours[name] for name in observed}, abs=1e-9)


@pytest.mark.parametrize('seed', range(8))
def test_every_figure_equals_pycocotools(seed):
    coco, found = enlarged(*random_world(seed, images=24))
    assert_equal(coco, found)
    assert len(set(summary(matched(coco, found)).values())) > 10


@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 8),
    categories=st.integers(1, 4),
    steps=st.sampled_from([1, 2, 5, 1000]),  # different scores: with one, all detections tie
    grid=st.sampled_from([1, 4]),  # of the boxes: on a coarse one overlaps tie as well
    gap=st.integers(1, 9),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_world_equals_pycocotools(seed, images, categories, steps, grid, gap):
    coco, found = random_world(seed, images, categories, steps=steps, grid=grid)
    if not any(not each['iscrowd'] for each in coco.anns.values()):
        return  # nothing to find: pycocotools has no figure then
    assert_equal(*renumbered(coco, found, gap))


def test_equals_faster_coco_eval():
    coco, found = enlarged(*random_world(11, images=24))
    theirs = {}
    for kind, name in (('bbox', 'box'), ('segm', 'mask')):
        truth = FastCOCO(coco.dataset)
        evaluator = COCOeval_faster(truth, truth.loadRes([dict(e) for e in found[kind]]), kind)
        evaluator.run()
        theirs |= dict(zip((f'{name}_{key}' for key in FIGURES[:6]), 100 * evaluator.stats[:6]))
    ours = summary(matched(coco, found))
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


def test_more_than_100_detections_in_an_image_are_cut():
    coco, found = random_world(4, images=3)
    rng = np.random.default_rng(0)
    for _ in range(300):
        detect(found, rng, 1, 1, random_box(rng))
    assert_equal(coco, found)


def test_annotation_id_0_counts_as_any_other():
    coco, found = random_world(5)
    from_zero, _ = random_world(5, first_id=0)
    assert summary(matched(from_zero, found)) == summary(matched(coco, found))


def test_no_detection_at_all_scores_0():
    coco, _ = random_world(6)
    nothing = {'bbox': [], 'segm': []}
    assert set(summary(matched(coco, nothing)).values()) == {0}
    assert set(scored(coco, nothing).observed().values()) == {0}


def test_boxes_alone_and_a_chosen_part_of_the_images():
    coco, found = random_world(7)
    units = scored(coco, {'bbox': found['bbox']}, images=[2, 9, 5])
    assert units.metrics == ('box_mAP', 'box_mAP_50')
    assert units.names == ('2', '5', '9')
    assert units.num_gt.shape == (3, 3)


def test_an_image_that_is_not_there_is_refused():
    coco, found = random_world(0)
    with pytest.raises(ValueError, match='image 999'):
        matched(coco, {'bbox': [{**found['bbox'][0], 'image_id': 999}]}, images=[999])
