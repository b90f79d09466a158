"""WebSocket frames without a socket: bytes in, messages out, and the other way round.

It has only what a client of the API server's ``v4.channel.k8s.io`` needs: binary messages one after the
other, fragments handled like whole messages, pings answered, and the end recognised.

The naive way, the ``kubernetes`` package's ``stream``, uses a thread for each connection and copies every
byte through a second socket.

Source: RFC 6455 5 (framing), 4.1 (opening handshake)
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from typing import Literal

FrameType = Literal["data", "ping", "close"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LARGEST = 32 * 1024 * 1024  # the API server's own messages are a thousandth of it
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


class FrameError(Exception):
    """What came is not WebSocket."""


def handshake_key() -> str:
    """A fresh ``Sec-WebSocket-Key``."""
    return base64.b64encode(os.urandom(16)).decode()


def accepted(key: str) -> str:
    """The ``Sec-WebSocket-Accept`` that answers *key*."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def binary(payload: bytes) -> bytes:
    """*payload* as one masked message of a client."""
    return _frame(_BINARY, payload)


def pong(payload: bytes) -> bytes:
    return _frame(_PONG, payload)


def close() -> bytes:
    return _frame(_CLOSE, (1000).to_bytes(2, "big"))


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    mask = os.urandom(4)
    return b"".join((head, mask, _masked(payload, mask)))


def _masked(payload: bytes, mask: bytes) -> bytes:
    """One XOR of two large numbers; a loop over bytes would be the slowest part of a lane."""
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")


class WebSocketFrames:
    """What a server sends, cut into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[FrameType, bool, bytes]]:
        """For each whole frame: its kind, whether it begins a message, its payload."""
        self._rest += data
        while (cut := self._next()) is not None:
            opcode, payload = cut
            if opcode in (_BINARY, _TEXT, _CONTINUATION):
                yield "data", opcode != _CONTINUATION, payload
            elif opcode == _PING:
                yield "ping", True, payload
            elif opcode == _CLOSE:
                yield "close", True, payload
            elif opcode != _PONG:
                raise FrameError(f"a frame of the unknown kind {opcode}")

    def _next(self) -> tuple[int, bytes] | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        opcode, size, start = rest[0] & 0x0F, rest[1], 2
        if size & 0x80:
            raise FrameError("a server's frame is masked")
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(rest[2:start], "big") if len(rest) >= start else 0
        if size > _LARGEST:
            raise FrameError(f"a frame of {size} bytes")
        if len(rest) < start + size:
            return None
        self._rest = rest[start + size :]
        return opcode, rest[start : start + size]
