"""Tests on golden files: numbers that published code gave, read from whatever files there are.

    @pytest.mark.golden('mae_pretrain', needs=['noise', 'config.mask_ratio'], each=['pred', 'loss'])
    def test_decoder(golden, field, same): same(field, model(golden)[field], golden[field])

runs once per file `mae_pretrain*` and field of `each`. A field that a file lacks skips that check
by name, so that a file with other options or fewer fields tests what it has. `each` may be a
function of the file's content: `field` is then what it returns, one after the other.

The files are those of the folder `--golden`; without it those of $MIMBENCH_SHARED/golden, if there
is one, and of tests/golden. At the end stand the largest difference of each family and, with
`--golden` or `--strict-golden`, the files that no test checked; with the latter they are a failure.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

Same = Callable[..., None]
Each = Sequence[str] | Callable[[dict[str, Any]], Sequence[str]] | None
OWN = Path(__file__).parent / 'golden'
READ, NOTES = ('.pt', '.json'), ('.md', '.txt')
largest: dict[str, dict[float, float]] = defaultdict(dict)  # family -> tolerance -> difference
checked: set[str] = set()  # files that a test came to the end on


class Fields(dict):
    """Content of a file: a field that is not there ends the test that asks for it as skipped.

    So do its inner dicts, but for state dicts: what those lack our code has to bear.
    """

    def __init__(self, path: Path, content: dict[str, Any], inside: str = '') -> None:
        super().__init__(content)
        self.path, self.inside = path, inside

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, dict) and 'state' not in name:
            return Fields(self.path, value, f'{self.inside}{name}.')
        return value

    def __missing__(self, name: str) -> Any:
        pytest.skip(lacks(self.path, [f'{self.inside}{name}']))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--golden',
        type=Path,
        help='folder of the golden files to test on (default: $MIMBENCH_SHARED/golden and '
        'tests/golden); write --golden=FOLDER when no test is named',
    )
    parser.addoption(
        '--strict-golden',
        action='store_true',
        help='fail when no test checked one of the golden files; for a run of all of tests/parity',
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        'markers', 'golden(family, needs=(), each=None): run once per golden file of a family'
    )


# ------------------------------------------------------------------ which files, which fields


def golden_folders(chosen: Path | None) -> list[Path]:
    """The folder of `--golden` alone, or the shared one and tests/golden.

    Raises:
        UsageError: there is no such folder.
    """
    if chosen is not None:
        if not chosen.is_dir():
            raise pytest.UsageError(f'--golden {chosen}: no such folder')
        return [chosen.resolve()]
    shared = os.environ.get('MIMBENCH_SHARED')
    folders = [Path(shared) / 'golden'] if shared else []
    return [f.resolve() for f in (*folders, OWN) if f.is_dir()]


def golden_files(folders: list[Path], family: str = '') -> list[Path]:
    """Files of a family: its name, perhaps followed by a suffix; by default all there are.

    Of files with the same name the first folder's counts: the copies in tests/golden are shorter.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in folder.glob(f'{family}*'):
            if path.is_file() and path.suffix not in NOTES:
                found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


@lru_cache(maxsize=4)
def read(path: Path) -> dict[str, Any]:
    """Content of a .pt or .json file; half floats, where they were exact, as floats."""
    if path.suffix == '.json':
        return json.loads(path.read_text())
    return in_float(torch.load(path, weights_only=True))


