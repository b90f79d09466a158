"""What the stream of a tar says is what ``tarfile`` says, however the bytes are cut."""

from __future__ import annotations

import asyncio
import io
import struct
import tarfile
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.errors import FailedError
from devcluster.rules.volume.tarstream import (
    END,
    Member,
    TarReader,
    padding,
    parse_time,
    render_head,
    render_time,
)
from devcluster.rules.volume.tree import Entry

RAW = st.binary(min_size=1, max_size=160).filter(lambda raw: b"\0" not in raw and not raw.endswith(b"/"))
TEXTS = RAW.map(lambda raw: "x" + raw.decode("utf-8", "surrogateescape"))
ENTRIES = st.builds(
    Entry,
    path=TEXTS,
    type=st.sampled_from(["f", "d", "l", "h", "p"]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**31),
    gid=st.integers(0, 2**31),
    size=st.integers(0, 2000),
    mtime_ns=st.integers(-(10**18), 4 * 10**18),
    link=TEXTS,
)


async def read(data: bytes, piece: int) -> list[tuple[Member, bytes]]:
    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(data), piece):
            yield data[at : at + piece]

    reader, result = TarReader(source()), []
    while (member := await reader.next()) is not None:
        result.append((member, b"".join([part async for part in reader.content()])[: member.size]))
    return result


def plain(entry: Entry) -> Entry:
    linked = entry.type in ("l", "h")
    return Entry(
        entry.path,
        entry.type,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size if entry.type == "f" else 0,
        entry.mtime_ns,
        entry.link if linked else "",
    )


@given(st.lists(ENTRIES.map(plain), max_size=4), st.integers(1, 3000))
def test_what_is_written_is_read(entries: list[Entry], piece: int) -> None:
    data = b""
    for entry in entries:
        content = b"c" * entry.size
        data += render_head(entry) + content + padding(len(content))
    found = asyncio.run(read(data + END, piece))
    assert [member.entry for member, _ in found] == entries
    assert [len(content) for _, content in found] == [entry.size for entry in entries]
    with tarfile.open(fileobj=io.BytesIO(data + END), errors="surrogateescape") as archive:
        assert [item.size for item in archive] == [entry.size for entry in entries]


def test_the_pieces_of_a_file_with_holes_have_their_places() -> None:
    pieces, size = ((4096, b"first"), (1 << 30, b"second")), 1 << 31
    body = struct.pack(">Q", len(pieces))
    body += b"".join(struct.pack(">QQ", offset, len(part)) for offset, part in pieces)
    body += b"".join(part for _, part in pieces)
    entry = Entry("data.mdb", "f", 0o600, 1, 2, size, 3)
    after = Entry("after", "f", 0o600, 1, 2, 2, 3)
    data = render_head(entry, stored=len(body)) + body + padding(len(body))
    data += render_head(after) + b"ok" + padding(2) + END
    for piece in (7, 512, 100_000):
        found = asyncio.run(read_pieces(data, piece))
        assert found == [(entry, dict(pieces)), (after, {0: b"ok"})]


async def read_pieces(data: bytes, piece: int) -> list[tuple[Entry, dict[int, bytes]]]:
    """Of each file; what came in parts is joined."""

    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(data), piece):
            yield data[at : at + piece]

    reader, result = TarReader(source()), []
    while (member := await reader.next()) is not None:
        parts: dict[int, bytes] = {}
        end, start = -1, 0
        async for offset, part in reader.pieces():
            start = start if offset == end else offset
            parts[start] = parts.get(start, b"") + part
            end = offset + len(part)
        result.append((member.entry, parts))
    return result


def test_a_stream_that_breaks_off_is_an_error() -> None:
    data = render_head(Entry("a", "f", 0, 0, 0, 4096, 0)) + bytes(100)
    with pytest.raises(FailedError, match="ended too early"):
        asyncio.run(read(data, 512))


def test_an_error_behind_the_end_is_heard() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield END
        raise FailedError("the pod could not read a file")

    with pytest.raises(FailedError, match="could not read"):
        asyncio.run(TarReader(source()).next())


@given(st.integers(-(10**19), 10**19))
def test_time_is_exact(nanoseconds: int) -> None:
    assert parse_time(render_time(nanoseconds)) == nanoseconds
