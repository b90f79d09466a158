"""No behaviour hangs on the wording of another program's message: words change from release to release.

Looked for is what such code looks like: a text that is searched in what an exception says.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import devcluster

_SAID = {"message", "explanation", "strerror", "stderr"}
_SEARCHES = {"startswith", "endswith", "find", "index", "count", "search", "match", "fullmatch", "findall"}


def searched(tree: ast.AST) -> Iterator[int]:
    """The lines where it is."""
    caught = {it.name for it in ast.walk(tree) if isinstance(it, ast.ExceptHandler)}
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() | ast.Eq()], comparators=[right]):
                places = [left, right]
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=args) if name in _SEARCHES:
                places = [value, *args]
            case _:
                continue
        if any(_is_said(it, caught) for it in places):
            yield node.lineno


def _is_said(node: ast.expr, caught: set[str | None]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]):
            return name in caught
        case ast.Call(func=ast.Attribute(value=value, attr="lower" | "casefold" | "strip" | "decode")):
            return _is_said(value, caught)
        case ast.Attribute(attr=name):
            return name in _SAID
    return False


@pytest.mark.parametrize(
    "line",
    [
        "'taken' in error.explanation",
        "'taken' not in str(error)",
        "'taken' in str(error).lower()",
        "error.message.startswith('no such')",
        "re.search('no such', error.message)",
        "done.stderr.decode() == 'no such'",
    ],
)
def test_it_is_seen(line: str) -> None:
    assert list(searched(ast.parse(f"try: pass\nexcept OSError as error: {line}"))) == [2]


def test_nobody_does_it() -> None:
    root = Path(devcluster.__file__).parent
    found = {
        f"{file.relative_to(root)}:{line}"
        for room in ("edge", "run", "cli")  # config hears only its own words
        for file in (root / room).rglob("*.py")
        for line in searched(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == set()
