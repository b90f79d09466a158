"""What an agent says is read in one place, also what an older one does not say."""

from __future__ import annotations

from devcluster.rules.agent.agent_state import UNHEARD, AgentState, parse_state
from devcluster.rules.agent.facts import Listener

TOLD = {
    "versions": ["..2026_11_30_06_00_00.123"],
    "epoch": 3,
    "holder": {"user": "ann", "host": "laptop", "project": "shop", "laptop": "1f0c"},
    "since": "2026-11-23T08:00:00Z",
    "route": "laptop",
    "child": "stopped",
    "reason": "readiness probe: HTTP 503",
    "lanes": 2,
    "lease_ms": 14000,
    "listeners": [{"address": "127.0.0.1", "port": 8080, "protocol": "TCP"}],
    "neighbours": [{"address": "10.244.0.9", "port": 5432, "protocol": "UDP"}],
}


def test_all_that_is_told() -> None:
    assert parse_state(TOLD) == AgentState(
        epoch=3,
        holder="ann@laptop",
        since="2026-11-23T08:00:00Z",
        route="laptop",
        child="stopped",
        reason="readiness probe: HTTP 503",
        lanes=2,
        listeners=(Listener("127.0.0.1", 8080),),
        neighbours=(Listener("10.244.0.9", 5432, "UDP"),),
        versions=frozenset({"..2026_11_30_06_00_00.123"}),
    )


def test_what_is_left_of_a_lease_is_told_and_is_no_news() -> None:
    later = parse_state(TOLD | {"lease_ms": 13000})
    assert later.lease_ms == 13000
    assert later == parse_state(TOLD)


def test_what_nobody_tells_is_as_before_the_first_word() -> None:
    assert parse_state({}) == UNHEARD
    assert parse_state({"holder": None}).holder == ""
