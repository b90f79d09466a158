"""Shapes made of shapes: lists, pairs, commands, maps with known keys, maps with free names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from devcluster.config.check.problems import Invalid, nearest
from devcluster.config.read.document import Item, Mapping, Scalar
from devcluster.config.read.document import Sequence as Items
from devcluster.config.read.shapes import ANY_SCALAR, LATER, Reading, Schema, Shape, spelled, text

ANY = r"[\s\S]*"


@dataclass(frozen=True, slots=True)
class Many:
    """A list; *alone*: a single element may be written without the list."""

    each: Shape
    alone: bool = False
    expected: str = "a list"

    def read(self, item: Item, where: Reading) -> Any:
        if self.alone and isinstance(item, Scalar) and not item.null:
            return (self.each.read(item, where),)
        if not isinstance(item, Items):
            where.note_kind(item, self.expected)
            return ()
        return tuple(self.each.read(part, where.at(index)) for index, part in enumerate(item.items))

    def schema(self) -> Schema:
        several: Schema = {"type": "array", "items": self.each.schema()}
        one = self.each.scalar if isinstance(self.each, Either) and self.each.scalar else self.each
        return {"anyOf": [one.schema(), several]} if self.alone else several


_TEXTS = Many(text())


@dataclass(frozen=True, slots=True)
class Pairs:
    """Compose's ``NAME=value`` list, or a map; *bare*: a name may have no value (then None);
    *repeated*: it may occur several times, and have a list of values in a map; *parse*: raises ValueError for
    a wrong value; *value*: its pattern, for the schema."""

    bare: bool = False
    separators: str = "="
    repeated: bool = False
    parse: Callable[[str], str] = str
    value: str = ""

    def read(self, item: Item, where: Reading) -> Any:
        if isinstance(item, Mapping):
            pairs = [
                self._entry(key, one, where) for key, value in item.entries for one in self._values(value)
            ]
        elif isinstance(item, Items):
            pairs = [self._line(part, where.at(index)) for index, part in enumerate(item.items)]
        elif isinstance(item, Scalar) and item.null:
            pairs = []
        else:
            where.note_kind(item, "a map or a list")
            pairs = []
        found = [pair for pair in pairs if pair is not None]
        return tuple(found if self.repeated else dict(found).items())

    def _values(self, item: Item) -> Sequence[Item]:
        return item.items if self.repeated and isinstance(item, Items) else (item,)

    def _entry(self, key: Scalar, value: Item, where: Reading) -> tuple[str, str | None] | None:
        inner = where.into(key.text)
        if not key.text or "=" in key.text or "\0" in key.text:
            where.note(key, "expected a name without =")
            return None
        empty = isinstance(value, Scalar) and value.null
        if empty and self.bare:
            return key.text, None
        try:
            return key.text, self.parse("" if empty else inner.text(value, "text"))
        except Invalid as invalid:
            inner.note(value, invalid.text)
        except ValueError as error:
            inner.note(value, f"{error}, got {inner.show(value)}")
        return None

    def _line(self, item: Item, where: Reading) -> tuple[str, str | None] | None:
        try:
            line = where.text(item, "NAME=value")
        except Invalid as invalid:
            where.note(item, invalid.text)
            return None
        found = min((at for mark in self.separators if (at := line.find(mark)) >= 0), default=-1)
        if found < 0 and not self.bare and self.separators != "=":
            where.note(item, f"expected name{self.separators[0]}value, got {where.show(item)}")
            return None
        name = line if found < 0 else line[:found]
        if not name or "\0" in name:
            where.note(item, "expected NAME=value")
            return None
        if found < 0:
            return name, None if self.bare else ""
        try:
            return name, self.parse(line[found + 1 :])
        except ValueError as error:
            where.note(item, f"{error}, got {where.show(item)}")
        return None

    def schema(self) -> Schema:
        value = spelled(self.value) if self.value else {"type": ["string", "number", "boolean", "null"]}
        values = {"anyOf": [value, {"type": "array", "items": value}]} if self.repeated else value
        marks = rf"[^{self.separators}]+"
        needed = not self.bare and self.separators != "="
        line = spelled(rf"{marks}[{self.separators}](?:{self.value or ANY})" if needed else rf"{marks}{ANY}")
        table: Schema = {"type": "object", "propertyNames": {"pattern": "^[^=]+$"}}
        return {
            "anyOf": [
                table | {"additionalProperties": values},
                {
                    "type": "array",
                    "items": line if needed else {"anyOf": [line, {"type": ["number", "boolean"]}]},
                },
                {"type": "null"},
            ]
        }


@dataclass(frozen=True, slots=True)
class Words:
    """A command: a list, or a line that is split as a shell would (and not run by one).  Without a value it
    counts as not written, which undoes what ``<<`` brought."""

    def read(self, item: Item, where: Reading) -> Any:
        if isinstance(item, Scalar) and item.null:
            return None
        if isinstance(item, Items):
            return _TEXTS.read(item, where)
        try:
            return tuple(shlex.split(where.text(item, "a line or a list of words")))
        except Invalid as invalid:
            where.note(invalid.item, invalid.text)
        except ValueError as error:
            where.note(item, f"expected a line that a shell can split: {str(error).lower()}")
        return None

    def schema(self) -> Schema:
        line: Schema = {"type": ["string", "number", "boolean", "null"]}
        return {"anyOf": [line, {"type": "array", "items": ANY_SCALAR}]}


@dataclass(frozen=True, slots=True)
class Either:
    """Different shapes for a scalar, a list and a map."""

    expected: str
    scalar: Shape | None = None
    items: Shape | None = None
    mapping: Shape | None = None

    def read(self, item: Item, where: Reading) -> Any:
        shape = {Scalar: self.scalar, Items: self.items, Mapping: self.mapping}[type(item)]
        if shape is None or (isinstance(item, Scalar) and item.null):
            where.note_kind(item, self.expected)
            return None
        return shape.read(item, where)

    def schema(self) -> Schema:
        shapes = [shape for shape in (self.scalar, self.items, self.mapping) if shape is not None]
        return {"anyOf": [shape.schema() for shape in shapes]}


@dataclass(frozen=True, slots=True)
class Later:
    """A key that is understood, checked, and refused."""

    shape: Shape

    def read(self, item: Item, where: Reading) -> Any:
        self.shape.read(item, where)
        where.note(item, LATER)  # also if it is wrong: correcting it first would be for nothing
        return None

    def schema(self) -> Schema:
        return {"not": {}}


@dataclass(frozen=True, slots=True)
class Anything:
    def read(self, item: Item, where: Reading) -> Any:
        return None

    def schema(self) -> Schema:
        return {}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a map; ``says``: its meaning in one line, for the schema and for people; ``unless``: if one
    of these keys is there, its own error says what to write, so this key is not reported as missing."""

    name: str
    shape: Shape
    says: str
    needed: bool = False
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fields:
    """A map with known keys; ``x-…`` is skipped.  ``build`` makes a value of what was read.

    ``empty``: no value means no settings.  ``check`` reports what is wrong with several keys together,
    whatever else is wrong.  ``elsewhere``: keys that only another program has, and what to do about each.
    """

    keys: tuple[Key, ...]
    build: Callable[[dict[str, Any]], Any] = dict
    empty: bool = False
    check: Callable[[Mapping, Reading], None] = lambda item, where: None
    elsewhere: dict[str, str] = field(default_factory=dict)

    def read(self, item: Item, where: Reading) -> Any:
        if self.empty and isinstance(item, Scalar) and item.null:
            return self.build({})
        if not isinstance(item, Mapping):
            where.note_kind(item, "a map")
            return None
        before = len(where.problems)
        found = self._entries(item, where)
        for key in self.keys:
            if key.needed and not any(name.text in (key.name, *key.unless) for name, _ in item.entries):
                where.note(item, f"{key.name} is missing")
        self.check(item, where)
        return self.build(found) if len(where.problems) == before else None

    def _entries(self, item: Mapping, where: Reading) -> dict[str, Any]:
        known, found = {key.name: key for key in self.keys}, {}
        for name, value in item.entries:
            inner = where.into(name.text)
            if key := known.get(name.text):
                found[name.text] = key.shape.read(value, inner)
            elif name.text in self.elsewhere:
                inner.note(name, self.elsewhere[name.text])
            elif not name.text.startswith("x-"):
                near = nearest(name.text, known)
                typo = near and name.text.islower()  # else it may be a variable that is indented wrongly
                inner.note(name, "unknown key", near, value if typo else None)
        return found

    def schema(self) -> Schema:
        result: Schema = {
            "type": ["object", "null"] if self.empty else "object",
            "properties": {key.name: _described(key) for key in self.keys},
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
        }
        needed = [key.name for key in self.keys if key.needed]
        return result | {"required": needed} if needed else result


