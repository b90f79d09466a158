"""The command, killed with SIGKILL at one of its steps: ``python -m tests.scenarios.die_after -- up -d``.

A step is one call that changes something outside the process: a request to the API server that writes, a
call to the Docker engine that does, a request to an agent.  Steps have names and not
numbers alone, since some run beside each other: ``host up: create secrets #1`` is the first creation of a
Secret by the host process while it serves an ``up``.  The host process that ``up -d`` leaves behind is
covered too: it is started by this module again, and the environment is inherited.

Only calls that succeed are steps: to remove what is not there changes nothing.  Of what is said to the
agents the first time counts, since they may be told again at any moment.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.docker.call import Calls
from devcluster.edge.kube.paths import ApiPath
from devcluster.edge.kube.transport import Transport
from devcluster.run.commands import up
from devcluster.run.host import process as hosting
from devcluster.run.host.session import Session

STEP = "FIRE_STEP"  # where to die: a step's name, or `PROCESS PHASE: !`, the next write to the cluster
WHEN = "FIRE_WHEN"  # `after` (default) or `before` it
RECORD = "FIRE_RECORD"  # a file that gets the name of each step once it is done

T = TypeVar("T")
_LOOKS = {"ask", "find", "follow", "inspect", "list", "read", "wait", "watch"}
_ORDERS = {"hold", "pause", "release", "stop", "take"}
_REVIEW = "selfsubjectaccessreviews"


class Fire:
    """Names the steps of this process, and ends it at the one that was asked for."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.phase = ""
        self._seen: Counter[str] = Counter()
        self._target = os.environ.get(STEP, "")
        self._when = os.environ.get(WHEN, "after")
        self._record = os.environ.get(RECORD, "")

    async def step(self, what: str, work: Awaitable[T]) -> T:
        if self.phase and self._when == "before" and self._meant(self._name(what)):
            _die()
        result = await work
        self.done(what)
        return result

    def done(self, what: str) -> None:
        if not self.phase:
            return
        name = self._name(what)
        self._seen[name.rpartition(" ")[0]] += 1
        if what.startswith("tell") and not name.endswith("#1"):
            return
        if self._record:
            with Path(self._record).open("a") as file:
                file.write(f"{name}\n")
        if self._when == "after" and self._meant(name):
            _die()

    def _name(self, what: str) -> str:
        title = f"{self.process} {self.phase}: {what}"
        return f"{title} #{self._seen[title] + 1}"

    def _meant(self, name: str) -> bool:
        written = re.fullmatch(r"(.+: )(create|patch|delete) [a-z]+s #\d+", name)
        return self._target in (name, written[1] + "!" if written else name)

    @contextlib.contextmanager
    def during(self, phase: str) -> Iterator[None]:
        self.phase = phase
        try:
            yield
        finally:
            self.phase = ""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch_cluster(fire: Fire) -> None:
    real = Transport.request

    @functools.wraps(real)
    async def request(self: Transport, method: str, where: ApiPath, verb: str, **words: Any) -> bytes:
        work = real(self, method, where, verb, **words)
        if method == "GET" or where.resource == _REVIEW or "dryRun" in (words.get("query") or {}):
            return await work
        return await fire.step(f"{verb} {where.resource}", work)

    Transport.request = request  # type: ignore[method-assign]


def watch_engine(fire: Fire) -> None:
    real = Calls.call

    @functools.wraps(real)
    async def call(self: Calls, what: str, function: Callable[..., T], *args: Any, **words: Any) -> T:
        work = real(self, what, function, *args, **words)
        return await (work if what.split()[0] in _LOOKS else fire.step(_plain(what), work))

    Calls.call = call  # type: ignore[method-assign,assignment]


def watch_agent(fire: Fire) -> None:
    real = AgentLink.call

    @functools.wraps(real)
    async def call(self: AgentLink, do: str, **words: Any) -> Any:
        work = real(self, do, **words)
        return await (fire.step(f"tell the agent to {do}", work) if do in _ORDERS else work)

    AgentLink.call = call  # type: ignore[method-assign]


def watch_session(fire: Fire) -> None:
    """The host process is asked for ``up``, ``leave`` and ``down``, one after the other."""

    def during(phase: str, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(real)
        async def work(*args: Any, **words: Any) -> Any:
            with fire.during(phase):
                return await real(*args, **words)

        return work

    for method, phase in (("apply", "up"), ("leave", "leave"), ("down", "down")):
        setattr(Session, method, during(phase, getattr(Session, method)))


def _plain(what: str) -> str:
    """Without what differs from one run to the next."""
    what = re.sub(r"devcluster-shop-[0-9a-f]{6}-?", "", what)
    what = re.sub(r"-files-[0-9a-f]{6}$", "-files", what)
    return re.sub(r" [0-9a-f]{12,}$", "", what).strip()


def main() -> None:
    words = sys.argv[1:]
    fire = Fire("host" if words[0] == "host" else "command")
    for watch in (watch_cluster, watch_engine, watch_agent):
        watch(fire)
    if words[0] == "host":
        watch_session(fire)
        sys.argv = words
        hosting.main()
        return
    from devcluster.cli.main import main as command

    up.HOST = ("tests.scenarios.die_after", "host")
    sys.argv = ["devcluster", *words[1:]]
    fire.phase = words[1]
    command()


if __name__ == "__main__":
    main()
