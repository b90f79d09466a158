"""What is certain without trying, and what is tried."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from devcluster.plan.proof import Behind, plan_proofs
from devcluster.plan.verdict import Trial, Verdict
from devcluster.rules.cluster.service_patch import MOVED
from devcluster.rules.cluster.services import routes
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]
_LABELS = {"app": "web"}


def _pod(name: str, ip: str, *, ready: bool = True, labels: Json | None = None, **metadata: Any) -> Json:
    ports = [{"containerPort": 8080}, {"name": "http", "containerPort": 9901, "protocol": "TCP"}]
    beside = {"name": "beside", "ports": [{"name": "metrics", "containerPort": 9100}]}
    ready_now = {"type": "Ready", "status": str(ready), "message": "containers with unready status: [beside]"}
    return {
        "metadata": {"name": name, "labels": _LABELS if labels is None else labels, **metadata},
        "spec": {"containers": [{"name": "web", "ports": ports}, beside]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [ready_now]},
    }


def _service(*ports: Json, name: str = "web", ip: str = "10.96.0.7", **spec: Any) -> Json:
    base: Json = {"selector": _LABELS, "clusterIP": ip, "ports": list(ports)}
    return {"metadata": {"name": name}, "spec": base | spec}


_HTTP: Json = {"port": 80, "targetPort": "http"}
_POD = _pod("web-1", "10.244.0.9")


def _behind(*services: Json, **changes: Any) -> Behind:
    base = Behind(
        title="deployment/web",
        container="web",
        labels=_LABELS,
        ports=frozenset({PortKey(8080), PortKey(9901)}),
        services=services,
        pods=(_POD,),
        own=frozenset({"web-1"}),
        agents={"web-1": ""},
        expected=frozenset({("web", PortKey(80))}),
    )
    return dataclasses.replace(base, **changes)


def _one(behind: Behind) -> Trial | Verdict:
    (plan,) = plan_proofs(behind)
    return plan


def _broken(behind: Behind) -> tuple[str, str]:
    plan = _one(behind)
    assert isinstance(plan, Verdict)
    assert plan.state == "broken"
    return plan.hop, plan.reason


def _tries(behind: Behind) -> list[str]:
    plan = _one(behind)
    assert isinstance(plan, Trial), plan
    return [one.to for one in plan.tries]


@pytest.mark.parametrize("target", ["http", 9901, 8080])
def test_one_pod_is_tried_through_the_service(target: str | int) -> None:
    assert _tries(_behind(_service({"port": 80, "targetPort": target}))) == ["10.96.0.7:80"]


def test_each_of_several_pods_is_tried_too() -> None:
    pods = (_POD, _pod("web-2", "fd00::2"))
    behind = _behind(
        _service(_HTTP), pods=pods, own=frozenset({"web-1", "web-2"}), agents={"web-1": "", "web-2": ""}
    )
    assert _tries(behind) == ["10.96.0.7:80", "10.244.0.9:9901", "[fd00::2]:9901"]


def test_a_headless_service_is_its_pods() -> None:
    assert _tries(_behind(_service(_HTTP, ip="None"))) == ["10.244.0.9:9901"]


def test_what_leads_to_others_too_is_never_tried_through_the_service() -> None:
    behind = _behind(_service(_HTTP), pods=(_POD, _pod("canary", "10.244.0.10")))
    assert _tries(behind) == ["10.244.0.9:9901"]
    plan = _one(behind)
    assert isinstance(plan, Trial)
    assert "canary" in plan.note


def test_another_containers_port_is_not_ours_to_prove() -> None:
    metrics = {"port": 9100, "targetPort": "metrics"}
    plan = _one(_behind(_service(metrics), expected=frozenset()))
    assert isinstance(plan, Verdict)
    assert (plan.state, plan.reason) == (
        "skipped",
        "it leads to container beside of the pods, which goes on in the cluster",
    )


def test_a_port_that_another_container_was_seen_to_listen_on() -> None:
    """Nobody declares it, so it is tried all the same."""
    behind = _behind(
        _service({"port": 80, "targetPort": 4180}),
        ports=frozenset({PortKey(4180)}),
        beside={4180: 4180},
    )
    plan = _one(behind)
    assert isinstance(plan, Trial)
    assert plan.note.startswith("another container of the pods listens on port 4180")


def test_a_number_of_ours_that_leads_to_others_too_is_broken_for_them() -> None:
    """They came after `up`, and refuse what the Service sends to the agent's port."""
    service = _service({"port": 80, "targetPort": 9901})
    service["metadata"]["annotations"] = {
        MOVED: '{"workload": "deployment/web", "ports": [[80, 8080, 9901]]}'
    }
    assert _tries(_behind(service)) == ["10.96.0.7:80"]
    canary = _pod("canary", "10.244.0.10")
    hop, reason = _broken(_behind(service, pods=(_POD, canary)))
    assert hop == "service"
    assert "leads to canary, which does not belong to deployment/web" in reason
    assert "devcluster up" in reason
    service["spec"]["ports"][0]["targetPort"] = 8080  # somebody gave it back
    assert _tries(_behind(service, pods=(_POD, canary))) == ["10.244.0.9:8080"]


