"""``${VAR}`` in the file's values, as Compose does it.

Forms: ``$VAR``, ``${VAR}``, ``:-`` and ``-`` (a default if it is empty or unset, if it is unset), ``:?`` and
``?`` (an error with the text that follows), ``:+`` and ``+`` (another text if it is set); ``$$`` is a dollar
sign.  What follows an operator may hold variables again.  The naive way, one regular expression, fails on
``${A:-${B:-x}}``: so we count braces.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATOR = re.compile(r":?[-?+]")
_DEEPEST = 20

Lookup = Callable[[str], str | None]
Unset = Callable[[str, bool], None]
"""Told the name of a variable without value and default, and whether it stood in braces: without them it may
be a password's ``$`` and what follows."""


def interpolate(text: str, lookup: Lookup, *, unset: Unset = lambda name, braces: None) -> str:
    """*text* with its variables filled in.  *lookup* gives None for an unset one.

    ValueError says what is wrong, without any value.
    """
    return _expand(text, lookup, unset, 0) if "$" in text else text


def _expand(text: str, lookup: Lookup, unset: Unset, depth: int) -> str:
    if depth > _DEEPEST:
        raise ValueError("variables are nested too deeply")
    parts, at = [], 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        at = dollar + 1
        if text.startswith("$", at):
            parts.append("$")
            at += 1
        elif text.startswith("{", at):
            end = _closing(text, at)
            parts.append(_braced(text[at + 1 : end], lookup, unset, depth))
            at = end + 1
        elif found := _NAME.match(text, at):
            parts.append(_plain(found[0], lookup, unset, braces=False))
            at = found.end()
        else:
            raise ValueError("$ must be followed by a name; write $$ for a dollar sign")
    return "".join(parts) + text[at:]


def _closing(text: str, start: int) -> int:
    """Where the brace at *start* is closed."""
    depth, at = 1, start + 1
    while at < len(text):
        if text.startswith("${", at):
            depth, at = depth + 1, at + 2
            continue
        depth -= text[at] == "}"
        if depth == 0:
            return at
        at += 1
    raise ValueError("${ is not closed by }")


def _plain(name: str, lookup: Lookup, unset: Unset, *, braces: bool) -> str:
    value = lookup(name)
    if value is None:
        unset(name, braces)
    return value or ""


def _braced(inner: str, lookup: Lookup, unset: Unset, depth: int) -> str:
    found = _NAME.match(inner)
    if found is None:
        raise ValueError("${ must be followed by a name; write $$ for a dollar sign")
    name, rest = found[0], inner[found.end() :]
    if not rest:
        return _plain(name, lookup, unset, braces=True)
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise ValueError("the name in ${ must be followed by } or one of :- - :? ? :+ +")
    word = rest[operator.end() :]
    value = lookup(name)
    there = value is not None and (value != "" or operator[0][0] != ":")
    match operator[0][-1]:
        case "-":
            return value or "" if there else _expand(word, lookup, unset, depth + 1)
        case "+":
            return _expand(word, lookup, unset, depth + 1) if there else ""
        case _:
            if there:
                return value or ""
            raise ValueError(
                f"{name} is required but not set" + (f": {word}" if word and "$" not in word else "")
            )
