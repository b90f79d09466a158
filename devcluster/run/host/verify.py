"""``status --verify``: prove, from inside the cluster, that each Service port leads to the local container.

For each attached workload: look at what is behind its Services now, tell its agents to look for proofs with a
key that is made for this one request, and let an agent open the connections.  Agents of other workloads go
first, since a pod that calls itself is a special case in every network; where their way is closed, the
workload's own try.  Nothing is asked of the application, and no value of the environment is read.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.deadline import Deadline
from devcluster.edge.lines import RefusedError
from devcluster.plan.proof import Behind, plan_proofs
from devcluster.plan.serving import entrances, find_staying
from devcluster.plan.verdict import (
    Outcome,
    Trial,
    Try,
    Verdict,
    broken_everywhere,
    judge,
    parse_outcome,
    untried,
)
from devcluster.rules.cluster.services import Route, routes
from devcluster.rules.ports.ports import PortKey
from devcluster.run.attach.agent_link import PodLink
from devcluster.run.attach.attachment import Attachment
from devcluster.run.host.session import Session
from devcluster.run.host.status_document import session_status
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
_EXPECT = 30.0  # seconds that agents look for proofs of this asking
_PROVE = 5.0  # seconds for one connection
_CALL = 5.0  # seconds for an agent's answer, besides

_SENDERS = 2
_HOPS = {
    "failed": "local container",
    "held": "agent",
    "starting": "local container",
    "left": "agent",
}


@dataclass(frozen=True, slots=True)
class _Asking:
    """One asking of one workload, in all until ``deadline``.  ``refused``: why an agent does not look, by
    pod; ``local``: what serves, in words; ``port_map``: at which ports, where these are not the pod's."""

    key: str
    local: str
    port_map: Mapping[PortKey, int]
    refused: Mapping[str, str]
    senders: tuple[PodLink, ...]
    deadline: Deadline


async def session_verify(session: Session, turn: Turn) -> Json:
    """The host process's ``status`` with ``routes`` in each row: a Verdict each."""
    document = session_status(session)
    attachments = [session.attachments[row["name"]] for row in document["workloads"]]
    found = await asyncio.gather(*(_verify(session, attachment, turn) for attachment in attachments))
    for row, verdicts in zip(document["workloads"], found, strict=True):
        row["routes"] = [verdict.row() for verdict in verdicts]
    return document


async def _verify(session: Session, attachment: Attachment, turn: Turn) -> tuple[Verdict, ...]:
    ways = _ways(attachment.wanted, attachment.wanted.install.observed.services)
    stays = find_staying(ways, attachment.wanted.serving)
    expected = frozenset((it.service, it.port) for it in ways if it.port.led)
    if (truth := attachment.truth).state in _HOPS:
        reason = truth.reason or f"{attachment.key} is {truth.state}"
        return broken_everywhere(expected, _HOPS[truth.state], reason, stays)
    async with _asking(session, attachment, turn) as asking:
        behind = await _observe(session, attachment, expected - stays.keys(), asking)
        names = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in behind.pods if _address(pod)}
        return tuple(await asyncio.gather(*(_settle(plan, asking, names) for plan in plan_proofs(behind))))


def _address(pod: Json) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")


def _ways(wanted: Wanted, services: Sequence[Json]) -> tuple[Route, ...]:
    """The ways by *services* to the workload, as they would be without us."""
    install, observed = wanted.install, wanted.install.observed
    return routes(
        install.without_us(services),
        install.base,
        container=observed.container,
        others=observed.others,
        only=install.wish.services,
    )


async def _observe(
    session: Session, attachment: Attachment, expected: frozenset[tuple[str, PortKey]], asking: _Asking
) -> Behind:
    wanted, namespace = attachment.wanted, session.site.place.namespace
    services, pods, own = await asyncio.gather(
        session.site.cluster.list("service", namespace),
        session.site.cluster.list("pod", namespace),
        session.site.cluster.list("pod", namespace, selector=wanted.object.selector),
    )
    return Behind(
        title=wanted.title,
        container=wanted.object.container,
        labels=wanted.install.base.get("metadata", {}).get("labels") or {},
        ports=entrances(wanted.serving, wanted.install.fronts),
        services=services.items,
        pods=pods.items,
        own=frozenset(item["metadata"]["name"] for item in own.items),
        agents={link.pod.name: _why(link, asking.refused) for link in attachment.links.staying},
        expected=expected,
        beside=_beside(attachment),
        stays=find_staying(_ways(wanted, services.items), wanted.serving),
    )


