"""Following objects without polling, and without missing what happened in between.

A watch begins at the version of a list.  It ends by itself after some minutes, and the server forgets old
versions; so what was seen last is remembered, and after a new list the difference is reported.  A server that
is away is waited for, since it will come back; a caller that can't wait has a time-out of its own.  The naive
way, to start a watch without a version, loses whatever changed between list and watch.

A Role may give less than both verbs.  What may not be watched is listed repeatedly, and one object that may
not even be listed by its name is read repeatedly: a moment later, but nobody is refused half-way.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from devcluster.edge.kube.answer import ForbiddenError, is_passing, refusal
from devcluster.edge.kube.paths import ApiPath, path_of
from devcluster.edge.kube.transport import Transport
from devcluster.errors import ClusterError

Json = dict[str, Any]
_Seen = TypeVar("_Seen")

_SERVER_SECONDS = 240
_READ_TIMEOUT = 300.0  # longer than the server's own end
_GONE = 410
_PACE = 1.0  # at most one request in so many seconds
_AGAIN = 60.0  # seconds until a watch is tried again where it was forbidden: a Role may be on its way


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of one kind, and the version of the list, from which a watch continues."""

    items: tuple[Json, ...]
    version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """``type``: ADDED, MODIFIED or DELETED."""

    type: str
    object: Json


class WatchSource(Protocol):
    """Where lists and watches come from: the cluster's client."""

    @property
    def server(self) -> str: ...

    @property
    def transport(self) -> Transport: ...

    async def list(
        self, kind: str, namespace: str | None = None, *, selector: str = "", fields: str = ""
    ) -> Listing: ...

    async def find(self, kind: str, name: str, namespace: str | None = None) -> Json | None: ...


async def follow_all(
    cluster: WatchSource, kind: str, namespace: str | None, *, selector: str, fields: str
) -> AsyncGenerator[tuple[Json, ...], None]:
    """All that match, sorted by name: at once, and after each change."""

    async def read() -> Listing:
        return await cluster.list(kind, namespace, selector=selector, fields=fields)

    async def read_items() -> tuple[Json, ...]:
        return _sorted(_by_uid(await read()))

    listing = await read()
    known = _by_uid(listing)
    yield _sorted(known)
    while True:
        changes = _changes(cluster, kind, namespace, selector, fields, listing)
        with contextlib.suppress(ForbiddenError):
            async with contextlib.aclosing(changes):
                async for event in changes:
                    _note(known, event)
                    yield _sorted(known)
        repeated = _repeat(read_items, _sorted(known), _AGAIN)
        async with contextlib.aclosing(repeated):
            async for items in repeated:
                yield items
        listing = await _patiently(read)
        known = _by_uid(listing)
        yield _sorted(known)


async def follow_one(
    cluster: WatchSource, kind: str, name: str, namespace: str | None
) -> AsyncGenerator[Json | None, None]:
    """The object, None where there is none: at once, and after each change."""

    async def read() -> Json | None:
        return await cluster.find(kind, name, namespace)

    states = follow_all(cluster, kind, namespace, selector="", fields=f"metadata.name={name}")
    with contextlib.suppress(ForbiddenError):
        async with contextlib.aclosing(states):
            async for items in states:
                yield items[0] if items else None
    found = await _patiently(read)
    yield found
    repeated = _repeat(read, found, math.inf)
    async with contextlib.aclosing(repeated):
        async for item in repeated:
            yield item


