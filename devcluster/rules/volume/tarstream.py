"""A PAX tar as a stream of members: read, told apart, written.  Pure but for the bytes' own arrival.

The problem: a volume of any size passes through the host process, which must count it, leave members
out and rewrite a few small ones, in constant memory.  ``tarfile`` wants a file object and blocks.

A file with holes has a record of its own (docs/architecture.md): its content is a map and the pieces that are
no holes.  Another one takes a name back that could not be read to its end.

Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (pax and ustar formats)
"""

from __future__ import annotations

import struct
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from devcluster.errors import FailedError
from devcluster.rules.volume.tree import Entry, EntryType

BLOCK = 512
END = bytes(2 * BLOCK)
_SPARSE, _LEFT_OUT = "DEVCLUSTER.sparse", "DEVCLUSTER.left_out"
_PIECES = 1 << 16  # at most, of one file

_KINDS: dict[bytes, EntryType] = {b"0": "f", b"\0": "f", b"5": "d", b"2": "l", b"1": "h", b"6": "p"}
_TYPES: dict[str, bytes] = {"f": b"0", "d": b"5", "l": b"2", "h": b"1", "p": b"6"}


@dataclass(frozen=True, slots=True)
class Member:
    """``head``: all its header blocks as they came; ``size``: bytes that follow, without padding; ``sparse``:
    they are a map and pieces; ``left_out``: why this name counts no more."""

    entry: Entry
    head: bytes
    size: int
    sparse: bool = False
    left_out: str = ""


class TarReader:
    """Read a member, then its content to the end, then the next."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._buffer = bytearray()
        self._left = 0  # of the current member, with padding
        self._member: Member | None = None

    async def next(self) -> Member | None:
        """None at the end of the archive."""
        async for _ in self.content():
            pass
        head, records = b"", dict[str, bytes]()
        while True:
            block = await self._exactly(BLOCK)
            if block == bytes(BLOCK):
                await self._drain()
                return None
            size = _number(block[124:136])
            if block[156:157] not in (b"x", b"g"):
                self._member = _member(block, head + block, records)
                self._left = _padded(self._member.size)
                return self._member
            body = await self._exactly(_padded(size))
            head += block + body
            if block[156:157] == b"x":
                records |= parse_pax(body[:size])

    async def _drain(self) -> None:
        """Read on behind the archive's end: that is where a source tells that it failed."""
        async for _ in self._source:
            pass

    async def content(self) -> AsyncIterator[bytes]:
        """The current member's bytes with their padding, as they come."""
        while self._left:
            yield await self._some(self._left)

    async def pieces(self) -> AsyncIterator[tuple[int, bytes]]:
        """The current member's file, each part with its place in it; holes and padding are none."""
        assert self._member is not None
        pieces = await self._map() if self._member.sparse else ((0, self._member.size),)
        for offset, length in pieces:
            end = offset + length
            while offset < end:
                part = await self._some(end - offset)
                yield offset, part
                offset += len(part)

    async def _map(self) -> tuple[tuple[int, int], ...]:
        count = int.from_bytes(await self._taken(8), "big")
        if count > _PIECES:
            raise FailedError("the pod sent a file of too many pieces")
        numbers = struct.unpack(f">{2 * count}Q", await self._taken(16 * count))
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))

    async def _taken(self, size: int) -> bytes:
        self._left -= size
        return await self._exactly(size)

    async def _some(self, most: int) -> bytes:
        if not self._buffer:
            await self._more()
        part = bytes(self._buffer[:most])
        del self._buffer[: len(part)]
        self._left -= len(part)
        return part

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        result = bytes(self._buffer[:size])
        del self._buffer[:size]
        return result

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._source)
        except StopAsyncIteration:
            raise FailedError("the stream of the pod's files ended too early") from None


def _member(block: bytes, head: bytes, records: dict[str, bytes]) -> Member:
    entry = _entry(block, records)
    stored, left_out = entry.size, records.get(_LEFT_OUT, b"").decode("utf-8", "replace")
    if entry.type == "f" and _SPARSE in records:
        return Member(replace(entry, size=int(records[_SPARSE])), head, stored, True, left_out)
    return Member(entry, head, stored, False, left_out)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def padding(size: int) -> bytes:
    return bytes(_padded(size) - size)


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # base-256
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(field.strip(b" \0") or b"0", 8)


def parse_pax(body: bytes) -> dict[str, bytes]:
    """``LENGTH KEY=VALUE\\n`` records."""
    records: dict[str, bytes] = {}
    while body:
        length = int(body[: body.index(b" ")])
        record, body = body[:length], body[length:]
        key, _, value = record[record.index(b" ") + 1 : -1].partition(b"=")
        records[key.decode("utf-8", "replace")] = value
    return records


def _entry(block: bytes, records: dict[str, bytes]) -> Entry:
    name = block[:100].split(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].split(b"\0")[0]):
        name = prefix + b"/" + name
    link = records.get("linkpath", block[157:257].split(b"\0")[0])
    kind = _KINDS.get(block[156:157])
    if kind is None:
        raise FailedError("the pod sent a kind of file that this version does not know")
    stamp = records.get("mtime")
    return Entry(
        path=_text(records.get("path", name)).rstrip("/") or ".",
        type=kind,
        mode=_number(block[100:108]) & 0o7777,
        uid=int(records.get("uid", b"")) if "uid" in records else _number(block[108:116]),
        gid=int(records.get("gid", b"")) if "gid" in records else _number(block[116:124]),
        size=(int(records["size"]) if "size" in records else _number(block[124:136])) if kind == "f" else 0,
        mtime_ns=parse_time(stamp.decode()) if stamp else _number(block[136:148]) * 10**9,
        link=_text(link) if kind in ("l", "h") else "",
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def parse_time(text: str) -> int:
    """Decimal seconds to nanoseconds, exactly (a float is a hundred nanoseconds wrong today)."""
    whole, _, part = text.lstrip("-").partition(".")
    value = int(whole or "0") * 10**9 + int((part + "0" * 9)[:9])
    return -value if text.startswith("-") else value


def render_time(nanoseconds: int) -> str:
    whole, part = divmod(abs(nanoseconds), 10**9)
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")


def render_gone(path: str) -> bytes:
    """Takes *path* away; a directory after all that is in it."""
    return render_head(Entry(path, "f", 0, 0, 0, 0, 0), records={_LEFT_OUT: "gone"})


def render_head(
    entry: Entry, *, stored: int | None = None, records: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The header blocks of *entry*, PAX where its names, numbers or time need it.  *stored*: of a file with
    holes, the bytes of its map and pieces; *records*: what PAX says besides."""
    info = tarfile.TarInfo(entry.path + "/" if entry.type == "d" else entry.path)
    info.type = _TYPES[entry.type]
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.size = entry.size if entry.type == "f" else 0
    info.linkname = entry.link
    info.mtime = max(0, entry.mtime_ns // 10**9)
    info.pax_headers = dict(records)
    if entry.mtime_ns % 10**9 or entry.mtime_ns < 0:
        info.pax_headers = {**info.pax_headers, "mtime": render_time(entry.mtime_ns)}
    if stored is not None:
        info.size = stored
        info.pax_headers = {**info.pax_headers, _SPARSE: str(entry.size)}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
