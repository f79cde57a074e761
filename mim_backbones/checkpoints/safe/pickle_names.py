"""Which globals a pickled file asks for, read from its opcodes; nothing is run."""

import pickletools
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

STRINGS = {'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8', 'UNICODE', 'STRING', 'BINSTRING'}
PUTS = {'PUT', 'BINPUT', 'LONG_BINPUT'}
# Old files have their tensors behind the pickles; these are far shorter.
BEFORE_TENSORS = 256 * 2**20
GETS = {'GET', 'BINGET', 'LONG_BINGET'}


def names_asked_for(path: Path) -> list[str]:
    """'module.name' of every global, in order; what comes before damage where there is some."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inner = [name for name in archive.namelist() if name.endswith('data.pkl')]
                return globals_of(archive.read(inner[0])) if inner else []
        with path.open('rb') as file:
            return globals_of(file.read(BEFORE_TENSORS))
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, LookupError,
            RuntimeError, ValueError):  # fmt: skip
        return []  # a damaged archive


def globals_of(data: bytes) -> list[str]:
    """Globals of the pickles that stand one after the other at the start of `data`."""
    found: list[str] = []
    while data:
        end = first_pickle(data, found)
        if not end:
            break
        data = data[end:]
    return found


def first_pickle(data: bytes, found: list[str]) -> int:
    """Adds the globals of the first pickle; its length, 0 when it is none (tensors, damage)."""
    texts = ['']  # strings in the order they reached the stack
    memo: dict[Any, str] = {}
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(data):
            end = (position or 0) + 1
            if opcode.name in ('GLOBAL', 'INST'):
                found.append(str(argument).replace(' ', '.', 1))
            elif opcode.name == 'STACK_GLOBAL':
                found.append('.'.join(texts[-2:]))
            elif opcode.name in STRINGS:
                texts.append(str(argument))
            elif opcode.name in PUTS:
                memo[argument] = texts[-1]
            elif opcode.name == 'MEMOIZE':
                memo[len(memo)] = texts[-1]
            elif opcode.name in GETS:
                texts.append(memo.get(argument, ''))
    except (ValueError, IndexError, KeyError, UnicodeError, OverflowError):
        return 0
    return end
