"""Which Services lead to the workload, and how they are led to the agent and back."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.service_patch import (
    MOVED,
    apply_moves,
    noted_moves,
    noted_workload,
    undo_moves,
    unmoved,
)
from devcluster.rules.cluster.services import (
    FrontPort,
    PortMove,
    Route,
    check_listed,
    known_ports,
    plan_fronts,
    plan_moves,
    resolve_target,
    routes,
)
from devcluster.rules.ports.ports import PortKey

WEB = WorkloadRef("deployment", "shop", "web")


def service(name: str, *ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": list(ports)} | spec,
    }


TEMPLATE = {
    "metadata": {"labels": {"app": "web", "tier": "front"}},
    "spec": {
        "containers": [
            {"name": "side", "ports": [{"name": "metrics", "containerPort": 9902}]},
            {
                "name": "web",
                "ports": [
                    {"name": "http", "containerPort": 8080},
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                ],
            },
        ],
        "initContainers": [
            {"name": "first", "ports": [{"containerPort": 7000}]},
            {"name": "mesh", "restartPolicy": "Always", "ports": [{"containerPort": 9100}]},
        ],
    },
}


def found(*services: dict[str, Any], others: tuple[dict[str, str], ...] = ()) -> list[str]:
    items = routes(services, TEMPLATE, container="web", others=others)
    return [f"{r.service}:{r.port}>{r.target}={r.container_port} {r.left_alone}".strip() for r in items]


def test_named_numeric_and_default_targets() -> None:
    ports = ({"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8080}, {"port": 8081})
    assert found(service("a", *ports)) == ["a:80>http=8080", "a:81>8080=8080", "a:8081>8081=8081"]


def test_the_ports_that_are_known() -> None:
    """Also where nobody has declared one, as `kubectl create deployment` makes it."""
    bare = {"metadata": TEMPLATE["metadata"], "spec": {"containers": [{"name": "web"}]}}
    numeric = service("a", {"port": 80, "targetPort": 8080})
    assert known_ports(bare, []) == ()
    assert known_ports(bare, [numeric, service("b", {"port": 80}, selector={"app": "x"})]) == (PortKey(8080),)
    both = service("a", {"port": 80, "targetPort": "http"}, {"port": 5000})
    assert list(map(str, known_ports(TEMPLATE, [both]))) == ["9902", "8080", "53/UDP", "5000"]


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("wep", "namespace shop has no Service wep", "did you mean web?"),
        ("api", "namespace shop has no Service api", "what leads to it: web"),
        ("other", "service/other does not lead to deployment/web", "what leads to it: web"),
    ],
)
def test_a_service_that_is_listed_must_lead_here(name: str, said: str, hint: str) -> None:
    services = [service("web", {"port": 8080}), service("other", {"port": 80}, selector={"app": "other"})]
    ways = routes(services, TEMPLATE, container="web", only=["web", name])
    with pytest.raises(ConfigurationError, match=said) as caught:
        check_listed(["web", name], services, ways, WEB)
    assert caught.value.hint == hint
    check_listed(["web"], services, ways, WEB)


def test_a_service_that_is_listed_must_be_one_that_can_be_led() -> None:
    services = [service("peers", {"port": 8080}, clusterIP="None")]
    ways = routes(services, TEMPLATE, container="web", only=["peers"])
    with pytest.raises(ConfigurationError, match="can't be led to the laptop: it is headless"):
        check_listed(["peers"], services, ways, WEB)


def test_what_is_not_ours() -> None:
    others = ({"port": 1, "targetPort": "metrics"}, {"port": 2, "targetPort": 9902})
    assert found(service("a", *others)) == []
    assert found(service("a", {"port": 80}, selector={"app": "other"})) == []
    assert found(service("a", {"port": 80}, selector=None)) == []


def test_a_sidecars_port_is_the_sidecars() -> None:
    ports = [{"port": number, "targetPort": number} for number in (7000, 9100)]
    assert found(service("both", *ports)) == ["both:7000>7000=7000"]


def test_left_alone_with_the_reason() -> None:
    port = {"port": 80, "targetPort": 8080}
    assert "headless" in found(service("a", port, clusterIP="None"))[0]
    assert "other workloads" in found(service("a", port), others=({"app": "web", "tier": "canary"},))[0]
    named = {"port": 80, "targetPort": "http"}
    assert found(service("a", named), others=({"app": "web"},)) == ["a:80>http=8080"]


def fronts_of(
    items: Sequence[Route], template: dict[str, Any] = TEMPLATE, *, agent_port: int = 9900, **more: Any
) -> tuple[FrontPort, ...]:
    return plan_fronts(items, template, container="web", agent_port=agent_port, **{"first": 9901} | more)


def test_fronts_skip_ports_in_use() -> None:
    items = routes(
        [service("a", {"port": 80, "targetPort": "http"}, {"port": 9901}, {"port": 7000})],
        TEMPLATE,
        container="web",
    )
    fronts = fronts_of(items, agent_port=9903)
    assert fronts == (
        FrontPort(PortKey(7000), 9904),
        FrontPort(PortKey(8080), 9905, "http"),
        FrontPort(PortKey(9901), 9906),
    )
    moves = plan_moves(items, fronts)
    assert moves == (PortMove("a", PortKey(7000), 7000, 9904), PortMove("a", PortKey(9901), 9901, 9906))
    direct = fronts_of(items, front=False)
    assert all(item.front is None for item in direct)
    assert plan_moves(items, direct) == ()


def test_fronts_avoid_what_any_container_declares_in_any_protocol() -> None:
    """A sidecar, an init container, a port of UDP: each may take the number after us."""
    items = routes([service("a", {"port": 80, "targetPort": "http"})], TEMPLATE, container="web")
    for number in (53, 7000, 9100, 9902):
        (taken,) = (item.front for item in fronts_of(items, first=number) if item.front)
        assert taken == number + 1


def test_fronts_end_at_the_highest_port() -> None:
    items = routes([service("a", {"port": 80}, {"port": 81})], TEMPLATE, container="web")
    assert {item.front for item in fronts_of(items, first=65534)} == {65534, 65535, None}
    with pytest.raises(ConfigurationError, match="not enough free ports from 65535 on"):
        fronts_of(items, first=65535)


def test_tcp_and_udp_of_one_number_are_two_ports() -> None:
    """Of which the agent leads one; the other is named."""
    ports = [
        {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
        {"name": "dns-tcp", "containerPort": 5353},
    ]
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "ports": ports}]},
    }
    targets = [
        {"port": 53, "targetPort": "dns", "protocol": "UDP"},
        {"port": 53, "targetPort": "dns-tcp"},
        {"port": 54, "targetPort": "dns"},  # no port of TCP has that name
        {"port": 55, "targetPort": 5353, "protocol": "UDP"},
    ]
    items = routes([service("a", *targets)], template, container="web")
    assert [(str(it.port), str(it.container_port), it.left_alone) for it in items] == [
        ("53/UDP", "5353/UDP", "the agent does not lead UDP"),
        ("53", "5353", ""),
        ("55/UDP", "5353/UDP", "the agent does not lead UDP"),
    ]
    assert fronts_of(items, template) == (FrontPort(PortKey(5353), 9901, "dns-tcp"),)


def test_a_number_belongs_to_the_container_that_declares_it_in_that_protocol() -> None:
    beside = {"name": "beside", "ports": [{"containerPort": 8125, "protocol": "UDP"}]}
    spec = {"containers": [{"name": "web"}, beside]}
    assert resolve_target(8125, "UDP", spec, "web") == ("beside", 8125)
    assert resolve_target(8125, "TCP", spec, "web") == ("web", 8125)


def _patched(item: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    result = copy.deepcopy(item)
    for one in operations:
        *parts, key = [part.replace("~1", "/") for part in one["path"].split("/")[1:]]
        place: Any = result
        for part in parts:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if one["op"] == "test":
            assert place[key] == one["value"]
        elif one["op"] == "remove":
            del place[key]
        else:
            place[key] = one["value"]
    return result


@pytest.mark.parametrize("notes", [None, {"team": "shop"}])
def test_there_and_back(notes: dict[str, str] | None) -> None:
    live = service("a", {"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "http"})
    if notes is not None:
        live["metadata"]["annotations"] = notes
    moves = (PortMove("a", PortKey(80), 8080, 9901), PortMove("b", PortKey(81), 1, 2))
    led = _patched(live, apply_moves(live, moves, WEB))
    assert led["spec"]["ports"][0]["targetPort"] == 9901
    assert apply_moves(led, moves, WEB) == []
    assert unmoved(led, moves)["spec"] == unmoved(led, ())["spec"] == live["spec"]
    assert noted_workload(led) == WEB
    assert noted_moves(led) == moves[:1]
    operations, kept = undo_moves(led, moves)
    assert (_patched(led, operations), kept) == (live, ())
    assert undo_moves(live, moves) == ([], ())


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '{"workload": 1, "ports": [[1]]}'])
def test_a_note_that_says_nothing(text: str) -> None:
    live = service("a", {"port": 80, "targetPort": 8080})
    live["metadata"]["annotations"] = {"devcluster/moved": text}
    assert (noted_moves(live), noted_workload(live)) == ((), None)


def test_after_wrapping_anew_either_front_is_ours() -> None:
    moves = (PortMove("a", PortKey(80), 8080, 9901), PortMove("a", PortKey(80), 8080, 9902))
    for front in (9901, 9902):
        live = service("a", {"port": 80, "targetPort": front})
        operations, kept = undo_moves(live, moves)
        assert (_patched(live, operations)["spec"]["ports"][0]["targetPort"], kept) == (8080, ())


def test_a_teammates_port_stays_and_is_named() -> None:
    live = service("a", {"port": 80, "targetPort": 3000})
    assert undo_moves(live, (PortMove("a", PortKey(80), 8080, 9901),)) == (
        [],
        ("service/a port 80: targetPort",),
    )


def test_a_number_that_speaks_tcp_and_udp() -> None:
    """Two ports of a Service, told apart by their protocol alone."""
    live = service("a", {"port": 53, "targetPort": 53}, {"port": 53, "targetPort": 53, "protocol": "UDP"})
    moves = (PortMove("a", PortKey(53), 53, 9901),)
    led = _patched(live, apply_moves(live, moves, WEB))
    assert [port["targetPort"] for port in led["spec"]["ports"]] == [9901, 53]
    assert unmoved(led, moves)["spec"] == live["spec"]
    operations, kept = undo_moves(led, moves)
    assert (_patched(led, operations), kept) == (live, ())


def test_a_port_that_was_given_another_number_meanwhile_is_led_back() -> None:
    """Else it would lead to the agent's port, where nobody listens after `down`."""
    moves = (PortMove("a", PortKey(80), 8080, 9901), PortMove("a", PortKey(81), 8081, 9902))
    live = service("a", {"port": 8888, "targetPort": 9901}, {"port": 80, "targetPort": 9902})
    wanted = service("a", {"port": 8888, "targetPort": 8080}, {"port": 80, "targetPort": 8081})
    operations, kept = undo_moves(live, moves)
    assert (_patched(live, operations), kept) == (wanted, ())
    assert unmoved(live, moves)["spec"] == wanted["spec"]


