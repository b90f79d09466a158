"""When an outage of the Docker engine begins: what ended with its network did not end by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from devcluster.edge.docker.engine import Engine
from devcluster.run.changes import Changes
from devcluster.run.local.outage import Outage

AWAY = "the Docker engine does not answer"


@dataclass
class _Network:
    standing: str | None
    talks: bool = False


@dataclass
class _Engine:
    """*absences*: what it says of the namespace, one word for each question."""

    absences: list[str]
    network: _Network
    replaced: bool = False
    asked: list[str] = field(default_factory=list)

    async def tell_absence(self, netns: str) -> str:
        self.asked.append(netns)
        if self.replaced:
            self.network.standing = "another"
        return self.absences.pop(0)

    async def watch_container(self, container: str) -> Any:
        return
        yield


def _outage(network: _Network, *absences: str, replaced: bool = False) -> tuple[Outage, _Engine]:
    engine = _Engine(list(absences), network, replaced)
    return Outage(cast(Engine, engine), network, Changes()), engine


@pytest.mark.parametrize(
    ("network", "absences", "begins", "reason"),
    [
        (_Network("netns"), [AWAY], True, AWAY),
        (_Network("netns"), [""], False, ""),
        (_Network(None), [], False, ""),  # we are making another one ourselves
        (_Network("netns", talks=True), [AWAY, ""], False, ""),  # an engine that left its containers running
        (_Network("netns", talks=True), [AWAY, AWAY, ""], False, ""),
    ],
)
async def test_it_begins(network: _Network, absences: list[str], begins: bool, reason: str) -> None:
    outage, engine = _outage(network, *absences)
    assert await outage.begins() is begins
    assert outage.reason == reason
    assert len(engine.asked) == len(absences)


async def test_a_network_that_we_replaced_is_none() -> None:
    outage, _ = _outage(_Network("netns"), AWAY, "", replaced=True)
    assert await outage.begins() is False
    assert outage.reason == ""


async def test_it_ends() -> None:
    outage, _ = _outage(_Network("netns"), AWAY)
    assert await outage.begins()
    outage.end()
    await outage.until_over()
    assert outage.reason == ""


async def test_what_went_with_the_engine_did_not_end_by_itself() -> None:
    outage, _ = _outage(_Network("netns"), AWAY)
    assert await outage.until_end_of("c1") is None
    assert outage.reason == AWAY