async def _repeat(
    read: Callable[[], Awaitable[_Seen]], last: _Seen, seconds: float
) -> AsyncGenerator[_Seen, None]:
    """The result of *read* each time that it differs from *last*, for so many *seconds*."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(_PACE)
        now = await _patiently(read)
        if now != last:
            last = now
            yield now


async def _patiently(read: Callable[[], Awaitable[_Seen]]) -> _Seen:
    """Wait for a server that is away."""
    while True:
        try:
            return await read()
        except ClusterError as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(_PACE)


async def _changes(
    cluster: WatchSource, kind: str, namespace: str | None, selector: str, fields: str, listing: Listing
) -> AsyncGenerator[WatchEvent, None]:
    known = _by_uid(listing)
    version = listing.version
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            one = _one_watch(cluster, kind, namespace, selector, fields, version)
            async with contextlib.aclosing(one):
                async for raw in one:
                    if raw["type"] == "ERROR":
                        break
                    version = raw["object"]["metadata"]["resourceVersion"]
                    if raw["type"] == "BOOKMARK":
                        continue
                    event = WatchEvent(raw["type"], raw["object"])
                    _note(known, event)
                    yield event
                else:  # it ended in good order: go on from the last version, but not in a tight circle
                    await asyncio.sleep(max(0.0, started + _PACE - loop.time()))
                    continue
            listing = await cluster.list(kind, namespace, selector=selector, fields=fields)
            version = listing.version
            for event in _difference(known, listing):
                _note(known, event)
                yield event
        except ClusterError as error:  # a server that is away comes back
            if not is_passing(error):
                raise
            await asyncio.sleep(max(0.0, started + _PACE - loop.time()))


def _difference(known: dict[str, Json], listing: Listing) -> list[WatchEvent]:
    now = _by_uid(listing)
    events = [WatchEvent("DELETED", item) for uid, item in known.items() if uid not in now]
    for uid, item in now.items():
        if uid not in known:
            events.append(WatchEvent("ADDED", item))
        elif known[uid]["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            events.append(WatchEvent("MODIFIED", item))
    return events


async def _one_watch(
    cluster: WatchSource, kind: str, namespace: str | None, selector: str, fields: str, version: str
) -> AsyncGenerator[Json, None]:
    """The raw events of one request, read by a thread of its own; the last one is ERROR where the version is
    too old."""
    query = {
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(_SERVER_SECONDS),
        "labelSelector": selector,
        "fieldSelector": fields,
    }
    where = path_of(kind, namespace)
    path = f"{where.path}?{urlencode({key: value for key, value in query.items() if value})}"
    reader = _WatchReader(cluster, path)
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Json | ClusterError | None] = asyncio.Queue()

    def tell(item: Json | ClusterError | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody listens any more
            loop.call_soon_threadsafe(queue.put_nowait, item)

    thread = threading.Thread(target=reader.run, args=(tell, where), name=f"watch {where}", daemon=True)
    thread.start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, ClusterError):
                raise item
            yield item
    finally:
        reader.close()


class _WatchReader:
    """The blocking side of one watch."""

    def __init__(self, cluster: WatchSource, path: str) -> None:
        self._cluster = cluster
        self._path = path
        self._response: Any = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, tell: Callable[[Json | ClusterError | None], None], where: ApiPath) -> None:
        import urllib3

        send = self._cluster.transport.send
        try:
            response = send("GET", self._path, stream=True, read_timeout=_READ_TIMEOUT)
            if response.status == _GONE:
                tell({"type": "ERROR"})
                return
            if response.status >= 400:
                raise refusal(response.status, response.data, "watch", where, self._cluster.server)
            with self._lock:
                self._response = response
            if not self._closed:
                _lines(response, tell)
        except ClusterError as error:
            tell(error)
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            pass  # cut off, or closed by us: the caller goes on from the last version
        finally:
            if self._response is not None:
                self._response.close()
            tell(None)

    def close(self) -> None:
        """Ends a read that blocks in the other thread."""
        with self._lock:
            self._closed = True
            response = self._response
        if response is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
                response.shutdown()


def _lines(response: Any, tell: Callable[[Json], None]) -> None:
    rest = b""
    for chunk in response.stream(None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                tell(json.loads(line))


def _by_uid(listing: Listing) -> dict[str, Json]:
    return {item["metadata"]["uid"]: item for item in listing.items}


def _note(known: dict[str, Json], event: WatchEvent) -> None:
    uid = event.object["metadata"]["uid"]
    if event.type == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = event.object


def _sorted(known: dict[str, Json]) -> tuple[Json, ...]:
    return tuple(sorted(known.values(), key=lambda item: str(item["metadata"]["name"])))
