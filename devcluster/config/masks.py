"""Where in the file values of the environment stand, so that no message ever shows them.

Rule: better too much hidden than too little.  So it is asked of the YAML's nodes, not of what was made of
them (a value behind an anchor, or the second of two equal keys, is one, too); keys that were meant to be
``environment`` count; and text that is no YAML is judged by its lines.  The naive way, to hide what stands
below ``environment:`` in the tree, shows a secret for each slip of the pen.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

import yaml

_ALIKE = 0.75  # of 1: a key so near to `environment` was meant to be it
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_KNOWN = ("include", "exclude", "export")  # of `env`, which holds no values
_WORD = re.compile(r"[\w-]+")
_SHOUTED = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)
_VALUED = re.compile(r"(?<!\$\{)(?<![\w$./-])[A-Z][A-Z0-9_]*(?=[\"']?[ \t]*[:=])", re.ASCII)
_KEY = re.compile(r"[ ]*[\"']?([\w.<-]+)[\"']?[ \t]*:(?=\s|$)(.*)", re.DOTALL)
_OPENS = re.compile(r"[ \t]*(?:[#&*{].*)?", re.DOTALL)  # what stands behind the name of a workload
_BEFORE_SIGN = " \t:,-[{"


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


def is_name(text: str) -> bool:
    """Whether *text* may be a variable's name, and nothing with it."""
    return bool(_VARIABLE.fullmatch(text))


def is_variable(name: str) -> bool:
    """Whether *name* is spelled as variables are, and as no key is."""
    return bool(_SHOUTED.fullmatch(name))


def start_of(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def end_of(node: yaml.Node) -> Place:
    return Place(node.end_mark.line + 1, node.end_mark.column + 1)


def secret_nodes(root: yaml.Node) -> tuple[Mask, ...]:
    """Every value below a key ``environment`` or the like, wherever it stands."""
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
                result.append(Mask(start_of(node), end_of(node)))
        elif isinstance(node, yaml.SequenceNode):
            rest += [(child, secret) for child in node.value]
        else:
            for key, value in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else ""
                rest.append((value, secret or _holds_values(name, value)))
                # `{TOKEN=…}`, `{TOKEN:…}`, `{!TOKEN: …}` are keys that were meant to be a name and its value.
                odd = not is_name(name) or not key.tag.startswith("tag:yaml.org,2002:")
                if not isinstance(key, yaml.ScalarNode) or (secret and odd):
                    rest.append((key, secret))
    return tuple(result)


def _holds_values(key: str, value: yaml.Node) -> bool:
    """Whether variables' values stand below *key*."""
    if key == "env" and isinstance(value, yaml.MappingNode):
        return not all(isinstance(it, yaml.ScalarNode) and it.value in _KNOWN for it, _ in value.value)
    if key == "env_file":
        return isinstance(value, yaml.MappingNode)
    return _means_values(key)


def _means_values(key: str) -> bool:
    """``environment`` also where it is mistyped or has another word in its place, and a build's ``args``."""
    name = key.lower()
    if name in ("env", "envs", "args", "variables", "vars") or name.startswith("env_"):
        return name != "env_file"
    return difflib.SequenceMatcher(None, name, "environment").ratio() > _ALIKE


def secret_lines(lines: list[str], known: Collection[str] = ()) -> tuple[Mask, ...]:
    """For text that is no YAML: hide whatever stands, by its indent, below such a key (or below ``x-…``,
    where anchors are), and what a quote or a bracket that was opened there goes on to.

    *known*: the file's keys.  What is indented too little and begins with none of them may be a variable
    still; a comment ends nothing; and what is spelled as a variable is one, wherever it stands.
    """
    masks: list[Mask] = []
    inside: int | None = None  # how far the key is indented
    opened = ""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip(" "))
        at = 0 if opened else indent
        if inside is not None and not opened and indent <= inside and _ends(line, indent < inside, known):
            inside = None
        if inside is None:
            key = _first_secret(line)
            if key is None:
                continue
            inside, at = indent, key.end()
        opened = _left_open(opened, line[at:])
        masks.append(Mask(Place(number, at + 1), Place(number, len(line) + 1)))
    return tuple(masks)


def _ends(line: str, outside: bool, known: Collection[str]) -> bool:
    """Whether no value stands in *line*, which is indented no more than the key; *outside*: less."""
    found = _KEY.match(line)
    if found is None or is_variable(found[1]):
        return False
    return (
        found[1] in known
        or found[1] == "<<"
        or _begins_values(found[1])
        or (outside and bool(_OPENS.fullmatch(found[2])))
    )


def _first_secret(line: str) -> re.Match[str] | None:
    words = [it for it in _WORD.finditer(line) if _begins_values(it[0])][:1]
    return min((*words, *_VALUED.finditer(line)), key=lambda it: it.start(), default=None)


def _begins_values(word: str) -> bool:
    return word.startswith("x-") or _means_values(word)


def _left_open(opened: str, text: str) -> str:
    """The quotes and brackets that are open behind *text*, the innermost last; *opened*: before it."""
    before = " "
    for letter in text:
        quoted = opened[-1:] in ('"', "'") and opened[-1:]
        if quoted:
            if letter == quoted and before != "\\":
                opened = opened[:-1]
        elif letter in "\"'[{" and (before in _BEFORE_SIGN or (letter in "[{" and opened)):
            opened += letter
        elif letter in "]}" and opened:
            opened = opened[:-1]
        elif letter == "#" and before in " \t":
            break
        before = letter
    return opened
