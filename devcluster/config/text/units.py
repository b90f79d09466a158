"""Durations and sizes, as Compose writes them.

Source: https://docs.docker.com/reference/compose-file/extension/#specifying-durations
"""

from __future__ import annotations

import re

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b|i)?", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_duration(text: str) -> float:
    """Seconds: ``15s``, ``1m30s``, ``500ms``.  ValueError, naming the form, for anything else."""
    rest, seconds = text.strip(), 0.0
    while rest:
        found = _PART.match(rest)
        if found is None:
            break
        seconds += float(found[1]) * _SECONDS[found[2]]
        rest = rest[found.end() :]
    if rest or not text.strip():
        raise ValueError("expected a duration such as 15s, 1m30s or 500ms")
    return round(seconds, 6)


def parse_mode(text: str) -> int:
    """Permissions as YAML writes them: octal after ``0o`` or ``0``, else decimal."""
    digits = text.strip().lower().replace("0o", "0", 1)
    try:
        mode = int(digits, 8 if digits.startswith("0") else 10)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise ValueError("expected permissions such as 0o1777")
    return mode


def parse_size(text: str) -> int:
    """Bytes: ``1GiB``, ``512m``, ``64kb``, ``1048576``; every unit is a power of 1024, as in Compose."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected a size such as 512m or 1GiB")
    number = float(found[1]) if "." in found[1] else int(found[1])
    size = int(number * 1024 ** _POWERS[found[2].lower()])
    if size >= 1 << 63:
        raise ValueError("expected a size below 8388608 TiB")
    return size


def render_duration(seconds: float) -> str:
    """The inverse of ``parse_duration``, in one unit."""
    if seconds == int(seconds):
        return f"{int(seconds)}s"
    milliseconds = seconds * 1000
    if abs(milliseconds - round(milliseconds)) < 1e-9:
        return f"{round(milliseconds)}ms"
    return f"{round(seconds * 1e6)}us"


def render_size(size: int) -> str:
    """The inverse of ``parse_size``: ``1GiB``."""
    for suffix, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
