"""The file's problems, all at once, each with its position and its line.

Rule: the source line shows no value but the wrong one, or that of a mistyped key; none under ``environment``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from devcluster.config.check.positions import Position, Span
from devcluster.config.read.document import Item
from devcluster.errors import FileError

_WIDEST = 160
_COMMENT = re.compile(r"(?<!\S)#")
_NEAR = 0.7  # of 1


@dataclass(frozen=True, slots=True)
class Problem:
    """``path``: dotted, '' for the whole file.  ``near``: what may have been meant, or ''.  ``shown``: where
    the value is that the source line may show."""

    position: Position
    path: str
    text: str
    near: str = ""
    shown: Position | None = None


@dataclass(eq=False)
class Invalid(Exception):  # noqa: N818 - never seen outside this room: it becomes a Problem
    """A value that is not what was expected; whoever knows the path makes a Problem of it."""

    item: Item
    text: str
    near: str = ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name of which *name* may be a typo; '' if it is not near to one."""
    found = get_close_matches(name.lower(), sorted(known), 1, _NEAR)
    return found[0] if found else ""


def one_of(names: Sequence[str]) -> str:
    """``replace, intercept or ingest``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def refuse(
    problems: Iterable[Problem],
    *,
    shown: str,
    lines: Sequence[str] = (),
    values: Sequence[Span] = (),
    others: Sequence[str] = (),
) -> None:
    """FileError with all *problems* in the order of the file, after *others*, which are of another file;
    returns if there are none.  *lines*: if empty, none is shown; *values*: where values are."""
    blocks = [*others, *(_block(problem, shown, lines, values) for problem in _sorted(problems))]
    if blocks:
        raise FileError("\n".join(blocks))


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda it: (it.position.line, it.position.column, it.path, it.text))


def _block(problem: Problem, shown: str, lines: Sequence[str], values: Sequence[Span]) -> str:
    line, column = problem.position.line, problem.position.column
    path = f"{problem.path}: " if problem.path else ""
    text = [f"{shown}:{line}:{column}: {path}{problem.text}"]
    if 1 <= line <= len(lines) and lines[line - 1].strip():
        hidden = [it for it in values if it.start != problem.shown]
        spans = [it.on(line, len(lines[line - 1])) for it in hidden]
        source, caret = _window(*_masked(lines[line - 1], column, spans))
        text += [f"  {source}", f"  {' ' * (caret - 1)}^"]
    if problem.near:
        text.append(f"  did you mean {problem.near}?")
    return "\n".join(text)


def _window(source: str, caret: int) -> tuple[str, int]:
    """The part of a long line around the caret.  It is masked already, so cutting reveals nothing."""
    if len(source) <= _WIDEST:
        return source, caret
    start = max(0, min(caret - 1 - _WIDEST // 2, len(source) - _WIDEST))
    before, behind = "…" * (start > 0), "…" * (start + _WIDEST < len(source))
    return f"{before}{source[start : start + _WIDEST]}{behind}", caret - start + len(before)


def _masked(source: str, column: int, spans: Sequence[tuple[int, int]]) -> tuple[str, int]:
    """The line without what is in *spans* and without comments (one may hold a former value), and
    where the caret is in it."""
    result, at, caret = "", 0, column
    for start, end in (*sorted(spans), (len(source), len(source))):
        plain = source[at:start]
        if comment := _COMMENT.search(plain):
            result += plain[: comment.start()]
            break
        if source[start:end].strip():  # a block scalar ends in the indent of the next key
            result += plain + "***"
            caret += len("***") - (end - start) if end < column else 0
            at = end
    else:
        result += source[at:]
    printable = "".join(letter if letter.isprintable() else " " for letter in result.rstrip())
    return printable, max(1, min(caret, len(printable) + 1))