@pytest.mark.parametrize("target", ["metrics", 9090])
@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_verify_skips_what_up_leaves_to_another_container(place: str, target: str | int) -> None:
    """A second container, and a native sidecar."""
    ports = [{"name": "metrics", "containerPort": 9090}]
    beside = {"name": "mesh", "restartPolicy": "Always", "ports": ports}
    pod = copy.deepcopy(_POD)
    del pod["spec"]["containers"][1]
    pod["spec"].setdefault(place, []).append(beside)
    service = _service({"port": 9090, "targetPort": target})
    template = {"metadata": pod["metadata"], "spec": pod["spec"]}
    assert routes([service], template, container="web") == ()
    plan = _one(_behind(service, pods=(pod,), expected=frozenset()))
    assert isinstance(plan, Verdict)
    assert (plan.state, "container mesh of the pods" in plan.reason) == ("skipped", True)


def test_a_port_that_two_containers_declare_is_ours() -> None:
    pod = copy.deepcopy(_POD)
    pod["spec"]["containers"].insert(0, {"name": "first", "ports": [{"containerPort": 8080}]})
    assert _tries(_behind(_service({"port": 80, "targetPort": 8080}), pods=(pod,))) == ["10.96.0.7:80"]


def test_an_init_container_that_ended_has_no_port() -> None:
    pod = copy.deepcopy(_POD)
    pod["spec"]["initContainers"] = [{"name": "first", "ports": [{"name": "once", "containerPort": 8080}]}]
    assert _tries(_behind(_service({"port": 80, "targetPort": 8080}), pods=(pod,))) == ["10.96.0.7:80"]
    hop, reason = _broken(_behind(_service({"port": 80, "targetPort": "once"}), pods=(pod,)))
    assert (hop, "once" in reason) == ("service", True)


def test_udp_is_skipped() -> None:
    plan = _one(_behind(_service({"port": 53, "protocol": "UDP"}), expected=frozenset()))
    assert isinstance(plan, Verdict)
    assert (plan.state, plan.row()["port"], plan.row()["protocol"]) == ("skipped", 53, "UDP")


def test_the_services_hop() -> None:
    assert _broken(_behind()) == ("service", "service/web is gone")
    hop, reason = _broken(_behind(_service(_HTTP, selector={"app": "other"})))
    assert (hop, "app=other" in reason) == ("service", True)
    hop, reason = _broken(_behind(_service({"port": 80, "targetPort": 4444})))
    assert (hop, "4444" in reason) == ("service", True)
    hop, reason = _broken(_behind(_service({"port": 80, "targetPort": "nosuch"})))
    assert (hop, "nosuch" in reason) == ("service", True)
    port_gone = plan_proofs(_behind(_service({"port": 81, "targetPort": "http"})))
    assert isinstance(port_gone[0], Verdict)
    assert port_gone[0].reason == "service/web no longer has a port 80"


@pytest.mark.parametrize(
    "pod",
    [
        _pod("web-1", "10.244.0.9", ready=False),
        _pod("web-1", "10.244.0.9", labels={"app": "relabelled"}),
        _pod("web-1", "10.244.0.9", deletionTimestamp="2026-01-01T00:00:00Z"),
        _pod("web-1", ""),
    ],
    ids=["not ready", "relabelled", "ending", "no address"],
)
def test_the_endpoints_hop(pod: Json) -> None:
    assert _broken(_behind(_service(_HTTP), pods=(pod,)))[0] == "endpoint"


def test_a_pod_that_is_not_ready_says_why() -> None:
    behind = _behind(_service(_HTTP), pods=(_pod("web-1", "10.244.0.9", ready=False),))
    assert "containers with unready status" in _broken(behind)[1]


def test_a_service_that_publishes_pods_that_are_not_ready() -> None:
    service = _service(_HTTP, publishNotReadyAddresses=True)
    assert _tries(_behind(service, pods=(_pod("web-1", "10.244.0.9", ready=False),))) == ["10.96.0.7:80"]


@pytest.mark.parametrize("agents", [{}, {"web-1": "not held (lost): held by ann@elsewhere"}])
def test_the_agents_hop(agents: dict[str, str]) -> None:
    hop, reason = _broken(_behind(_service(_HTTP), agents=agents))
    assert hop == "agent"
    assert "not held" in reason


_ALONE = {("web", PortKey(80)): "`services` does not list it"}


@pytest.mark.parametrize(
    ("port", "plan"),
    [
        (_HTTP, "skipped: stays with the original, since `services` does not list it"),
        (_HTTP | {"targetPort": 8080}, "skipped: stays with the original, since `services` does not list it"),
        (_HTTP | {"targetPort": "moved"}, "broken: it leads to the laptop (`services` does not list it);"),
    ],
    ids=["by name", "by number", "by a name that leads to the agent: it came after `up`"],
)
def test_what_stays_with_the_original_is_named_and_not_tried(port: Json, plan: str) -> None:
    pod = copy.deepcopy(_POD)
    pod["spec"]["containers"][0]["ports"] = [
        {"name": "http", "containerPort": 8080},
        {"name": "moved", "containerPort": 47100},
    ]
    beside_it = {"ports": frozenset({PortKey(47100)}), "pods": (pod,), "stays": _ALONE}
    seen = _one(_behind(_service(port), **beside_it))
    assert isinstance(seen, Verdict)
    assert f"{seen.state}: {seen.reason}".startswith(plan)


def test_a_service_that_came_later_and_leads_past_the_agent() -> None:
    """Beside the original its own ports are its own."""
    behind = _behind(_service({"port": 80, "targetPort": 8080}), ports=frozenset({PortKey(47100)}))
    hop, reason = _broken(behind)
    assert (hop, "`devcluster up` adds it" in reason) == ("service", True)


def test_tcp_and_udp_of_one_number_are_two() -> None:
    service = _service(_HTTP, {"port": 80, "protocol": "UDP"})
    assert [type(one) for one in plan_proofs(_behind(service))] == [Trial, Verdict]
