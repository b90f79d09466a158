"""YAML text as a tree in which every value knows its position, and whether it is under ``environment``.

``yaml.safe_load`` forgets lines, silently takes the last of two equal keys, and turns ``off`` into False and
``22:22`` into 1342.  So we take the composer's nodes, with every scalar as the text that was written; the
shapes decide what it means.  Anchors, aliases and merge keys (``<<``) work as in Compose: a key written
beside ``<<`` wins, and the first of several merged maps.

Source: https://yaml.org/spec/1.1/ and https://yaml.org/type/merge.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from devcluster.config.check.positions import Position, Span, shown_key, start_of, value_spans

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_PLAIN = "tag:yaml.org,2002:"
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # where YAML 1.1 ends a line
_TOKEN = re.compile(r"[,:?}\]-]|\\t|<[a-z ]+>")


@dataclass(frozen=True, slots=True)
class Scalar:
    """``secret``: it is under ``environment``."""

    text: str = field(repr=False)
    null: bool
    position: Position
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Item, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple[Scalar, Item], ...]
    position: Position


Item = Scalar | Sequence | Mapping


def value_of(item: Item, name: str) -> Item | None:
    """The value of *name* in a map."""
    entries = item.entries if isinstance(item, Mapping) else ()
    return next((value for key, value in entries if key.text == name), None)


@dataclass(eq=False)
class Fault(Exception):  # noqa: N818 - never seen outside this room: it becomes a Problem
    """A fault of the YAML itself."""

    position: Position
    text: str
    path: str = ""


def split_lines(text: str) -> list[str]:
    """The lines as the composer counts them, so that a position refers to the right one."""
    return _BREAK.split(text)


def compose(text: str) -> tuple[Item | None, tuple[Fault, ...], tuple[Span, ...]]:
    """The tree (None for an empty document), the faults in it, and where its values are.

    Raises Fault if there is no tree.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return None, (), ()
        values = tuple(value_spans(node))
        reader = _Reader(frozenset(value.start for value in values if value.secret))
        return reader.item(node), tuple(reader.faults), values
    except yaml.MarkedYAMLError as error:
        raise _fault(error) from None
    except yaml.reader.ReaderError as error:
        before = split_lines(text[: error.position])
        position = Position(len(before), len(before[-1]) + 1)
        raise Fault(position, "a character that YAML does not allow") from None
    except RecursionError:
        raise Fault(Position(), "nested too deeply") from None


def _fault(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    position = Position(mark.line + 1, mark.column + 1) if mark else Position()
    words = re.sub(r"\s*(?:'[^']*'|\"[^\"]*\")", _harmless_token, error.problem or "can't be read")
    if "\\t" in words:
        return Fault(position, "not YAML: a tab where spaces are expected")
    return Fault(position, f"not YAML: {words}" + (f" ({error.context})" if _harmless(error.context) else ""))


def _harmless_token(found: re.Match[str]) -> str:
    """PyYAML quotes what it found, and that may be a part of a secret."""
    return found[0] if _TOKEN.fullmatch(found[0].strip()[1:-1]) else ""


def _harmless(context: str | None) -> bool:
    return bool(context) and "'" not in str(context) and '"' not in str(context)


class _Reader:
    """Turns nodes into items, once each: an alias gives the same item again.

    What is below ``x-…`` may be anything that another program understands.  An alias brings it to where it
    matters, so it is read once more there.
    """

    def __init__(self, secrets: frozenset[Position]) -> None:
        self.faults: list[Fault] = []
        self._secrets = secrets
        self._done: dict[tuple[int, bool], Item] = {}
        self._open: set[int] = set()
        self._twice: set[int] = set()
        self._path: list[str] = []

    @property
    def _foreign(self) -> bool:
        return any(name.startswith("x-") for name in self._path)

    def _note(self, node: yaml.Node, text: str) -> None:
        if not self._foreign:
            self.faults.append(Fault(start_of(node), text, ".".join(self._path)))

    def _note_twice(self, key: yaml.ScalarNode, first: int) -> None:
        """Also below ``x-…``, since YAML itself forbids it; but once, however many aliases lead there."""
        if id(key) not in self._twice:
            self._twice.add(id(key))
            path = ".".join((*self._path, shown_key(key.value)))
            self.faults.append(Fault(start_of(key), f"written twice, first in line {first}", path))

    def item(self, node: yaml.Node) -> Item:
        seen = (id(node), self._foreign)
        if seen in self._done:
            return self._done[seen]
        if id(node) in self._open:
            raise Fault(start_of(node), "an alias inside its own anchor")
        self._open.add(id(node))
        try:
            result = self._convert(node)
        finally:
            self._open.discard(id(node))
        self._done[seen] = result
        return result

    def _convert(self, node: yaml.Node) -> Item:
        if not node.tag.startswith(_PLAIN):
            self._note(node, "custom YAML tags are not supported")
        if isinstance(node, yaml.ScalarNode):
            position = start_of(node)
            return Scalar(node.value, node.tag == _NULL, position, position in self._secrets)
        if isinstance(node, yaml.SequenceNode):
            return Sequence(tuple(self.item(child) for child in node.value), start_of(node))
        return Mapping(self._entries(node), start_of(node))

    def _entries(self, node: yaml.Node) -> tuple[tuple[Scalar, Item], ...]:
        own: dict[str, tuple[Scalar, Item]] = {}
        merged: dict[str, tuple[Scalar, Item]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                self._merge(value, merged)
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, "expected a name before the colon")
                continue
            if key.value in own:
                self._note_twice(key, own[key.value][0].position.line)
                continue
            name = self.item(key)
            assert isinstance(name, Scalar)
            self._path.append(shown_key(key.value))
            own[key.value] = (name, self.item(value))
            self._path.pop()
        return tuple((own | {name: pair for name, pair in merged.items() if name not in own}).values())

    def _merge(self, node: yaml.Node, into: dict[str, tuple[Scalar, Item]]) -> None:
        item = self.item(node)
        for part in item.items if isinstance(item, Sequence) else (item,):
            if not isinstance(part, Mapping):
                self._note(node, "<< expects a map, or a list of maps")
                continue
            for key, value in part.entries:
                into.setdefault(key.text, (key, value))
