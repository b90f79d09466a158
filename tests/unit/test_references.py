"""What docstrings and docs name is there: a module, a file, a function.  A renaming leaves dead names
behind."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import devcluster

_ROOT = Path(devcluster.__file__).parent
_ROOMS = sorted(it.name for it in _ROOT.iterdir() if (it / "__init__.py").exists())
_MODULE = re.compile(rf"`(?:devcluster\.)?((?:{'|'.join(_ROOMS)})(?:\.(?!json)[a-z_A-Z]\w*)+)")
_FILE = re.compile(rf"`(?:devcluster/)?((?:{'|'.join(_ROOMS)})/[\w/]+\.py)`(?:, `(\w+)`)?")
_NAME = re.compile(r"``([a-z]+_[a-z_0-9]*)``")
_ERROR = re.compile(r"\b[A-Z][a-zA-Z]+Error\b")
_FOREIGN = {"attach_socket"}  # of docker-py
_FILES = sorted(_ROOT.rglob("*.py"))
_DOCS = sorted(path for path in (_ROOT.parent / "docs").glob("*.md"))


def prose(tree: ast.AST) -> Iterator[str]:
    """Every docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node, clean=False) or ""


@cache
def used() -> frozenset[str]:
    """Every word that code uses, not counting docstrings."""
    words: set[str] = set()
    for path in _FILES:
        text = path.read_text()
        told = set(prose(ast.parse(text)))
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.NAME, tokenize.STRING) and token.string.strip("\"'") not in told:
                words |= set(re.findall(r"\w+", token.string))
    return frozenset(words)


def is_there(dotted: str) -> bool:
    """A module of a room, or what is in one."""
    at, rest = _ROOT, dotted.split(".")
    while rest and (at / rest[0]).is_dir():
        at /= rest.pop(0)
    if not rest:
        return True
    file = at / f"{rest[0]}.py"
    return file.exists() and all(re.search(rf"\b{it}\b", file.read_text()) for it in rest[1:])


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_docstrings_name_what_is_there(path: Path) -> None:
    text = "\n".join(prose(ast.parse(path.read_text())))
    dead = [it for it in _MODULE.findall(text) if not is_there(it)]
    dead += [it for it, _ in _FILE.findall(text) if not (_ROOT / it).exists()]
    dead += [it for it in (*_NAME.findall(text), *_ERROR.findall(text)) if it not in used() | _FOREIGN]
    assert dead == []


@pytest.mark.parametrize("path", _DOCS, ids=lambda path: path.name)
def test_docs_name_what_is_there(path: Path) -> None:
    dead = [
        (file, name)
        for file, name in _FILE.findall(path.read_text())
        if not (_ROOT / file).exists() or name not in (_ROOT / file).read_text()
    ]
    assert dead == []


def test_a_dead_name_is_found() -> None:
    assert is_there("plan.handover.plan_handover")
    assert is_there("run.attach.executor")
    assert not is_there("run.host.executor")
    assert not is_there("plan.handover.plan_nothing")
    assert "plan_handover" in used()
    assert "engine_call" not in used()
