"""Giving the pods back to the original, and telling the truth about it.

An agent starts the original and answers when it accepts.  Where it does not in time, that is said, with the
reason.  Some originals can't start twice in one container: a pid file lies in their way, a folder that they
make.  Then the pod is replaced, and until its successor is ready the laptop serves on by the old one, which
its controller has told to end.  The naive way, to delete the pod and leave, has nobody serve meanwhile.
"""

from __future__ import annotations

import contextlib
import math

from devcluster.edge.background import running
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.lines import RefusedError
from devcluster.rules.container.pod_times import render_wait, stop_time
from devcluster.run.attach.agent_link import PodLink
from devcluster.run.attach.links import Links
from devcluster.run.attach.sides import ClusterSide
from devcluster.run.attach.waits import tell_waits
from devcluster.run.changes import Changes
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

_BROKEN = (RefusedError, ConnectionError, TimeoutError)
_GONE = 15.0  # seconds until the old pods have ended, once nobody needs them


class Release:
    """One.  ``unserved``: which pod's original does not serve, and why; ``notes``: what was done for it."""

    def __init__(self, wanted: Wanted, links: Links, cluster: ClusterSide, changes: Changes) -> None:
        self.unserved: list[str] = []
        self.notes: list[str] = []
        self._wanted = wanted
        self._links = links
        self._cluster = cluster
        self._changes = changes

    async def perform(self, turn: Turn) -> None:
        """Until the originals serve, or will not."""
        waits = tell_waits(self._links, self._wanted, self._changes, turn)
        async with running(waits, name=f"waits of {self._wanted.workload.key}"):
            told = [link for link in self._links.live if link.connected]
            failed = await self._links.tell("release", timeout=turn.deadline.left(), tolerant=True, last=True)
            self._note_unready([link for link in told if link not in [it for it, _ in failed]])
            worn = [(link, str(error)) for link, error in failed if _is_worn(error)]
            for link, error in failed:
                if not _is_worn(error):
                    self._tell_failure(link, error, turn)
            if worn:
                await self._replace(worn, turn)

    def _note_unready(self, released: list[PodLink]) -> None:
        """What ran on beside the laptop gets its connections back, ready or not."""
        for link in released:
            state = link.agent_state
            if state.child == "running" and state.reason:
                why = f"pod {link.pod.name}: the application is not ready: {state.reason}"
                self.unserved.append(f"{why}; as soon as it is, it serves")

    def _tell_failure(self, link: PodLink, error: BaseException, turn: Turn) -> None:
        wanted = self._wanted
        late = isinstance(error, TimeoutError) or (
            isinstance(error, RefusedError) and error.kind == "timeout"
        )
        wait = render_wait(link.agent_state, wanted.container, wanted.pod_spec) if late else ""
        if wait:
            self.unserved.append(f"pod {link.pod.name}: {wait}; as soon as it does, it serves")
            return
        turn.say(wanted.workload.key, render_silence("release", error))

    async def _replace(self, worn: list[tuple[PodLink, str]], turn: Turn) -> None:
        known = {link.pod.uid for link in self._links.all}
        await self._until_alone(turn)
        ended = [link for link, why in worn if await self._end(link, why, turn)]
        try:
            async with turn.deadline.bound():
                for _ in ended:
                    known.add(await self._release_new(known))
        except TimeoutError:
            text = f"no new pod of {self._wanted.title} serves yet"
            self.unserved.append(f"{text} ({self._links.trouble})" if self._links.trouble else text)
        except RefusedError as error:
            self.unserved.append(f"{error}, in a new pod, too")
        finally:
            for link in ended:
                await self._let_end(link, turn)
        await self._until_gone(ended, turn)

    async def _until_alone(self, turn: Turn) -> None:
        """While no pod is ready connections go to each that still serves as it ends: also to one from before
        the agent, which has no front."""
        if not self._cluster.early:
            return
        said: set[str] = set()
        with contextlib.suppress(TimeoutError):
            async with (
                turn.deadline.part(turn.deadline.left() / 2).bound(),
                contextlib.aclosing(self._cluster.watch_former()) as states,
            ):
                async for former in states:
                    if not former:
                        return
                    for pod in sorted(former - said):
                        text = f"waiting until pod {pod}, which has no agent, has ended"
                        turn.say(self._wanted.workload.key, text)
                    said |= former

    async def _end(self, link: PodLink, why: str, turn: Turn) -> bool:
        """Whether the pod will be another one."""
        stays = self._cluster.early and link.agent_state.route == "laptop"
        meanwhile = ", while the laptop serves on until the new one is ready" if stays else ""
        text = f"{why}, so it can't start again in its container: pod {link.pod.name} is replaced{meanwhile}"
        turn.say(self._wanted.workload.key, text)
        left = math.ceil(turn.deadline.left())
        try:
            if stays:
                await link.call("stay", ms=left * 1000)
            grace = max(round(stop_time(self._wanted.pod_spec)), left) if stays else None
            await self._cluster.replace_pod(link.pod, grace=grace)
        except ForbiddenError as error:
            self.unserved.append(f"{why}, and its pod {link.pod.name} must be replaced: {error.message}")
            return False
        except _BROKEN as error:
            self.unserved.append(f"{why}, and its agent was lost: {error or type(error).__name__}")
            return False
        self.notes.append(f"pod {link.pod.name} was replaced: {why}")
        return True

    async def _release_new(self, known: set[str]) -> str:
        """The uid of a pod that serves now, and is none of *known*."""
        while True:
            await self._changes.until(lambda: bool(self._new(known)))
            link = self._new(known)[0]
            try:
                await link.call("release")
            except (ConnectionError, TimeoutError):
                await self._changes.until(lambda link=link: link not in self._new(known))  # type: ignore[misc]
                continue
            link.let_go()
            await self._changes.until(lambda link=link: link.pod.ready or link not in self._links.all)  # type: ignore[misc]
            return link.pod.uid

    def _new(self, known: set[str]) -> list[PodLink]:
        return [link for link in self._links.held if link.pod.uid not in known]

    async def _let_end(self, link: PodLink, turn: Turn) -> None:
        with contextlib.suppress(*_BROKEN):
            async with turn.deadline.part(_GONE).bound():
                if link.connected:
                    await link.call("stay", ms=0)

    async def _until_gone(self, links: list[PodLink], turn: Turn) -> None:
        with contextlib.suppress(TimeoutError):
            async with turn.deadline.part(_GONE).bound():
                await self._changes.until(lambda: not any(link in self._links.all for link in links))


def render_silence(request: str, error: BaseException) -> str:
    """An agent did not do *request*."""
    why = f" ({error})" if str(error) else ""
    return f"an agent did not answer `{request}`{why}. It gives the traffic back when its lease ends"


def _is_worn(error: BaseException) -> bool:
    """Whether the original has ended while it was started again."""
    return isinstance(error, RefusedError) and error.kind == "child-failed"
