"""Requests and answers as JSON lines, in both directions on one stream.  The agent's ``control``, the
gateway's ``door`` and our own host process speak it (docs/architecture.md).

A request has an ``id`` and a ``do``; its answer has the same ``id`` and ``ok`` or ``error``; an ``event`` has
neither.  Requests may be answered in any order, so each waits for its own future.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Json = dict[str, Any]


class LineReader(Protocol):
    async def readline(self) -> bytes: ...


class RefusedError(Exception):
    """The other side answered ``error``.  ``kind`` is one of the words in docs/architecture.md."""

    def __init__(self, kind: str, text: str, detail: Json) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.detail = detail


class Lines:
    """One conversation.  ``run`` reads until the stream ends; it must be running for ``call`` to work."""

    def __init__(
        self,
        reader: LineReader,
        write: Callable[[bytes], None],
        *,
        on_event: Callable[[Json], None] | None = None,
        on_request: Callable[[Json], Awaitable[Json]] | None = None,
    ) -> None:
        self._reader = reader
        self._write = write
        self._on_event = on_event
        self._on_request = on_request
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._ended = asyncio.Event()

    async def call(self, do: str, *, timeout: float = 30.0, **arguments: Any) -> Json:
        """Ask, and wait for the answer.  Raises RefusedError, ConnectionError or TimeoutError."""
        if self._ended.is_set():
            raise ConnectionError("the conversation is over")
        number = next(self._ids)
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self.send({"id": number, "do": do, **arguments})
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._waiting.pop(number, None)

    def send(self, message: Json) -> None:
        try:
            self._write(json.dumps(message).encode() + b"\n")
        except (OSError, RuntimeError) as error:
            raise ConnectionError(str(error)) from error

    async def ended(self) -> None:
        """Return when ``run`` has reached the end of the stream."""
        await self._ended.wait()

    async def run(self) -> None:
        """Read to the end of the stream; then everybody who still waits gets ConnectionError."""
        try:
            async with asyncio.TaskGroup() as answers:
                while (line := await self._reader.readline()).endswith(b"\n"):  # or it was cut off
                    self._take(json.loads(line), answers)
        except* (OSError, asyncio.IncompleteReadError):
            pass  # the end, like an end of file
        finally:
            self._ended.set()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionError("the other side closed the conversation"))

    def _take(self, message: Json, answers: asyncio.TaskGroup) -> None:
        if "do" in message:
            answers.create_task(self._answer(message), name=f"answer {message['do']}")
        elif "event" in message:
            if self._on_event is not None:
                self._on_event(message)
        elif (future := self._waiting.get(message.get("id", 0))) and not future.done():
            if "error" in message:
                error = message["error"]
                future.set_exception(RefusedError(error.get("kind", ""), error.get("text", ""), error))
            else:
                future.set_result(message.get("ok") or {})

    async def _answer(self, message: Json) -> None:
        if self._on_request is None:
            return
        try:
            self.send({"id": message["id"], "ok": await self._on_request(message)})
        except RefusedError as refusal:
            error = {**refusal.detail, "kind": refusal.kind, "text": refusal.text}
            self.send({"id": message["id"], "error": error})
