"""WebSocketFrames of RFC 6455: its own examples, and any cut of the stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.edge.lane.websocket import FrameError, WebSocketFrames, accepted, binary, handshake_key, pong


def _unmasked(frame: bytes) -> tuple[int, bytes]:
    """A client's frame as a server reads it: opcode, payload."""
    assert frame[0] & 0x80
    assert frame[1] & 0x80
    size, start = frame[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(frame[2:start], "big")
    mask, payload = frame[start : start + 4], frame[start + 4 :]
    assert len(payload) == size
    return frame[0] & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def _served(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 1 << 16:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def test_the_accept_of_the_rfc() -> None:
    assert accepted("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert handshake_key() != handshake_key()


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 127, 65535, 65536, 70001])
def test_what_a_client_sends_is_read_by_a_server(size: int) -> None:
    payload = bytes(at % 251 for at in range(size))
    assert _unmasked(binary(payload)) == (2, payload)
    assert _unmasked(pong(payload[:5])) == (10, payload[:5])


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_any_cut_of_the_stream_gives_the_same_messages(messages: list[bytes], step: int) -> None:
    stream = b"".join(_served(0x82, message) for message in messages)
    frames = WebSocketFrames()
    seen = [it for at in range(0, len(stream), step) for it in frames.feed(stream[at : at + step])]
    assert seen == [("data", True, message) for message in messages]


def test_fragments_pings_and_the_end() -> None:
    stream = _served(0x02, b"a") + _served(0x89, b"p") + _served(0x80, b"b") + _served(0x8A, b"")
    found = list(WebSocketFrames().feed(stream + _served(0x88, b"\x03\xe8")))
    assert found == [
        ("data", True, b"a"),
        ("ping", True, b"p"),
        ("data", False, b"b"),
        ("close", True, b"\x03\xe8"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bytes((0x82, 0x81)) + b"mask1", "masked"),
        (bytes((0x82, 127)) + (1 << 40).to_bytes(8, "big"), "1099511627776 bytes"),
        (bytes((0x83, 0)), "unknown kind 3"),
    ],
)
def test_what_is_no_websocket_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(FrameError, match=said):
        list(WebSocketFrames().feed(data))
