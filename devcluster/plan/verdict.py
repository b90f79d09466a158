"""What the connections of a proof say of a route; pure.

Hops, from the caller on: ``service`` (its selector and ports), ``endpoint`` (a ready pod behind it),
``network`` (the way there from inside the cluster), ``agent`` (held by us), ``lane`` (to this laptop),
``local container`` (somebody accepts); ``host process`` is what holds them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from devcluster.rules.agent.agent_state import Route
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]
ProofState = Literal["proven", "broken", "skipped"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one Service port.  ``ms``: the slowest connection of it, or None."""

    service: str
    port: PortKey
    state: ProofState
    hop: str = ""
    reason: str = ""
    pods: tuple[str, ...] = ()
    ms: float | None = None

    def row(self) -> Json:
        """As ``status --verify -o json`` shows it."""
        return asdict(self) | {"port": self.port.number, "protocol": self.port.protocol}


@dataclass(frozen=True, slots=True)
class Try:
    """One connection: to ``to`` (host:port); ``pod`` '' is whichever the Service chooses."""

    to: str
    pod: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The connections that prove one Service port; ``note`` is shown even if they succeed."""

    service: str
    port: PortKey
    tries: tuple[Try, ...]
    note: str = ""


def staying(name: str, port: PortKey, why: str) -> Verdict:
    """Of a Service port that the original goes on answering."""
    return Verdict(name, port, "skipped", reason=f"stays with the original, since {why}")


@dataclass(frozen=True, slots=True)
class ProofAnswer:
    """What an agent says to a connection that proves the route.  ``address``: its pod's; ``port``: the
    application's; ``errno``, ``text``: why nobody accepted, '' where somebody did."""

    address: str
    port: int
    route: Route
    errno: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try.  ``answer`` None: no agent gave one, and ``stage``, ``errno`` and ``text`` say
    how far it came (``connect`` or ``answer``) and why.  ``ms``: milliseconds until the answer."""

    answer: ProofAnswer | None = None
    ms: float = 0.0
    stage: str = ""
    errno: str = ""
    text: str = ""


def parse_outcome(told: Mapping[str, Any]) -> Outcome:
    """The answer to ``prove``, as docs/architecture.md gives it."""
    answer = told.get("answer")
    found = None
    if answer is not None:
        found = ProofAnswer(
            answer["address"],
            answer["port"],
            answer["route"],
            answer.get("errno", ""),
            answer.get("text", ""),
        )
    return Outcome(
        found, told.get("ms", 0.0), told.get("stage", ""), told.get("errno", ""), told.get("text", "")
    )


def untried(text: str) -> Outcome:
    """No agent could be asked."""
    return Outcome(stage="connect", text=text)


def judge(
    attempt: Trial,
    outcomes: Sequence[Outcome],
    names: Mapping[str, str],
    *,
    local: str = "local container",
    port_map: Mapping[PortKey, int] = MappingProxyType({}),
) -> Verdict:
    """*outcomes*: what ``prove`` answered to each of the tries, in order; *names*: pods by address; *local*:
    what accepts on the laptop, at the pod's ports but for *port_map*."""
    pods: set[str] = set()
    for one, outcome in zip(attempt.tries, outcomes, strict=True):
        if outcome.answer is None:
            hop, reason = _unanswered(one, outcome)
            return Verdict(attempt.service, attempt.port, "broken", hop, reason)
        hop, reason = _answered(outcome.answer, names, local, port_map)
        if hop:
            return Verdict(attempt.service, attempt.port, "broken", hop, reason)
        pods.add(names.get(outcome.answer.address, outcome.answer.address))
    slowest = max(outcome.ms for outcome in outcomes)
    return Verdict(attempt.service, attempt.port, "proven", "", attempt.note, tuple(sorted(pods)), slowest)


def _answered(
    answer: ProofAnswer, names: Mapping[str, str], local: str, port_map: Mapping[PortKey, int]
) -> tuple[str, str]:
    """('', '') where the laptop accepted."""
    pod = f"pod {names.get(answer.address, answer.address)}"
    errno, port = answer.errno, answer.port
    if answer.route == "child":
        return "agent", f"{pod} is not held: the original answers"
    if answer.route == "queue":
        return "agent", f"{pod} holds connections back at the moment"
    if errno in ("EAGAIN", "ESTALE"):
        return "lane", f"no lane to {pod} is open"
    mapped = port_map.get(PortKey(port), port)
    where = f"127.0.0.1:{mapped}" if local == "process" else f"port {mapped} of the {local}"
    where += f" (pod port {port})" if mapped != port else ""
    if errno == "ECONNREFUSED":
        return local, f"nobody listens on {where}"
    if errno:
        return local, f"{where}: {errno} ({answer.text})"
    return "", ""


def _unanswered(one: Try, outcome: Outcome) -> tuple[str, str]:
    where = f"pod {one.pod} ({one.to})" if one.pod else f"the Service's address {one.to}"
    errno, text = outcome.errno, outcome.text
    if outcome.stage == "answer":
        if errno == "ETIMEDOUT":
            return (
                "lane",
                f"{where} accepted the connection, but then nothing happened: the lane or the gateway hangs",
            )
        return (
            "endpoint",
            f"{where} accepted the connection, but no agent of devcluster answered ({errno or text})",
        )
    if errno == "ECONNREFUSED":
        return "endpoint", f"{where} refuses connections from inside the cluster"
    return "network", f"{where} can't be reached from inside the cluster: {errno or text}"


def broken_everywhere(
    expected: Collection[tuple[str, PortKey]],
    hop: str,
    reason: str,
    stays: Mapping[tuple[str, PortKey], str] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """Every Service port that led here, broken by what all of them share; but for those of *stays*."""
    return tuple(
        staying(name, port, stays[name, port])
        if (name, port) in stays
        else Verdict(name, port, "broken", hop, reason)
        for name, port in sorted({*expected, *stays})
    )
