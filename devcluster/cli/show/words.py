"""Numbers as people read them, and documents as programs do."""

from __future__ import annotations

import json
import re
from typing import Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """1536 to ``1.5 KiB``."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def render_seconds(seconds: float) -> str:
    """``3.2 s``, ``1:05 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"


def render_json(value: Any, *, indent: int | None = None) -> str:
    """What a name has of bytes that are not UTF-8 is an escaped lone surrogate, as Python reads it back."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
