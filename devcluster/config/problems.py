"""What is wrong with the file: every problem at once, each with its place and its line.

Rule: no value under ``environment`` is ever shown, not even in the source line above the caret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from devcluster.config.document import Item
from devcluster.config.masks import Mask, Place
from devcluster.errors import FileError

_WIDEST = 160
_COMMENT = re.compile(r"(?<!\S)#")
_NEAR = 0.7  # of 1


@dataclass(frozen=True, slots=True)
class Problem:
    """``path``: dotted, '' for the whole file.  ``near``: what may have been meant, or ''."""

    place: Place
    path: str
    text: str
    near: str = ""


@dataclass(eq=False)
class Invalid(Exception):  # noqa: N818 - never seen outside this room: it becomes a Problem
    """A value that is not what was expected; whoever knows the path makes a Problem of it."""

    item: Item
    text: str
    near: str = ""


def nearest(name: str, known: Iterable[str]) -> str:
    """A slip of the pen's; '' where it may be a word of its own."""
    found = get_close_matches(name.lower(), sorted(known), 1, _NEAR)
    return found[0] if found else ""


def one_of(names: Sequence[str], last: str = "or") -> str:
    """``replace, intercept or ingest``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def refuse(
    problems: Iterable[Problem],
    *,
    shown: str,
    lines: Sequence[str],
    masks: Sequence[Mask],
    others: Sequence[str] = (),
) -> None:
    """FileError with all *problems* in the order of the file, behind *others*, which are of another file;
    returns where there are none."""
    blocks = [*others, *(_block(problem, shown, lines, masks) for problem in _sorted(problems))]
    if blocks:
        raise FileError("\n".join(blocks))


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda it: (it.place.line, it.place.column, it.path, it.text))


def _block(problem: Problem, shown: str, lines: Sequence[str], masks: Sequence[Mask]) -> str:
    line, column = problem.place.line, problem.place.column
    path = f"{problem.path}: " if problem.path else ""
    text = [f"{shown}:{line}:{column}: {path}{problem.text}"]
    if 1 <= line <= len(lines) and lines[line - 1].strip():
        source, caret = _window(*_masked(lines[line - 1], line, column, masks))
        text += [f"  {source}", f"  {' ' * (caret - 1)}^"]
    if problem.near:
        text.append(f"  did you mean {problem.near}?")
    return "\n".join(text)


def _window(source: str, caret: int) -> tuple[str, int]:
    """Of a long line what stands around the caret; masked before, so that nothing is cut into view."""
    if len(source) <= _WIDEST:
        return source, caret
    start = max(0, min(caret - 1 - _WIDEST // 2, len(source) - _WIDEST))
    before, behind = "…" * (start > 0), "…" * (start + _WIDEST < len(source))
    return f"{before}{source[start : start + _WIDEST]}{behind}", caret - start + len(before)


def _spans(source: str, line: int, masks: Sequence[Mask]) -> Iterator[tuple[int, int]]:
    """What is hidden of a line: secrets, and a comment behind one, which may be its former value."""
    for mask in masks:
        if not mask.start.line <= line <= mask.end.line:
            continue
        start, end = mask.on(line, len(source)) or (mask.start.column - 1, 0)
        if line > mask.start.line and not source[start:end].strip():
            continue  # a block scalar ends at the next key, in a line that holds nothing of it
        if comment := _COMMENT.search(source, start):
            yield comment.start(), len(source)
        if end > start:
            yield start, end


def _masked(source: str, line: int, column: int, masks: Sequence[Mask]) -> tuple[str, int]:
    """The line without secrets, and where the caret stands in it."""
    spans = sorted({*_spans(source, line, masks)})
    result, at, caret = "", 0, column
    for start, end in spans:
        if end <= at:
            continue
        start = max(start, at)
        if start < column - 1:
            caret = (
                len(result) + (start - at) + 1 + (max(0, column - 1 - end) + 3 if column - 1 >= end else 0)
            )
        result += source[at:start] + "***"
        at = end
    result += source[at:]
    printable = "".join(letter if letter.isprintable() else " " for letter in result)
    return printable, max(1, min(caret, len(printable) + 1))
