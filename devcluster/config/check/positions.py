"""Where the values are in the file, so that an error's source line shows only the one that is wrong.

Rule: every other value is hidden, whatever its key.  The naive way, to hide what is below ``environment:``,
shows a password as soon as its line is indented wrongly; a guess which words may be secret never ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_NAME = re.compile(r"[\w./*<-]*")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Line and column as editors count: from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Span:
    """A value's text from ``start`` up to ``end`` (excluded); ``secret``: it is under ``environment``."""

    start: Position
    end: Position
    secret: bool = False

    def on(self, line: int, width: int) -> tuple[int, int]:
        """The part of *line* in it, as indexes; (0, 0) if there is none."""
        if not self.start.line <= line <= self.end.line:
            return 0, 0
        first = self.start.column - 1 if line == self.start.line else 0
        last = self.end.column - 1 if line == self.end.line else width
        return min(first, width), min(last, width)


def start_of(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def shown_key(key: str) -> str:
    """*key* for a message.  In a flow map ``{TOKEN=x}`` and ``{TOKEN:x}`` are keys: only a name is shown."""
    name = _name(key)
    return name if name == key else f"{name}***"


def value_spans(root: yaml.Node) -> Iterator[Span]:
    """Every value, and what ``shown_key`` hides of a key."""
    seen: set[tuple[int, bool]] = set()
    rest: list[tuple[yaml.Node, bool]] = [(root, False)]
    while rest:
        node, secret = rest.pop()
        if (id(node), secret) in seen:
            continue
        seen.add((id(node), secret))
        match node:
            case yaml.ScalarNode():
                yield _span(node, secret)
            case yaml.SequenceNode():
                rest += [(child, secret) for child in node.value]
            case _:
                for key, value in node.value:
                    rest.append((value, secret or key.value == "environment"))
                    if not isinstance(key, yaml.ScalarNode):
                        rest.append((key, secret))
                    elif (name := _name(key.value)) != key.value:
                        yield _span(key, secret, len(name))


def _name(key: str) -> str:
    found = _NAME.match(key)
    return found[0] if found else ""


def _span(node: yaml.Node, secret: bool, skipped: int = 0) -> Span:
    start, end = start_of(node), node.end_mark
    return Span(Position(start.line, start.column + skipped), Position(end.line + 1, end.column + 1), secret)
