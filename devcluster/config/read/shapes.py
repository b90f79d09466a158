"""What a key's value may look like: each shape reads an item of the file and gives its JSON Schema.

Parser and schema come from the same values (``keys``), so they can't drift.  ``read`` never stops at the
first problem: it records it, with path and position, and goes on.  What it returns is used only if nothing
was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from devcluster.config.check.positions import Position, shown_key
from devcluster.config.check.problems import Invalid, Problem, nearest, one_of
from devcluster.config.read.document import Item, Mapping, Scalar
from devcluster.config.read.document import Sequence as Items
from devcluster.config.text.interpolate import Lookup, interpolate

Schema = dict[str, Any]
VARIABLE: Schema = {"type": "string", "pattern": r"\$"}
FILLED = r"[\s\S]+"
ANY_FILLED: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}
ANY_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
LATER = "not built yet"


@dataclass(frozen=True, slots=True)
class FileSurroundings:
    """What is outside the file.  ``folder``: where relative paths start; ``lookup``: a variable's value;
    ``read``: another file's text, raising OSError or UnicodeDecodeError; ``unset`` is called with a variable
    that has neither value nor default ('': its name may be a piece of a secret), and its position (in the
    file, or ``FILE:LINE:1`` in another)."""

    folder: Path
    lookup: Lookup
    read: Callable[[Path], str]
    unset: Callable[[str, Position | str], None] = lambda name, position: None


@dataclass(frozen=True, slots=True)
class Reading:
    """A position in the file while it is read.  ``problems`` is shared by all that read one file."""

    problems: list[Problem]
    around: FileSurroundings
    path: str = ""

    def into(self, name: str) -> Reading:
        shown = shown_key(name)
        return replace(self, path=f"{self.path}.{shown}" if self.path else shown)

    def at(self, index: int) -> Reading:
        return replace(self, path=f"{self.path}[{index}]")

    def apart(self) -> Reading:
        """A copy that records no problems, to read something twice."""
        return replace(self, problems=[])

    def note(self, item: Item, text: str, near: str = "", value: Item | None = None) -> None:
        """The source line shows *value* (default: *item*), unless it is under ``environment``."""
        value = value or item
        shown = value.position if isinstance(value, Scalar) and not value.secret else None
        self.problems.append(Problem(item.position, self.path, text, near, shown))

    def note_kind(self, item: Item, expected: str) -> None:
        """*item* should be a map or list.  A text in its place may be a variable that is indented wrongly, so
        it is not shown."""
        self.problems.append(Problem(item.position, self.path, f"expected {expected}, got {kind_of(item)}"))

    def text(self, item: Item, expected: str) -> str:
        """The scalar's text, variables filled in; Invalid for null, a list or a map."""
        if not isinstance(item, Scalar) or item.null:
            raise Invalid(item, f"expected {expected}, got {self.show(item)}")
        try:
            return interpolate(item.text, self.around.lookup, unset=partial(self._unset, item))
        except ValueError as error:
            raise Invalid(item, str(error)) from None

    def _unset(self, item: Scalar, name: str, braces: bool) -> None:
        self.around.unset("" if item.secret and not braces else name, item.position)

    def show(self, item: Item) -> str:
        """The item for a message: as written, so never the value of a variable."""
        if isinstance(item, Scalar) and not item.null:
            return "***" if item.secret else f'"{_escaped(item)}"'
        return kind_of(item)

    def told(self, item: Item | None, value: object) -> str:
        """*value*, which was read from *item*, for a message: as written if it came from a variable."""
        if not isinstance(item, Scalar):
            return str(value)
        if item.secret:
            return "***"
        return _escaped(item) if "$" in item.text else str(value)


def kind_of(item: Item) -> str:
    match item:
        case Mapping():
            return "a map"
        case Items():
            return "a list"
        case Scalar(null=True):
            return "nothing"
        case _:
            return "text"