def _described(key: Key) -> Schema:
    says = f"{key.says} ({LATER})" if isinstance(key.shape, Later) else key.says
    return key.shape.schema() | {"description": says}


@dataclass(frozen=True, slots=True)
class Table:
    """A map from free names (that match *names*) to one shape; gives pairs."""

    each: Shape
    names: str = r".+"
    expected: str = "a name"
    filled: bool = False

    def read(self, item: Item, where: Reading) -> Any:
        wanted = "a map with at least one entry" if self.filled else "a map"
        if not isinstance(item, Mapping):
            where.note_kind(item, wanted)
            return ()
        named = [(name, value) for name, value in item.entries if not name.text.startswith("x-")]
        if self.filled and not named:
            where.note(item, f"expected {wanted}, got an empty map")
        result: list[tuple[str, Any]] = []
        for name, value in named:
            inner = where.into(name.text)
            if re.fullmatch(self.names, name.text):
                result.append((name.text, self.each.read(value, inner)))
            else:
                inner.note(name, f"expected {self.expected}")
        return tuple(result)

    def schema(self) -> Schema:
        result: Schema = {
            "type": "object",
            "patternProperties": {"^x-": {}, rf"^(?!x-)(?:{self.names})$": self.each.schema()},
            "additionalProperties": False,
        }
        return result | {"not": {"propertyNames": {"pattern": "^x-"}}} if self.filled else result


def many(each: Shape, *, alone: bool = False, expected: str = "a list") -> Many:
    return Many(each, alone, expected)


def flatten(parts: Sequence[Any]) -> tuple[Any, ...]:
    """Flatten elements that expand to several values, such as port ranges."""
    return tuple(each for part in parts for each in (part if isinstance(part, list) else [part]))
