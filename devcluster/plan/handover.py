"""The handover of one workload as a value: what is done on the way there, on the way back and after a loss.

How a workload is taken depends on its mode, its order, its take and on what runs on the laptop.  The naive
way asks for these wherever something is done; then nobody can say what `stop-first` means without reading
five files, and a new mode is a change in each.  So this function alone asks for the order of things, and
``plan.serving`` for all else.  What it returns is printed by `plan` and performed by one executor
(``run.attach.executor``).

Rules:
- everything is read and prepared while the original serves;
- `replace` stops the original: after the local container is healthy (``start-first``), or before it starts,
  for what must never run twice (``stop-first``);
- `intercept` leads the traffic to the laptop and lets the original run on; `ingest` leads nothing;
- what ``Join`` tells the agents, it tells those of later pods, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devcluster.config.model import Mode, Order, Run, Take

AgentRequest = Literal["pause", "stop", "take", "intercept", "ingest", "release"]
_REQUESTS: dict[AgentRequest, str] = {
    "pause": "let its connections wait in the pods",
    "stop": "stop the original",
    "take": "lead its connections to the laptop",
    "intercept": "lead its connections to the laptop, beside the original",
    "ingest": "leave its connections to the original",
    "release": "lead its connections to the original",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold one agent, read the pod's facts and check that the volumes can be copied."""

    name: Literal["hold"] = "hold"

    @property
    def cause(self) -> str:
        return "nobody else may take it meanwhile"

    @property
    def undo(self) -> str:
        return "lets go of them"

    def __str__(self) -> str:
        return "hold the agents and read what the pod has"


@dataclass(frozen=True, slots=True)
class Connect:
    """The laptop's end of the pod's network: the gateway, or the laptop's own ports."""

    run: Run
    name: Literal["connect"] = "connect"

    @property
    def cause(self) -> str:
        if self.run == "host":
            return "connections arrive at the laptop's 127.0.0.1"
        return "the local side lives in the pod's network"

    @property
    def undo(self) -> str:
        return "closes it"

    def __str__(self) -> str:
        return "start the gateway" if self.run == "container" else "open the pod's way to this laptop"


@dataclass(frozen=True, slots=True)
class Fill:
    """Copy the pod's volumes to the laptop; *again*: what changed until the original had stopped."""

    again: bool = False
    name: Literal["fill"] = "fill"

    @property
    def cause(self) -> str:
        return "a private copy is safe to break"

    @property
    def undo(self) -> str:
        return "keeps a copy that was changed here"

    def __str__(self) -> str:
        return "copy what the original changed in the volumes" if self.again else "copy the pod's volumes"


@dataclass(frozen=True, slots=True)
class Flush:
    """What was written here to the live volumes is in the pod, or it is known what is not; *again*: when
    nothing here writes any more."""

    again: bool = False
    name: Literal["flush"] = "flush"

    @property
    def cause(self) -> str:
        return "what was written here belongs to the cluster"

    @property
    def undo(self) -> str:
        return ""

    def __str__(self) -> str:
        return "bring over the last of it" if self.again else "bring over what was written to the volumes"


@dataclass(frozen=True, slots=True)
class Tell:
    """Send *requests*, one after the other, to each agent that is held now.  *serving*: only where the
    laptop serves, not the original."""

    requests: tuple[AgentRequest, ...]
    serving: bool = False

    @property
    def name(self) -> str:
        return "-".join(self.requests)

    @property
    def cause(self) -> str:
        return (
            "two of it must never run at once" if "stop" in self.requests else "no connection fails meanwhile"
        )

    @property
    def undo(self) -> str:
        return "starts the original again" if "stop" in self.requests else ""

    def __str__(self) -> str:
        return ", and ".join(_REQUESTS[one] for one in self.requests)


@dataclass(frozen=True, slots=True)
class HoldAll:
    """Wait until every agent is held, so that a former holder keeps no part."""

    name: Literal["hold-all"] = "hold-all"

    @property
    def cause(self) -> str:
        return "two laptops must never each hold a part"

    @property
    def undo(self) -> str:
        return ""

    def __str__(self) -> str:
        return "wait until every agent is held"


@dataclass(frozen=True, slots=True)
class StartLocal:
    """Start a new local container and wait until it is healthy; *again*: restart the one that is there."""

    again: bool = False
    name: Literal["start"] = "start"

    @property
    def cause(self) -> str:
        return "it takes over"

    @property
    def undo(self) -> str:
        return "removes it"

    def __str__(self) -> str:
        verb = "restart" if self.again else "start"
        return f"{verb} the local container and wait until it is healthy"


@dataclass(frozen=True, slots=True)
class Replace:
    """Change the local side to match the edited file, all but the start."""

    run: Run = "container"
    name: Literal["replace"] = "replace"

    @property
    def cause(self) -> str:
        return "the file, the pod or a Service has changed since it was started"

    @property
    def undo(self) -> str:
        return ""

    def __str__(self) -> str:
        return "remove the local container that was there" if self.run == "container" else "take up the edit"


