"""The conversation with the engine of one live volume (docs/architecture.md, "The streams of role ``sync``").

The engine runs on the laptop and decides.  This module carries its connections to the agent, keeps what it
says, and answers what it asks.  Reading never waits for one of our answers: the engine writes while we write
to it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.streams import Streams
from devcluster.errors import ClusterError, DevclusterError, FailedError, first_of
from devcluster.rules.volume.frames import CONTROL, Frames, next_link, render_frame, render_order

Json = dict[str, Any]
EngineAnswer = Callable[[Json], bytes | str]
"""Of a question: the bytes, or why there are none."""

_SLACK = 15.0  # seconds that an answer may come after its time


class EngineTalk:
    """``status``: what the engine said last; *changed* is called after each; *answer*: answers its
    questions."""

    def __init__(self, streams: Streams, answer: EngineAnswer, changed: Callable[[], None]) -> None:
        self.status: Json = {}
        self.refusal = ""  # why the agent does not let us in, since the last connection that it let in
        self._streams = streams
        self._answer = answer
        self._changed = changed
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._number = 0
        self._sinks: dict[int, Callable[[bytes], Awaitable[None]]] = {}

    async def run(self) -> None:
        """Read until the engine ends; DevclusterError where it failed, FailedError where it ended
        by itself."""
        frames = Frames()
        try:
            async with asyncio.TaskGroup() as answers:
                async for part in self._streams.parts():
                    for channel, body in frames.feed(part):
                        await self._take(channel, body, answers)
        except ExceptionGroup as group:
            raise first_of(group) from group
        finally:
            for future in self._waiting.values():
                future.cancel()
        raise FailedError("the engine of the live volume ended")

    async def flush(self, seconds: float) -> Json:
        """The engine's answer, which comes when nothing is under way any more, or after *seconds*.
        FailedError where none comes."""
        return await self._ask("flush", seconds, ms=round(seconds * 1000))

    async def keep(self, side: str, paths: Sequence[str]) -> tuple[str, ...]:
        """Decide for *side*'s version of *paths*, relative to the root.  Return those about which there was
        nothing to decide."""
        answer = await self._ask("keep", _SLACK, side=side, paths=list(paths))
        return tuple(answer["unknown"])

    async def end(self) -> None:
        """Ask it to write down what it knows, and to end."""
        await self._streams.write(render_order({"do": "end"}))

    async def carry(self, agent: AgentLink, root: str) -> None:
        """Connect the engine to *agent*'s volume, until that connection ends or the work is cancelled."""
        number = self._number = next_link(self._number)
        async with agent.open_sync(root) as channel:
            self._sinks[number] = channel.write
            try:
                await self._streams.write(render_order({"do": "link", "link": number}))
                while part := await channel.read():
                    self.refusal = ""
                    await self._streams.write(render_frame(number, part))
            except ClusterError as error:
                self.refusal = error.message
                raise
            finally:
                self._sinks.pop(number, None)
                with contextlib.suppress(DevclusterError):  # an engine that has ended is linked to nobody
                    await self._streams.write(render_order({"do": "unlink"}))

    async def _ask(self, do: str, seconds: float, **arguments: Any) -> Json:
        number = next(self._ids)
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._streams.write(render_order({"do": do, "id": number, **arguments}))
            async with asyncio.timeout(seconds + _SLACK):
                await asyncio.wait({future})
        except TimeoutError as error:
            raise FailedError("the engine of the live volume does not answer") from error
        finally:
            self._waiting.pop(number, None)
        if future.cancelled():
            raise FailedError("the engine of the live volume ended")
        return future.result()

    async def _take(self, channel: int, body: bytes, answers: asyncio.TaskGroup) -> None:
        if channel != CONTROL:
            if sink := self._sinks.get(channel):
                await self._pour(channel, sink, body)
            return
        said: Json = json.loads(body)
        if "status" in said:
            self.status = said["status"]
            self._changed()
        elif "ask" in said:
            answers.create_task(self._reply(said), name="answer the engine")
        elif (future := self._waiting.get(said.get("id", 0))) and not future.done():
            future.set_result(said["ok"])

    async def _pour(self, channel: int, sink: Callable[[bytes], Awaitable[None]], body: bytes) -> None:
        try:
            await sink(body)
        except ClusterError:  # whoever reads from it hears the same, and ends it
            self._sinks.pop(channel, None)

    async def _reply(self, asked: Json) -> None:
        found = await asyncio.to_thread(self._answer, asked)
        order: Json = {"do": "answer", "ask": asked["ask"]}
        if isinstance(found, str):
            order["refuse"] = found
        else:
            order["content"] = base64.b64encode(found).decode()
        await self._streams.write(render_order(order))
