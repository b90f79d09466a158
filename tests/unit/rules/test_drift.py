"""What of ours was taken back; what others do beside us is none of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from devcluster.rules.cluster.drift import Drift, service_drift, template_drift
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.cluster.services import FrontPort, PortMove
from devcluster.rules.cluster.template import Wrapping, wrap_template
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]
CONTAINER = {
    "name": "web",
    "image": "web:1",
    "args": ["serve"],
    "ports": [{"name": "http", "containerPort": 8080}],
    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
    "resources": {"limits": {"memory": "64Mi"}},
}
BEFORE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
WRAPPING = Wrapping("s", ("c-00",), ("/app", "serve"), fronts=(FrontPort(PortKey(8080), 9901, "http"),))
WRAPPED = wrap_template(BEFORE, container="web", wrapping=WRAPPING)
ORIGINALS = Originals(WorkloadRef("deployment", "shop", "web"), "u", "web", BEFORE, WRAPPED, 10, 20, "1")


def drift(template: Json) -> tuple[Drift, ...]:
    return template_drift(ORIGINALS, {"spec": {"template": template}})


def edited(**container: Any) -> Json:
    template = copy.deepcopy(WRAPPED)
    template["spec"]["containers"][0] |= container
    return template


def test_nothing_has_drifted() -> None:
    assert drift(WRAPPED) == ()
    beside = edited(env=[{"name": "MORE", "value": "1"}])
    beside["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert drift(beside) == ()


def test_the_whole_template_was_put_back() -> None:
    (one,) = drift(BEFORE)
    assert one.effect == "gone"
    assert one.text == "the template of deployment/web was put back: its pods have no agent"


def test_half_of_it_was_put_back() -> None:
    (one,) = drift(edited(args=["serve"]))
    assert (one.effect, one.text) == (
        "part",
        "deployment/web: spec.containers[web].args is not as `up` wrote it",
    )
    ports = [{"name": "http", "containerPort": 8080}]
    assert {item.text.split()[1] for item in drift(edited(ports=ports))} == {
        "spec.containers[web].ports[8080/TCP].name",
        "spec.containers[web].ports[9901/TCP]",
    }


def test_memory_costs_no_request() -> None:
    (one,) = drift(edited(resources={"limits": {"memory": "64Mi"}}))
    assert one.effect == "none"


def test_a_variable_that_was_put_back_costs_no_request() -> None:
    before = copy.deepcopy(BEFORE)
    memory = {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}
    before["spec"]["containers"][0] |= {
        "env": [memory, {"name": "OPTS", "value": "-Xmx$(MEM)"}],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    wrapped = wrap_template(before, container="web", wrapping=WRAPPING)
    live = copy.deepcopy(wrapped)
    live["spec"]["containers"][0]["env"] = before["spec"]["containers"][0]["env"]
    (one,) = template_drift(
        replace(ORIGINALS, template=before, wrapped=wrapped), {"spec": {"template": live}}
    )
    assert (one.effect, ".env[OPTS].value" in one.text) == ("none", True)


def test_another_image_is_told() -> None:
    """And what it means for a command that only the image has."""
    text = "deployment/web now runs web:2, and ran web:1 when the agent was installed"
    assert drift(edited(image="web:2")) == (
        Drift(
            f"{text}; until the next `devcluster up` the original would start with the former image's "
            "command",
            "none",
        ),
    )
    before = copy.deepcopy(BEFORE)
    before["spec"]["containers"][0]["command"] = ["/app"]
    item = {"spec": {"template": edited(image="web:2")}}
    assert template_drift(replace(ORIGINALS, template=before), item) == (Drift(text, "none"),)


def test_services() -> None:
    move = PortMove("web", PortKey(80), 8080, 9901)

    def service(target: int) -> Json:
        return {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "targetPort": target}]}}

    assert service_drift([move], [service(9901)]) == ()
    assert service_drift([move], [service(1234)]) == ()  # theirs
    (past,) = service_drift([move], [service(8080)])
    assert past.text == "service/web port 80 bypasses the agent and leads to 8080"
    assert service_drift([move], []) == (Drift("service/web is gone"),)


def test_the_udp_port_of_the_same_number_leads_where_it_should() -> None:
    ports = [{"port": 53, "targetPort": 9901}, {"port": 53, "targetPort": 53, "protocol": "UDP"}]
    live = {"metadata": {"name": "dns"}, "spec": {"ports": ports}}
    assert service_drift([PortMove("dns", PortKey(53), 53, 9901)], [live]) == ()
