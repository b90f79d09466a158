"""What an outcome means."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.plan.verdict import Trial, Try, Verdict, broken_everywhere, judge, parse_outcome
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]


def test_what_stays_is_not_broken_by_what_breaks_the_rest() -> None:
    (peers, web) = broken_everywhere(
        {("web", PortKey(80))}, "agent", "held", {("peers", PortKey(80)): "it is headless"}
    )
    assert (peers.state, web.state) == ("skipped", "broken")


def _judged(*outcomes: Json) -> Verdict:
    tries = tuple(Try(f"10.96.0.7:{80 + i}") for i in range(len(outcomes)))
    told = [parse_outcome(outcome) for outcome in outcomes]
    return judge(Trial("web", PortKey(80), tries), told, {"10.244.0.9": "web-1"})


def _answer(route: str = "laptop", errno: str = "") -> Json:
    return {"answer": {"address": "10.244.0.9", "port": 8080, "route": route, "errno": errno}, "ms": 2.0}


def test_an_answer_by_the_laptop_is_the_proof() -> None:
    verdict = _judged(_answer(), _answer() | {"ms": 3.0})
    assert (verdict.state, verdict.pods, verdict.ms) == ("proven", ("web-1",), 3.0)


@pytest.mark.parametrize(
    ("outcome", "hop"),
    [
        (_answer("child"), "agent"),
        (_answer("queue", "EAGAIN"), "agent"),
        (_answer(errno="EAGAIN"), "lane"),
        (_answer(errno="ECONNREFUSED"), "local container"),
        (_answer(errno="ETIMEDOUT"), "local container"),
        ({"stage": "connect", "errno": "ECONNREFUSED"}, "endpoint"),
        ({"stage": "connect", "errno": "ETIMEDOUT"}, "network"),
        ({"stage": "answer", "errno": "ETIMEDOUT"}, "lane"),
        ({"stage": "answer", "errno": "", "text": "a stranger"}, "endpoint"),
        ({"stage": "answer", "errno": "ECONNRESET"}, "endpoint"),
    ],
)
def test_every_other_outcome_names_its_hop(outcome: Json, hop: str) -> None:
    verdict = _judged(_answer(), outcome)
    assert (verdict.state, verdict.hop) == ("broken", hop)
    assert verdict.reason


@pytest.mark.parametrize(
    ("local", "port_map", "reason"),
    [
        ("local container", {}, "nobody listens on port 8080 of the local container"),
        ("local container", {8080: 80}, "nobody listens on port 80 of the local container (pod port 8080)"),
        ("process", {}, "nobody listens on 127.0.0.1:8080"),
        ("process", {8080: 3000}, "nobody listens on 127.0.0.1:3000 (pod port 8080)"),
    ],
)
def test_where_nobody_listens_is_told_by_the_laptops_port(
    local: str, port_map: dict[int, int], reason: str
) -> None:
    mapped = {PortKey(port): number for port, number in port_map.items()}
    refused = [parse_outcome(_answer(errno="ECONNREFUSED"))]
    attempt = Trial("web", PortKey(80), (Try("10.96.0.7:80"),))
    assert judge(attempt, refused, {}, local=local, port_map=mapped).reason == reason