def in_float(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.float16 else value
    if isinstance(value, dict):
        return {key: in_float(each) for key, each in value.items()}
    return [in_float(each) for each in value] if isinstance(value, list) else value


def has(content: dict[str, Any], name: str) -> bool:
    """Whether there is a field; 'finetune.logits' is the field logits of the field finetune."""
    first, _, rest = name.partition('.')
    inner = content.get(first)
    return name in content or (bool(rest) and isinstance(inner, dict) and has(inner, rest))


def lacks(path: Path, absent: list[str]) -> str:
    return f'{path.name} has no {", ".join(absent)}'


def cases_of(path: Path, needs: Sequence[str], each: Each) -> Iterator[tuple[str, list[str]]]:
    """(field, what the file lacks for it); the field is '' where the test takes none."""
    content = read(path)
    absent = [name for name in needs if not has(content, name)]
    if each is None:
        yield '', absent
    elif callable(each):
        found = each(content)
        yield from ((field, absent) for field in found)
        if not found:
            yield 'none', [*absent, each.__name__]
    else:
        for field in each:
            yield field, [*absent, *([] if has(content, field) else [field])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker('golden')
    if mark is None:
        return
    (family,), needs, each = mark.args, mark.kwargs.get('needs', ()), mark.kwargs.get('each')
    folders = golden_folders(metafunc.config.getoption('golden'))
    cases = []
    for path in golden_files(folders, family):
        if path.suffix not in READ:
            continue
        for field, absent in cases_of(path, needs, each):
            skip = [pytest.mark.skip(reason=lacks(path, absent))] if absent else []
            name = f'{path.name}-{field}' if field else path.name
            cases.append(pytest.param((family, path), field, id=name, marks=skip))
    if not cases:
        reason = f'no file {family}* in {", ".join(map(str, folders))}'
        cases = [pytest.param(None, '', id='none', marks=pytest.mark.skip(reason=reason))]
    if each is None:
        cases = [pytest.param(c.values[0], id=c.id, marks=c.marks) for c in cases]
    metafunc.parametrize('golden_file' if each is None else ('golden_file', 'field'), cases)


# ------------------------------------------------------------------ what a test works with


@pytest.fixture
def golden(request: pytest.FixtureRequest, golden_file: tuple[str, Path]) -> Fields:
    """Content of the golden file."""
    _, path = golden_file
    request.node.user_properties.append(('golden', str(path)))
    return Fields(path, read(path))


@pytest.fixture
def same(golden_file: tuple[str, Path]) -> Same:
    """same(field, found, expected, atol=1e-5, rtol=0): equal tensors (or lists of them)."""

    def compare(
        field: str, found: Any, expected: Any, atol: float = 1e-5, rtol: float = 0.0
    ) -> None:
        if isinstance(expected, list | tuple):
            assert len(found) == len(expected), field
            for i, (a, b) in enumerate(zip(found, expected, strict=True)):
                compare(f'{field}[{i}]', a, b, atol, rtol)
            return
        found = torch.as_tensor(found).detach()
        torch.testing.assert_close(
            found,
            expected,
            atol=atol,
            rtol=rtol,
            check_dtype=False,
            msg=lambda text: f'{field}: {text}',
        )
        record(golden_file[0], found, expected, atol)

    return compare


# ------------------------------------------------------------------ what stands at the end


def record(family: str, found: Tensor, expected: Tensor, atol: float) -> None:
    difference = float((found.double() - expected.double()).abs().max()) if found.numel() else 0.0
    largest[family][atol] = max(difference, largest[family].get(atol, 0.0))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == 'call' and not report.skipped:
        checked.update(path for name, path in report.user_properties if name == 'golden')


def unchecked(config: pytest.Config) -> list[Path]:
    """Golden files that no test of this run came to the end on."""
    files = golden_files(golden_folders(config.getoption('golden')))
    return [path for path in files if str(path) not in checked]


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    strict = config.getoption('strict_golden') and not hasattr(config, 'workerinput')
    if strict and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if unchecked(config) else 0


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if largest:
        terminalreporter.section('largest difference from the published values')
    for family, by_tolerance in sorted(largest.items()):
        for atol, difference in sorted(by_tolerance.items()):
            terminalreporter.line(f'{family:24} {difference:.1e}   allowed {atol:.0e}')
    if not (config.getoption('golden') or config.getoption('strict_golden')):
        return
    for path in unchecked(config):
        terminalreporter.line(f'golden file that no test checked: {path}')
