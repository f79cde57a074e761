"""What there is in the synthetic world: object classes, kinds of ground, and their label numbers.

An object class is a shape family AND a texture family. The eight classes walk round a cycle of
four shapes and four textures, so every shape and every texture belongs to exactly two classes:
knowing only one of the two leaves a coin toss. Colour is a loose habit of the
texture: it never tells the two classes of a texture apart.
"""

from typing import NamedTuple

# Part of the stamp in a written world: raise it whenever the same seed gives other pictures.
WORLD_VERSION = 2


class ObjectClass(NamedTuple):
    name: str
    shape: str
    texture: str


OBJECT_CLASSES = (
    ObjectClass('striped_star', 'star', 'striped'),
    ObjectClass('striped_ring', 'ring', 'striped'),
    ObjectClass('checked_ring', 'ring', 'checked'),
    ObjectClass('checked_crescent', 'crescent', 'checked'),
    ObjectClass('dotted_crescent', 'crescent', 'dotted'),
    ObjectClass('dotted_flower', 'flower', 'dotted'),
    ObjectClass('marbled_flower', 'flower', 'marbled'),
    ObjectClass('marbled_star', 'star', 'marbled'),
)

# Ground textures: the stuff classes of the segmentation layout.
STUFF_CLASSES = ('sand', 'grass', 'water', 'stone', 'brick', 'cloud')

OBJECT_TEXTURES = tuple(dict.fromkeys(c.texture for c in OBJECT_CLASSES))

# Label 0: clutter, which hides things and belongs to no class (unlabelled in every layout).
CLUTTER = 0
CLUTTER_SHAPES = ('bar', 'slab')

SEGMENTATION_CLASSES = (*(c.name for c in OBJECT_CLASSES), *STUFF_CLASSES)


def object_label(index: int) -> int:
    """Index into OBJECT_CLASSES -> label 1..8, as COCO category id and in the label pictures."""
    return index + 1


def stuff_label(family: str) -> int:
    """Name of a ground texture -> its label in the label pictures, after the objects'."""
    return len(OBJECT_CLASSES) + 1 + STUFF_CLASSES.index(family)


def wnid(label: int) -> str:
    """Object label -> folder name of the ImageNet layout. No real synset begins with n99."""
    return f'n99{label:06d}'