def _escaped(item: Scalar) -> str:
    text = item.text if len(item.text) <= 60 else item.text[:57] + "..."
    return text.encode("unicode_escape").decode()


def spelled(pattern: str, *others: Schema) -> Schema:
    """The JSON Schema of a text that matches *pattern* (of ECMA-262) or holds a variable, or of *others*."""
    string: Schema = {"type": "string", "pattern": rf"^(?:{pattern})$|\$"}
    return {"anyOf": [string, *others]} if others else string


class Shape(Protocol):
    def read(self, item: Item, where: Reading) -> Any: ...

    def schema(self) -> Schema: ...


@dataclass(frozen=True, slots=True)
class Parsed:
    """A scalar that *parse* turns into a value; its ValueError may say what was expected.  *json*: the
    schema, which accepts at least what *parse* takes."""

    parse: Callable[[str], Any]
    expected: str
    json: Schema

    def read(self, item: Item, where: Reading) -> Any:
        try:
            return self.parse(where.text(item, self.expected))
        except Invalid as invalid:
            where.note(invalid.item, invalid.text, invalid.near)
        except (ValueError, OverflowError) as error:
            reason = str(error) if str(error).startswith("expected") else f"expected {self.expected}"
            where.note(item, f"{reason}, got {where.show(item)}")
        return None

    def schema(self) -> Schema:
        return self.json


def text(expected: str = "text", pattern: str = "") -> Parsed:
    def parse(value: str) -> str:
        if pattern and not re.fullmatch(pattern, value):
            raise ValueError
        if "\0" in value:
            raise ValueError
        return value

    if not pattern:
        return Parsed(parse, expected, ANY_SCALAR)
    # What YAML takes for a number or a flag is read as the text that was written.
    like = {"type": "integer", "minimum": 0} if re.fullmatch(pattern, "1") else None
    json = spelled(pattern, *([like] if like else []))
    return Parsed(parse, expected, ANY_FILLED if pattern == FILLED else json)


def whole(least: int, most: int) -> Parsed:
    def parse(value: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", value) or not least <= int(value) <= most:
            raise ValueError
        return int(value)

    number: Schema = {"type": "integer", "minimum": least, "maximum": most}
    digits = r"-?[0-9]{1,18}" if least < 0 else r"[0-9]{1,18}"
    return Parsed(parse, f"a number from {least} to {most}", spelled(digits, number))


_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _flag(value: str) -> bool:
    if value.lower() not in _WORDS:
        raise ValueError
    return _WORDS[value.lower()]


def any_case(*words: str) -> str:
    """A pattern for *words* in upper or lower case; ECMA-262 has no flag for that within one."""
    return "|".join("".join(f"[{it.upper()}{it}]" for it in word) for word in words)


FLAG = Parsed(_flag, "true or false", spelled(any_case(*_WORDS), {"type": "boolean"}))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words; *later*: those that are understood and refused; *also*: other spellings of a word.
    If ``off`` is a word, ``false`` means the same: YAML 1.1 reads ``off`` so, and a program that writes the
    file may write that."""

    now: tuple[str, ...]
    later: tuple[str, ...] = ()
    also: tuple[tuple[str, str], ...] = ()

    def read(self, item: Item, where: Reading) -> Any:
        words = (*self.now, *self.later)
        try:
            found = where.text(item, one_of(self.now))
        except Invalid as invalid:
            where.note(item, invalid.text)
            return None
        if _WORDS.get(found.lower()) is False and "off" in words:
            return "off"
        found = dict(self.also).get(found, found)
        if found not in words:
            where.note(item, f"expected {one_of(self.now)}, got {where.show(item)}", nearest(found, words))
        elif found in self.later:
            where.note(item, f"{where.told(item, found)} is {LATER}")
        return found

    def schema(self) -> Schema:
        now = [*self.now, *dict(self.also), *([False] if "off" in self.now else [])]
        return {"anyOf": [{"enum": now}, VARIABLE]}