def test_of_two_containers_with_one_port_name_the_first_is_meant() -> None:
    """As kube-proxy's endpoints have it."""
    one, two = (
        {"name": n, "ports": [{"name": "http", "containerPort": p}]} for n, p in (("a", 1), ("web", 2))
    )
    live = [service("s", {"port": 80, "targetPort": "http"})]

    def numbers(*containers: dict[str, Any], **spec: Any) -> list[int]:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": list(containers)} | spec}
        return [route.container_port.number for route in routes(live, template, container="web")]

    assert numbers(one, two) == []
    assert numbers(two, one) == [2]
    assert numbers(two, initContainers=[one | {"restartPolicy": "Always"}]) == [2]  # sidecars come last


def test_a_port_with_several_names_has_one_front() -> None:
    ports = [
        {"containerPort": 8080},
        {"name": "http", "containerPort": 8080},
        {"name": "metrics", "containerPort": 8080},
    ]
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "ports": ports}]},
    }
    targets = [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": "metrics"}]
    items = routes([service("a", *targets)], template, container="web")
    assert fronts_of(items, template) == (FrontPort(PortKey(8080), 9901, "http"),)


SHARED = (
    service("a", {"port": 80, "targetPort": "http"}),
    service("b", {"port": 80, "targetPort": "http"}),
)


def _install(*services: dict[str, Any], only: tuple[str, ...] | None = None) -> tuple[Any, Any]:
    found = routes(services, TEMPLATE, container="web", only=only)
    fronts = plan_fronts(found, TEMPLATE, container="web", agent_port=9900, first=47100)
    return fronts, plan_moves(found, fronts)


def test_a_service_that_is_not_listed_keeps_the_name_they_share() -> None:
    """The listed one is led by the front's number, and its name comes back."""
    fronts, moves = _install(*SHARED, only=("a",))
    assert [(it.front, it.staying) for it in fronts if it.port == PortKey(8080)] == [
        (47100, frozenset({"http"}))
    ]
    assert moves == (PortMove("a", PortKey(80), "http", 47100),)
    ref = WorkloadRef("deployment", "n", "web")
    led = apply_moves(SHARED[0], moves, ref)
    assert led[1] == {"op": "replace", "path": "/spec/ports/0/targetPort", "value": 47100}
    noted = SHARED[0] | {
        "metadata": {"name": "a", "namespace": "n", "annotations": {MOVED: led[-1]["value"][MOVED]}}
    }
    assert noted_moves(noted) == moves
    live = service("a", {"port": 80, "targetPort": 47100})
    assert undo_moves(live, moves)[0][1] == {
        "op": "replace",
        "path": "/spec/ports/0/targetPort",
        "value": "http",
    }
    assert unmoved(live, moves)["spec"]["ports"][0]["targetPort"] == "http"


def test_where_all_are_led_the_name_moves_and_no_service_is_patched() -> None:
    fronts, moves = _install(*SHARED)
    assert [it.staying for it in fronts if it.front] == [frozenset()]
    assert moves == ()


def test_a_headless_service_keeps_its_name_and_the_others_are_patched() -> None:
    """The mode does not matter for that: a change of it needs no roll-out."""
    headless = service("h", {"port": 8080, "targetPort": "http"}, clusterIP="None")
    fronts, moves = _install(SHARED[0], headless)
    assert [it.staying for it in fronts if it.front] == [frozenset({"http"})]
    assert moves == (PortMove("a", PortKey(80), "http", 47100),)
