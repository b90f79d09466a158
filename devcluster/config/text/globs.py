"""Patterns of paths, as the agent's ``exclude`` reads them (Go's ``path.Match`` for each name, and ``**``).

Both sides must understand a pattern alike: a file that is excluded only in the pod would look like the
developer's work.  So ``[^a-c]`` negates and ``[!a-c]`` does not, and ``\\`` takes a letter as it is.

Source: https://pkg.go.dev/path#Match
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache


def matches(path: str, patterns: Sequence[str]) -> bool:
    """From the root; ``*`` within one name, ``**`` for any number of names.  ValueError as ``check_glob``."""
    return any(_pattern(pattern).fullmatch(path) for pattern in patterns)


def escape_glob(path: str) -> str:
    """The pattern that matches *path* and nothing else."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def check_glob(glob: str) -> None:
    """ValueError for a malformed pattern."""
    _pattern(glob)


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    elements = posixpath.normpath("/" + glob).strip("/").split("/")
    text = ""
    for index, element in enumerate(elements):
        last = index == len(elements) - 1
        if element == "**":
            text += ".+" if last else "(?:[^/]+/)*"
        else:
            text += _element(element) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _element(glob: str) -> str:
    result, at = "", 0
    while at < len(glob):
        letter = glob[at]
        if letter == "[":
            text, at = _class(glob, at + 1)
            result += text
            continue
        if letter in "*?":
            result += {"*": "[^/]*", "?": "[^/]"}[letter]
        else:
            letter, at = _letter(glob, at, "\\")
            result += re.escape(letter)
            continue
        at += 1
    return result


def _class(glob: str, at: int) -> tuple[str, int]:
    """What follows ``[``, as a regular expression, and where it ends."""
    negated = glob[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    while glob[at : at + 1] != "]" or not ranges:
        low, at = _letter(glob, at, "-]")
        high = low
        if glob[at : at + 1] == "-":
            high, at = _letter(glob, at + 1, "-]")
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:  # matches nothing, as in Go
            ranges.append("")
    inside = "".join(ranges)
    if not inside:
        return ("[^/]" if negated else "(?!)"), at + 1
    return f"[{'^/' if negated else ''}{inside}]", at + 1


def _letter(glob: str, at: int, bad: str) -> tuple[str, int]:
    """One letter, with or without a backslash; *bad*: those that need one."""
    letter = glob[at : at + 1]
    escaped = letter == "\\"
    letter = glob[at + 1 : at + 2] if escaped else letter
    if not letter or (not escaped and letter in bad):
        raise ValueError(f"malformed pattern {glob}")
    return letter, at + 1 + escaped
