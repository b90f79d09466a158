"""YAML text as a tree in which every value knows its place.

``yaml.safe_load`` forgets lines, takes the last of two equal keys in silence, and turns ``off`` into
False and ``22:22`` into 1342.  So: the composer's nodes, every scalar as the text that was written; the
shapes decide what it means.  Anchors, aliases and merge keys (``<<``) work as in Compose: a key written
beside ``<<`` wins, and of several merged maps the first.

Source: https://yaml.org/spec/1.1/ and https://yaml.org/type/merge.html
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

import yaml

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_PLAIN = "tag:yaml.org,2002:"
_ALIKE = 0.75  # of 1: a key so near to `environment` was meant to be it
_SECRET_LINE = re.compile(r"^[\s\-{\[,\"']*(environment\b|x-)")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Line and column as editors count: from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Mask:
    """Text from ``start`` up to ``end`` (excluded) that is never shown."""

    start: Place
    end: Place

    def on(self, line: int, width: int) -> tuple[int, int] | None:
        """The part of *line* that is hidden, as indexes; None where none is."""
        if not self.start.line <= line <= self.end.line:
            return None
        first = self.start.column - 1 if line == self.start.line else 0
        last = self.end.column - 1 if line == self.end.line else width
        return (first, min(last, width)) if min(last, width) > first else None


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str = field(repr=False)
    null: bool
    place: Place
    end: Place


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Item, ...]
    place: Place
    end: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple[Scalar, Item], ...]
    place: Place
    end: Place


Item = Scalar | Sequence | Mapping


@dataclass(eq=False)
class Fault(Exception):  # noqa: N818 - never seen outside this room: it becomes a Problem
    """A fault of the YAML itself."""

    place: Place
    text: str


def compose(text: str) -> tuple[Item | None, tuple[Fault, ...], tuple[Mask, ...]]:
    """The tree (None for an empty document), the faults in it, and where its secrets are.

    Raises Fault where there is no tree.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return None, (), ()
        reader = _Reader()
        return reader.item(node), tuple(reader.faults), _masks(node)
    except yaml.MarkedYAMLError as error:
        raise _fault(error, text) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise Fault(Place(line, column), "a character that YAML does not allow") from None
    except RecursionError:
        raise Fault(Place(), "nested too deeply") from None


def _fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place()
    # PyYAML quotes what it found: a part of a secret, where the line holds one.
    words = re.sub(r"\s*(?:'[^']*'|\"[^\"]*\")", "", error.problem or "can't be read")
    return Fault(place, f"not YAML: {words}" + (f" ({error.context})" if _harmless(error.context) else ""))


def _harmless(context: str | None) -> bool:
    return bool(context) and "'" not in str(context) and '"' not in str(context)


def _masks(root: yaml.Node) -> tuple[Mask, ...]:
    """Every value below a key ``environment``, wherever it stands (behind an anchor, or as the second of
    two equal keys, too): so it is asked of the nodes, not of what was made of them.  Below a key that was
    meant to be this one, as well."""
    result: list[Mask] = []
    seen: set[tuple[int, bool]] = set()
    rest: list[tuple[yaml.Node, bool]] = [(root, False)]
    while rest:
        node, secret = rest.pop()
        if (id(node), secret) in seen:
            continue
        seen.add((id(node), secret))
        if isinstance(node, yaml.ScalarNode):
            if secret:
                result.append(Mask(_start(node), _end(node)))
        elif isinstance(node, yaml.SequenceNode):
            rest += [(child, secret) for child in node.value]
        else:
            for key, value in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else ""
                rest.append((value, secret or _holds_values(name, value)))
                if not isinstance(key, yaml.ScalarNode):
                    rest.append((key, secret))
    return tuple(result)


def _holds_values(key: str, value: yaml.Node) -> bool:
    """Whether variables' values stand below *key*: ``environment``, mistyped or with ``env`` in its place."""
    if key == "env":
        known = isinstance(value, yaml.MappingNode) and all(
            isinstance(it, yaml.ScalarNode) and it.value in ("include", "exclude", "export")
            for it, _ in value.value
        )
        return not known
    return difflib.SequenceMatcher(None, key.lower(), "environment").ratio() > _ALIKE


def secret_lines(text: str) -> tuple[Mask, ...]:
    """For text that is no YAML: hide the values of whatever stands, by its indent, below ``environment``."""
    masks, inside = [], -1
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip(" "))
        if inside >= 0 and (indent > inside or line.lstrip().startswith(("-", "}", "]"))):
            masks.append(Mask(Place(number, indent + 1), Place(number, len(line) + 1)))
            continue
        inside = -1
        if _SECRET_LINE.match(line) or re.search(r"[{,]\s*[\"']?(environment|x-)", line):
            inside = indent
            start = re.search(r"environment|x-", line)
            at = start.end() if start else indent
            masks.append(Mask(Place(number, at + 1), Place(number, len(line) + 1)))
    return tuple(masks)


class _Reader:
    """Turns nodes into items, once each: an alias gives the same item again."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._done: dict[int, Item] = {}
        self._open: set[int] = set()

    def item(self, node: yaml.Node) -> Item:
        if id(node) in self._done:
            return self._done[id(node)]
        if id(node) in self._open:
            raise Fault(_start(node), "an alias that stands within its own anchor")
        self._open.add(id(node))
        try:
            result = self._convert(node)
        finally:
            self._open.discard(id(node))
        self._done[id(node)] = result
        return result

    def _convert(self, node: yaml.Node) -> Item:
        if not node.tag.startswith(_PLAIN):
            self.faults.append(Fault(_start(node), "YAML tags of one's own are not supported"))
        if isinstance(node, yaml.ScalarNode):
            return Scalar(node.value, node.tag == _NULL, _start(node), _end(node))
        if isinstance(node, yaml.SequenceNode):
            return Sequence(tuple(self.item(child) for child in node.value), _start(node), _end(node))
        return Mapping(self._entries(node), _start(node), _end(node))

    def _entries(self, node: yaml.Node) -> tuple[tuple[Scalar, Item], ...]:
        own: dict[str, tuple[Scalar, Item]] = {}
        merged: dict[str, tuple[Scalar, Item]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                self._merge(value, merged)
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(Fault(_start(key), "expected a name before the colon"))
                continue
            if key.value in own:
                first = own[key.value][0].place.line
                text = f"{key.value}: written twice, first in line {first}"
                self.faults.append(Fault(_start(key), text))
                continue
            name = self.item(key)
            assert isinstance(name, Scalar)
            own[key.value] = (name, self.item(value))
        return tuple((own | {name: pair for name, pair in merged.items() if name not in own}).values())

    def _merge(self, node: yaml.Node, into: dict[str, tuple[Scalar, Item]]) -> None:
        item = self.item(node)
        for part in item.items if isinstance(item, Sequence) else (item,):
            if not isinstance(part, Mapping):
                self.faults.append(Fault(_start(node), "<< expects a map, or a list of maps"))
                continue
            for key, value in part.entries:
                into.setdefault(key.text, (key, value))


def _start(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _end(node: yaml.Node) -> Place:
    return Place(node.end_mark.line + 1, node.end_mark.column + 1)