@dataclass(frozen=True, slots=True)
class Join:
    """Tell every agent *requests* once its lane is up, including those of later pods."""

    requests: tuple[AgentRequest, ...]
    name: Literal["join"] = "join"

    @property
    def cause(self) -> str:
        return "that is what the file asks for"

    @property
    def undo(self) -> str:
        return "leads them back"

    def __str__(self) -> str:
        texts = [_REQUESTS[one] for one in self.requests if one != "pause"]
        return ", and ".join(texts)


@dataclass(frozen=True, slots=True)
class StopLocal:
    """Stop the local side and keep it."""

    run: Run = "container"
    name: Literal["stop-local"] = "stop-local"

    @property
    def cause(self) -> str:
        return "it gets no more traffic"

    @property
    def undo(self) -> str:
        return ""

    def __str__(self) -> str:
        return "stop the local container" if self.run == "container" else "close the pod's way to this laptop"


@dataclass(frozen=True, slots=True)
class Rest:
    """The pause before a local container that ended with 0 is started again."""

    name: Literal["rest"] = "rest"

    @property
    def cause(self) -> str:
        return "kubelet would wait as long"

    @property
    def undo(self) -> str:
        return ""

    def __str__(self) -> str:
        return "wait until the local container is started again"


Phase = Hold | Connect | Fill | Flush | Tell | HoldAll | StartLocal | Replace | Join | StopLocal | Rest


@dataclass(frozen=True, slots=True)
class Handover:
    """``there``: from held agents to a laptop that serves; ``back``: to an original that serves, agents stay;
    ``loss``: somebody else has taken it; ``edit``: the file has changed; ``restart``: of the local container;
    ``again``: that one has ended with 0, as it may; ``before_removal``: before the agents are taken out;
    ``after_removal``: after that; ``outage``: the Docker engine is away, ``absence``: for longer than a
    lease, ``recovery``: it is back and the local container is healthy."""

    there: tuple[Phase, ...]
    back: tuple[Phase, ...]
    loss: tuple[Phase, ...]
    edit: tuple[Phase, ...]
    restart: tuple[Phase, ...]
    again: tuple[Phase, ...]
    before_removal: tuple[Phase, ...]
    after_removal: tuple[Phase, ...]
    outage: tuple[Tell, ...]
    absence: tuple[Tell, ...]
    recovery: tuple[Join, ...]


def plan_handover(
    mode: Mode, order: Order, take: Take, run: Run, *, live: bool = False, serves_on: bool = False
) -> Handover:
    """The phases of one workload.  *take* `direct` needs an original that is stopped to free its ports, which
    `replace` does; the file is refused where it can't be (``config``).  *live*: volumes are synced.  Then
    nothing that was written here may be on its way when the pods end: they are given back before their
    agents are taken out, and their volumes are looked at once more when nothing here writes any longer.
    *serves_on*: the original may serve while its pods are replaced; else its connections wait in pods that
    end."""
    assert take == "front" or mode != "intercept"
    stop_first = mode == "replace" and order == "stop-first"
    start: tuple[Phase, ...] = (StartLocal(),) if run == "container" else ()
    join = Join(_joining(mode, stop_first))
    wait: tuple[Phase, ...] = (Tell(("pause",)),) if mode != "ingest" else ()
    release: Phase = Tell(("release",))
    stop = StopLocal(run)
    prepare: tuple[Phase, ...] = (Hold(), Connect(run), Fill())
    if stop_first:
        prepare = (*prepare, Tell(("pause", "stop")), Fill(again=True))
    flush: tuple[Phase, ...] = (Flush(),) if live else ()
    last: tuple[Phase, ...] = (Flush(again=True),) if live else ()
    quiet: tuple[Phase, ...] = (*flush, *wait, stop, *last)  # nothing runs on either side
    beside: tuple[Phase, ...] = (*flush, release, stop, *last)
    back: tuple[Phase, ...] = (*quiet, release) if stop_first else beside
    leaves_first = live or (stop_first and serves_on)
    return Handover(
        there=(*prepare, *start, HoldAll(), join),
        back=back,
        loss=(stop,),
        edit=(*wait, Replace(run), Fill(), *start, join),
        restart=(*wait, StartLocal(again=True), join) if run == "container" else (),
        again=(*wait, Rest(), StartLocal(again=True), join) if run == "container" else (),
        before_removal=quiet if stop_first and not serves_on else back if leaves_first else (),
        after_removal=(stop,),
        outage=(Tell(("pause",), serving=True),) if wait else (),
        absence=(Tell(("release",), serving=True),),
        recovery=(join,),
    )


def _joining(mode: Mode, stop_first: bool) -> tuple[AgentRequest, ...]:
    if mode != "replace":
        return (mode,)
    return ("pause", "stop", "take") if stop_first else ("take", "stop")
