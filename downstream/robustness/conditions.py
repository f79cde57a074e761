"""The corruptions by name, and which of them are asked for. Light: what --help needs."""

from dataclasses import dataclass

NAMES = (
    'gaussian_noise', 'shot_noise', 'impulse_noise',
    'defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur',
    'snow', 'frost', 'fog', 'brightness',
    'contrast', 'elastic_transform', 'pixelate', 'jpeg_compression',
)  # fmt: skip
SEVERITIES = (1, 2, 3, 4, 5)
SEED = 0  # every model and every training meets the same pictures
VERSION = 1  # of what the corruptions give; scores of two versions are not compared
DRAWN = 'drawn'  # frost without photographs


@dataclass(frozen=True)
class Conditions:
    """Every one of the corruptions at every one of the severities; other test sets beside them.

    frost_pictures: folder with photographs of frost; '' draws the frost.
    frost: DRAWN, or a digest of the photographs.
    files: folder with pictures that are corrupted already, CORRUPTION/SEVERITY/CLASS/NAME; '' makes
        them.
    shifts: names of further test sets of the same classes, and where they are.
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    frost_pictures: str = ''
    frost: str = DRAWN
    files: str = ''
    shifts: tuple[tuple[str, str], ...] = ()

    def pairs(self) -> list[tuple[str, int]]:
        return [(name, severity) for name in self.corruptions for severity in self.severities]
