"""What a key's value may look like: each shape reads an item of the file, and says itself as JSON Schema.

Parser and schema come from the same values (``keys``), so they can't drift.  ``read`` never stops at the
first problem: it notes it, with path and place, and goes on beside it.  What it returns is only used where
nothing was noted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from devcluster.config.document import Item, Mapping, Scalar
from devcluster.config.document import Sequence as Items
from devcluster.config.problems import Invalid, Problem, nearest, one_of

Schema = dict[str, Any]
VARIABLE: Schema = {"type": "string", "pattern": r"\$"}
LATER = "not built yet"


@dataclass(frozen=True, slots=True)
class Reading:
    """Where we are in the file.  ``problems`` is shared by all that read one file."""

    problems: list[Problem]
    expand: Callable[[str], str]
    path: str = ""
    secret: bool = False

    def into(self, name: str) -> Reading:
        path = f"{self.path}.{name}" if self.path else name
        return Reading(self.problems, self.expand, path, self.secret or name == "environment")

    def at(self, index: int) -> Reading:
        return Reading(self.problems, self.expand, f"{self.path}[{index}]", self.secret)

    def note(self, item: Item, text: str, near: str = "") -> None:
        self.problems.append(Problem(item.place, self.path, text, near))

    def text(self, item: Item, expected: str) -> str:
        """The scalar's text, variables filled in; Invalid for null, a list or a map."""
        if not isinstance(item, Scalar) or item.null:
            raise Invalid(item, f"expected {expected}, got {self.show(item)}")
        try:
            return self.expand(item.text)
        except ValueError as error:
            raise Invalid(item, str(error)) from None

    def show(self, item: Item) -> str:
        """What stands there, for a message: as written, so never what a variable holds."""
        match item:
            case Mapping():
                return "a map"
            case Items():
                return "a list"
            case Scalar(null=True):
                return "nothing"
            case _:
                text = item.text if len(item.text) <= 60 else item.text[:57] + "..."
                return "***" if self.secret else '"' + text.encode("unicode_escape").decode() + '"'


class Shape(Protocol):
    def read(self, item: Item, where: Reading) -> Any: ...

    def schema(self) -> Schema: ...


@dataclass(frozen=True, slots=True)
class Parsed:
    """A scalar that *parse* turns into a value; its ValueError may say what was expected."""

    parse: Callable[[str], Any]
    expected: str
    json: Schema = field(default_factory=lambda: {"type": "string"})

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
        return self.json if self.json.get("type") == "string" else {"anyOf": [self.json, VARIABLE]}


def text(expected: str = "text", pattern: str = "") -> Parsed:
    def parse(value: str) -> str:
        if pattern and not re.fullmatch(pattern, value):
            raise ValueError
        if "\0" in value:
            raise ValueError
        return value

    scalar: Schema = {"type": ["string", "number", "boolean"]}
    return Parsed(
        parse, expected, {"type": "string", "pattern": rf"^(?:{pattern})$|\$"} if pattern else scalar
    )


def whole(least: int, most: int) -> Parsed:
    def parse(value: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", value) or not least <= int(value) <= most:
            raise ValueError
        return int(value)

    return Parsed(
        parse, f"a number from {least} to {most}", {"type": "integer", "minimum": least, "maximum": most}
    )


def _number(value: str) -> float:
    number = float(value)
    if not math.isfinite(number) or number <= 0 or "_" in value:
        raise ValueError
    return number


NUMBER = Parsed(_number, "a number above 0", {"type": "number", "exclusiveMinimum": 0})
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _flag(value: str) -> bool:
    if value.lower() not in _WORDS:
        raise ValueError
    return _WORDS[value.lower()]


FLAG = Parsed(_flag, "true or false", {"type": "boolean"})


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words; *later*: those that are understood and refused."""

    now: tuple[str, ...]
    later: tuple[str, ...] = ()

    def read(self, item: Item, where: Reading) -> Any:
        words = (*self.now, *self.later)
        try:
            found = where.text(item, one_of(words))
        except Invalid as invalid:
            where.note(item, invalid.text)
            return None
        if found not in words:
            where.note(item, f"expected {one_of(words)}, got {where.show(item)}", nearest(found, words))
        elif found in self.later:
            where.note(item, f"{found} is {LATER}")
        return found

    def schema(self) -> Schema:
        return {"anyOf": [{"enum": list(self.now)}, VARIABLE]}