def _beside(attachment: Attachment) -> dict[int, int]:
    """As the agents saw it last."""
    states = [link.agent_state for link in attachment.links.staying]
    others = {it.port for state in states for it in state.neighbours}
    others -= {it.port for state in states for it in state.listeners}
    keys = {key.number: it.port.number for it in attachment.wanted.install.fronts for key in it.keys}
    return {number: port for number, port in keys.items() if port in others}


def _why(link: PodLink, refused: Mapping[str, str]) -> str:
    """Why the agent is not ours; '' if it is and looks for proofs."""
    if link.state != "attached":
        return f"not held ({link.state}): {link.reason or 'the agent was not reached yet'}"
    if not link.connected:
        return "not held: the connection to its agent is broken"
    if link.agent_state.route == "child":
        return "not held: connections go to the original (child)"
    return refused.get(link.pod.name, "")


@contextlib.asynccontextmanager
async def _asking(session: Session, attachment: Attachment, turn: Turn) -> AsyncIterator[_Asking]:
    """The agents look for proofs while the block runs."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    own = [link for link in attachment.links.staying if link.connected]
    others = [
        link
        for other in session.attachments.values()
        for link in other.links.staying
        if other is not attachment and link.connected
    ]
    refused = await _expect(own, key, _EXPECT, turn.deadline)
    try:
        wanted, senders = attachment.wanted, (*others[:1], *own)
        yield _Asking(key, wanted.serving.local, wanted.port_map, refused, senders, turn.deadline)
    finally:
        await _expect(own, key, 0, turn.deadline)


async def _expect(links: Sequence[PodLink], key: str, span: float, deadline: Deadline) -> dict[str, str]:
    """Why an agent can't, by pod."""

    async def ask(link: PodLink) -> str:
        try:
            async with deadline.part(_CALL).bound():
                agent = await link.link()
            await agent.call("expect", timeout=deadline.part(_CALL).left(), key=key, ms=round(span * 1000))
        except RefusedError as refusal:
            if refusal.kind == "unknown-request":
                return "its agent is too old for `status --verify`; `devcluster down`, then `up`, replaces it"
            return f"its agent refused: {refusal.text}"
        except (ConnectionError, TimeoutError) as error:
            return f"not held: its agent does not answer ({error or type(error).__name__})"
        return ""

    answers = await asyncio.gather(*(ask(link) for link in links))
    return {link.pod.name: answer for link, answer in zip(links, answers, strict=True) if answer}


async def _settle(plan: Trial | Verdict, asking: _Asking, names: Mapping[str, str]) -> Verdict:
    if isinstance(plan, Verdict):
        return plan
    outcomes = await asyncio.gather(*(_prove(one, asking) for one in plan.tries))
    return judge(plan, outcomes, names, local=asking.local, port_map=asking.port_map)


async def _prove(one: Try, asking: _Asking) -> Outcome:
    """The first outcome that is not the sender's own trouble."""
    outcome = untried("no agent could be asked to try")
    senders = sorted(asking.senders, key=lambda link: link.pod.name == one.pod)
    for link in senders[:_SENDERS]:
        try:
            async with asking.deadline.part(_CALL).bound():
                agent = await link.link()
            told = await agent.call(
                "prove",
                timeout=asking.deadline.part(_PROVE + _CALL).left(),
                key=asking.key,
                to=one.to,
                ms=round(_PROVE * 1000),
            )
        except (RefusedError, ConnectionError, TimeoutError) as error:
            outcome = untried(f"the agent of {link.pod.name} can't try: {error}")
            continue
        outcome = parse_outcome(told)
        if outcome.stage != "connect" or outcome.errno == "ECONNREFUSED":
            break
    return outcome
