"""Named, versioned protocols: without its protocol a downstream number means nothing.

A protocol is a recipe that says so itself:

    protocol = dict(
        name='mask-rcnn-vit-smoke', version='1', task='detection', tier='smoke', family='vit',
        arch='', framework='', by_arch={'large': {'model.backbone.drop_path_rate': 0.4}})

family: 'vit', 'swin', 'hiera', or '' for any. arch: a size of the family by its name in
`mim_backbones.backbones.archs`, or '' for any. framework: of the rows of `published_results.csv`
that the recipe reproduces. by_arch: what changes with the checkpoint's size
(`backbone_config.fit_backbone`), where a recipe takes any. seconds_per_image: published time of a
training image on one GPU, for estimates. by_name: it is taken where it is named, never for its tier
alone. Whatever changes the numbers of a recipe raises its version.

A recipe that assigns no `protocol` of its own is none, even where a base of it is: two recipes
never share a name. What its own dict leaves out comes from its bases, as in any config.

The list is read from the recipes of this project and of packages that bring some:

    [project.entry-points."mimbench.protocols"]
    mine = "my_package.recipes"
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from downstream.results.result import TIERS, Protocol
from downstream.task import find_task
from mim_backbones.backbones.archs import HIERA, SWIN, VIT
from mim_backbones.console.plugins import describe, load_plugin, plugins
from mim_backbones.console.recipes import base_of, recipes_root
from mim_backbones.errors import UserError

GROUP = 'mimbench.protocols'
FAMILIES = ('vit', 'swin', 'hiera', '')
SIZES: dict[str, Collection[str]] = {'vit': VIT, 'swin': SWIN, 'hiera': HIERA}
WORDS = {f.name: f.default is MISSING for f in fields(Protocol)}  # -> whether it must be there
RULES = {'by_arch', 'seconds_per_image', 'by_name'}  # what a recipe's `protocol` may hold besides


@dataclass(frozen=True)
class Recipe:
    """A protocol, the file that defines it, and the first line of that file's docstring.

    seconds_per_image: published time of a training image on one GPU; 0 where none is.
    sizes: of the backbones it is meant for; empty where it says nothing of them.
    by_name: never taken for its tier alone.
    """

    protocol: Protocol
    path: Path
    summary: str
    seconds_per_image: float = 0.0
    sizes: tuple[str, ...] = ()
    by_name: bool = False


def recipes() -> dict[str, Recipe]:
    """Every protocol by its name, sorted.

    Raises:
        UserError: a recipe's `protocol` is not whole, two recipes have one name, or a package that
            should bring recipes is not there.
    """
    found: dict[str, Recipe] = {}
    for path in (file for folder in _folders() for file in sorted(folder.rglob('*.py'))):
        recipe = _read(path)
        if recipe is None:
            continue
        name = recipe.protocol.name
        if name in found:
            raise UserError(f'two recipes are called {name!r}: {found[name].path} and {path}')
        found[name] = recipe
    return dict(sorted(found.items()))


def find_protocol(
    task: str, tier: str, family: str = '', name: str | None = None, arch: str = ''
) -> Recipe:
    """The protocol of a task for a family and size of backbones.

    Args:
        family: of the checkpoint; '' takes any protocol.
        name: of the protocol; its tier is then its own, whatever `tier` says.
        arch: of the checkpoint; '' for sizes without a name, which no protocol of one size takes.

    Raises:
        UserError: there is none, or there are several; says which there are.
    """
    task = find_task(task).name
    ours = [recipe for recipe in recipes().values() if recipe.protocol.task == task]
    if name is not None:
        chosen = next((one for one in ours if one.protocol.name == name), None)
        if chosen is None:
            raise UserError(f'{task} has no protocol {name!r}; it has: {_names(ours)}')
        if not _takes(chosen, family, arch):
            tier = chosen.protocol.tier
            fitting = [one for one in ours if one.protocol.tier == tier]
            fitting = [one for one in fitting if _takes(one, family, arch)]
            raise UserError(
                f'protocol {name} takes {_whom(chosen.protocol.family, chosen.protocol.arch)} '
                f'backbones, this is a {_whom(family, arch)}; '
                f'of tier {tier!r} it fits: {_names(fitting)}'
            )
        return chosen
    of_tier = [one for one in ours if one.protocol.tier == tier and not one.by_name]
    if not of_tier:
        tiers = [t for t in TIERS if any(one.protocol.tier == t for one in ours)]
        raise UserError(f'{task} has no tier {tier!r}; known: {", ".join(tiers) or "none"}')
    fitting = [one for one in of_tier if _takes(one, family, arch)]
    if not fitting:
        takes = {_whom(one.protocol.family, one.protocol.arch) for one in of_tier}
        raise UserError(
            f'{task} at tier {tier!r} takes backbones of {", ".join(sorted(takes))}, '
            f'not of {_whom(family, arch)}'
        )
    own = [one for one in fitting if family and one.protocol.family == family]
    fitting = own or fitting
    if len(fitting) > 1:
        raise UserError(
            f'{task} has several protocols at tier {tier!r}: {_names(fitting)}; '
            'choose one with --protocol NAME'
        )
    return fitting[0]


def _takes(recipe: Recipe, family: str, arch: str) -> bool:
    protocol = recipe.protocol
    return not family or (protocol.family in ('', family) and protocol.arch in ('', arch))


def _whom(family: str, arch: str) -> str:
    """For people: 'vit large', 'vit', 'any'."""
    return ' '.join(filter(None, (family, arch))) or 'any'


def _names(found: list[Recipe]) -> str:
    return ', '.join(one.protocol.name for one in found) or 'none'


def _folders() -> Iterator[Path]:
    yield recipes_root() / 'downstream'
    for point in plugins(GROUP).values():
        package = load_plugin(point)
        if not hasattr(package, '__path__'):
            raise UserError(
                f'{describe(point)}: {point.value} is no package; its folder is searched'
            )
        yield from map(Path, package.__path__)


def _read(path: Path) -> Recipe | None:
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f'recipe {path} is no Python: {" ".join(str(error).split())}') from error
    if _assigned(tree, 'protocol') is None:
        return None
    said = _protocol(path, tree)
    unknown = set(said) - set(WORDS) - RULES
    missing = [word for word, needed in WORDS.items() if needed and not said.get(word)]
    if unknown or missing:
        wrong = f'unknown {sorted(unknown)}' if unknown else f'lacks {", ".join(missing)}'
        raise UserError(f'recipe {path}: protocol {wrong}; it has: {", ".join(WORDS)}')
    for word, known in (('tier', TIERS), ('family', FAMILIES)):
        if said.get(word, '') not in known:
            raise UserError(f'recipe {path}: {word} {said[word]!r}; known: {", ".join(known[:3])}')
    sizes = SIZES.get(said.get('family', ''), ())
    if said.get('arch') and said['arch'] not in sizes:
        listed = ', '.join(sizes) or 'none without a family'
        raise UserError(f'recipe {path}: arch {said["arch"]!r}; known: {listed}')
    summary = (ast.get_docstring(tree) or '').partition('\n')[0]
    protocol = Protocol(**{k: str(v) for k, v in said.items() if k in WORDS})
    named = [said['arch']] if said.get('arch') else said.get('by_arch', {})
    of = tuple(size for size in named if size in sizes)
    seconds, by_name = float(said.get('seconds_per_image', 0)), bool(said.get('by_name'))
    return Recipe(protocol, path, summary, seconds, of, by_name)


def _protocol(path: Path, tree: ast.Module) -> dict[str, Any]:
    """The file's `protocol` over that of its bases.

    Read from the text, as running every config would take seconds; one whose words are computed is
    run.
    """
    own = _assigned(tree, 'protocol')
    try:
        said = {} if own is None else _literal(own)
        named = _assigned(tree, '_base_')
        bases = [] if named is None else _literal(named)
    except ValueError:
        from mim_backbones.training.config import open_config

        return open_config(path).to_dict()['protocol']
    inherited: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        file = base_of(path, base)
        if not file.is_file():
            raise UserError(f'recipe {path}: its base {file} is not there')
        inherited |= _protocol(file, ast.parse(file.read_text(encoding='utf-8')))
    return inherited | said


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """What the last `name = ...` at the top of a file assigns."""
    found = None
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            found = node.value
    return found


def _literal(node: ast.expr) -> Any:
    """The value of a literal, `dict(...)` included. ValueError for anything that is computed."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if node.args or not all(keyword.arg for keyword in node.keywords):
            raise ValueError('computed')
        return {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    return ast.literal_eval(node)
