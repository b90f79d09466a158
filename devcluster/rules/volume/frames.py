"""The streams of the role ``sync``: frames of a channel, a length and so many bytes.  Pure.

Channel 0 is one JSON object a frame, the others are connections to the agent (docs/architecture.md, "Live
volumes").  What a name has of bytes that are not UTF-8 is a lone surrogate, in Python as in the JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

CONTROL = 0
LAST = 255  # the highest number of a connection
_HEAD = struct.Struct(">BI")
_LARGEST = 64 << 20


class Frames:
    """What has come so far; ``feed`` gives what is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each frame that ends in *data*: its channel and its bytes.  ValueError for what is no frame."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _HEAD.size:
            channel, size = _HEAD.unpack_from(self._buffer, at)
            if size > _LARGEST:
                raise ValueError(f"a frame of {size} bytes")
            end = at + _HEAD.size + size
            if len(self._buffer) < end:
                break
            yield channel, bytes(self._buffer[at + _HEAD.size : end])
            at = end
        del self._buffer[:at]


def render_frame(channel: int, body: bytes) -> bytes:
    """One frame."""
    return _HEAD.pack(channel, len(body)) + body


def render_order(order: Mapping[str, Any]) -> bytes:
    """A JSON object for the engine."""
    return render_frame(CONTROL, json.dumps(order).encode())


def next_link(number: int) -> int:
    """The number of the connection after *number*: what is still on its way from an old one is told apart."""
    return number % LAST + 1
