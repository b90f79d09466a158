"""The wrapped template: what changes, and that nothing else does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from devcluster.errors import ConfigurationError
from devcluster.rules.agent.agent_settings import agent_settings
from devcluster.rules.cluster.memory import MEMORY
from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.cluster.template import (
    Wrapping,
    check_template,
    detect_init,
    original_command,
    wrap_template,
)
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.ports.ports import PortKey

IMAGE = ImageFacts("sha256:1", ("/entry", "$HOME"), ("run", "$(NAME)"), "SIGWINCH", "", "/", "amd64", ())
FRONTS = (FrontPort(PortKey(8080), 9901, "http"), FrontPort(PortKey(8443), 9902, None))


def template(**container: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"containerPort": 8443}]
    target = {"name": "web", "image": "web:1", "ports": ports} | container
    other = {"name": "side", "image": "side:1", "ports": [{"name": "m", "containerPort": 9000}]}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [other, target]}}


def wrap(original: dict[str, Any], **words: Any) -> dict[str, Any]:
    wrapping = Wrapping("devcluster-deployment-web", ("chunk-00", "chunk-01"), ("/app", "-x"), **words)
    return wrap_template(original, container="web", wrapping=wrapping)


def web(wrapped: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = wrapped["spec"]["containers"][1]
    return found


def test_only_the_target_is_touched() -> None:
    original = template()
    before = copy.deepcopy(original)
    wrapped = wrap(original, fronts=FRONTS)
    assert original == before
    assert wrapped["metadata"] == before["metadata"]
    assert wrapped["spec"]["containers"][0] == before["spec"]["containers"][0]
    assert web(wrapped)["command"] == ["/.devcluster/bin/boot", "guard", "--", "/app", "-x"]


def test_secret_gives_the_pod_no_private_key_of_the_laptop() -> None:
    etc = wrap(template())["spec"]["volumes"][1]
    assert [item["key"] for item in etc["secret"]["items"]] == [
        "agent.key",
        "laptop.pub",
        "agent.json",
        "record.json",
    ]


def test_chunks_and_boot() -> None:
    sources = wrap(template())["spec"]["volumes"][0]["projected"]["sources"]
    seen = [
        (one["configMap"]["name"], [item["path"] for item in one["configMap"]["items"]]) for one in sources
    ]
    assert seen == [("chunk-00", ["a.00", "boot"]), ("chunk-01", ["a.01"])]


def test_emptydir_delivery() -> None:
    wrapped = wrap(template(), delivery="emptydir")
    assert web(wrapped)["command"][:2] == ["/.devcluster/bin/boot", "--into=/.devcluster/run/agent"]
    assert wrapped["spec"]["volumes"][2] == {"name": "devcluster-run", "emptyDir": {"sizeLimit": "64Mi"}}


def test_port_name_moves_and_number_stays() -> None:
    assert web(wrap(template(), fronts=FRONTS))["ports"] == [
        {"containerPort": 8080},
        {"containerPort": 8443},
        {"name": "http", "containerPort": 9901, "protocol": "TCP"},
    ]


def test_probes_ask_the_agent_and_hooks() -> None:
    startup = {"tcpSocket": {"port": "http"}}
    lifecycle = {"postStart": {"exec": {"command": ["a"]}}, "preStop": {"exec": {"command": ["b"]}}}
    original = template(startupProbe=startup, readinessProbe=startup, lifecycle=lifecycle)
    wrapped = web(wrap(original))
    assert wrapped["readinessProbe"]["httpGet"] == {"path": "/.devcluster/ready", "port": 9900}
    assert wrapped["readinessProbe"]["periodSeconds"] == 1
    assert wrapped["livenessProbe"]["httpGet"]["path"] == "/.devcluster/live"
    assert "startupProbe" not in wrapped
    assert wrapped["lifecycle"] == {"preStop": lifecycle["preStop"]}


def test_a_hook_that_calls_the_application_is_the_agents() -> None:
    calling = {"preStop": {"httpGet": {"path": "/quit", "port": "http"}}}
    original = template(lifecycle={**calling, "stopSignal": "SIGQUIT"})
    assert web(wrap(original))["lifecycle"] == {"stopSignal": "SIGQUIT"}
    assert "lifecycle" not in web(wrap(template(lifecycle=calling)))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"limits": {"memory": "256Mi"}}, {"limits": {"memory": "304Mi"}}),
        (
            {"limits": {"memory": "256Mi"}, "requests": {"memory": "268435456"}},
            {"limits": {"memory": "304Mi"}, "requests": {"memory": "304Mi"}},
        ),
        (
            {"limits": {"memory": "1G"}, "requests": {"memory": "64Mi"}},
            {"limits": {"memory": "1050331648"}, "requests": {"memory": "64Mi"}},
        ),
        ({"requests": {"memory": "64Mi"}}, {"requests": {"memory": "64Mi"}}),
    ],
)
def test_memory_limit_grows_by_the_agents_share(resources: Any, expected: Any) -> None:
    assert web(wrap(template(resources=resources)))["resources"] == expected


def test_architecture_is_pinned_in_every_alternative() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, {"matchFields": []}]
    original = template()
    original["spec"]["affinity"] = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    }
    node = wrap(original, pin="arm64")["spec"]["affinity"]["nodeAffinity"]
    found = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    wish = {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}
    assert [wish in term["matchExpressions"] for term in found] == [True, True]
    assert "affinity" in wrap(template(), pin="arm64")["spec"]


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, ("/entry", "$$HOME", "run", "$$(NAME)")),
        ({"args": ["$(A)"]}, ("/entry", "$$HOME", "$(A)")),
        ({"command": ["/c", "$(A)"]}, ("/c", "$(A)")),
        ({"command": ["/c"], "args": ["a b", "x\ny"]}, ("/c", "a b", "x\ny")),
    ],
)
def test_command_is_what_kubelet_would_run(container: Any, expected: tuple[str, ...]) -> None:
    assert original_command({"name": "web"} | container, IMAGE) == expected


def test_unreadable_image_names_the_way_on() -> None:
    with pytest.raises(ConfigurationError) as caught:
        original_command({"name": "web", "image": "private/x:1"}, None)
    assert "private/x:1" in caught.value.message
    assert "pod_command" in caught.value.hint
    assert original_command({"name": "web", "command": ["/a"]}, None) == ("/a",)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("/init",), "s6-overlay's /init"),
        (("/sbin/init",), "an init system"),
        (("/usr/lib/systemd/systemd", "--system"), "systemd"),
        (("s6-svscan", "/etc"), "s6-svscan"),
        (("/usr/bin/tini", "--", "/init"), None),
        (("/opt/app/init", "db"), None),
        ((), None),
    ],
)
def test_inits_that_must_be_process_1(argv: tuple[str, ...], name: str | None) -> None:
    assert detect_init(argv) == name


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"shareProcessNamespace": True}, "shareProcessNamespace"),
        ({"os": {"name": "windows"}}, "Windows"),
    ],
)
def test_pods_that_cannot_carry_an_agent(spec: dict[str, Any], word: str) -> None:
    original = template()
    original["spec"] |= spec
    with pytest.raises(ConfigurationError, match=word):
        check_template(original, container="web", agent_port=9900, command=("/app",))


def test_agents_port_must_be_free() -> None:
    with pytest.raises(ConfigurationError, match="9000"):
        check_template(template(), container="web", agent_port=9000, command=("/app",))


def test_settings() -> None:
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 7}
    original = template(readinessProbe=probe)
    original["spec"]["terminationGracePeriodSeconds"] = 5
    settings = agent_settings(original, container="web", image=IMAGE, fronts=FRONTS, port=9900, lease=15.0)
    assert settings["ports"] == [
        {"port": 8080, "protocol": "TCP", "front": 9901},
        {"port": 8443, "protocol": "TCP", "front": 9902},
    ]
    assert settings["readiness_probe"] == {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 7}
    assert (settings["grace_ms"], settings["lease_ms"]) == (5000, 15000)
    assert settings["stop_signal"] == "SIGWINCH"
    assert {"liveness_probe", "figures", "sync"} & settings.keys() == set()


def test_the_agent_is_told_where_the_laptop_may_write() -> None:
    settings = agent_settings(
        template(), container="web", image=IMAGE, fronts=(), port=9900, lease=15.0, live=("/data",)
    )
    assert settings["sync"] == ["/data"]


def test_the_memory_is_told_as_it_was() -> None:
    original = template(
        command=["/app", "-m=$(MEM)"],
        env=[{"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}],
        resources={"limits": {"memory": "1000"}},
    )
    settings = agent_settings(original, container="web", image=IMAGE, fronts=(), port=9900, lease=15.0)
    assert settings["figures"] == [{"name": "MEM", "raised": str(1000 + MEMORY), "plain": "1000"}]
    wrapping = Wrapping("s", ("c",), original_command(web(original), IMAGE))
    wrapped = web(wrap_template(original, container="web", wrapping=wrapping))
    assert wrapped["env"] == web(original)["env"]
    assert wrapped["command"][-2:] == ["/app", "-m=1000"]


def test_every_name_of_a_port_moves() -> None:
    ports = [{"name": name, "containerPort": 8080} for name in ("http", "metrics")]
    assert web(wrap(template(ports=ports), fronts=FRONTS))["ports"] == [
        {"containerPort": 8080},
        {"name": "http", "containerPort": 9901, "protocol": "TCP"},
        {"name": "metrics", "containerPort": 9901, "protocol": "TCP"},
    ]


def test_of_a_number_that_speaks_tcp_and_udp_only_the_tcp_name_moves() -> None:
    ports = [
        {"name": "dns", "containerPort": 8080, "protocol": "UDP"},
        {"name": "dns-tcp", "containerPort": 8080},
    ]
    assert web(wrap(template(ports=ports), fronts=FRONTS))["ports"] == [
        {"name": "dns", "containerPort": 8080, "protocol": "UDP"},
        {"containerPort": 8080},
        {"name": "dns-tcp", "containerPort": 9901, "protocol": "TCP"},
    ]


def test_a_udp_port_of_the_agents_number_is_another_port() -> None:
    original = template(ports=[{"containerPort": 9900, "protocol": "UDP"}])
    check_template(original, container="web", agent_port=9900, command=("/app",))
    original = template(ports=[{"containerPort": 9900}])
    with pytest.raises(ConfigurationError, match="the pod itself uses port 9900"):
        check_template(original, container="web", agent_port=9900, command=("/app",))


def test_agents_port_must_be_free_of_services_too() -> None:
    with pytest.raises(ConfigurationError, match="9900"):
        check_template(
            template(), container="web", agent_port=9900, command=("/app",), routed=(PortKey(9900),)
        )


@pytest.mark.parametrize(
    ("spec", "mount", "word"),
    [
        ({}, {"name": "v", "mountPath": "/.devcluster"}, "/.devcluster"),
        ({}, {"name": "v", "mountPath": "/.devcluster/etc"}, "/.devcluster/etc"),
        (
            {"volumes": [{"name": "devcluster-etc"}]},
            {"name": "v", "mountPath": "/v"},
            "volume devcluster-etc",
        ),
    ],
)
def test_the_agents_places_must_be_free(spec: dict[str, Any], mount: dict[str, Any], word: str) -> None:
    original = template(volumeMounts=[mount])
    original["spec"] |= spec
    with pytest.raises(ConfigurationError, match=f"has {word}, which the agent needs"):
        check_template(original, container="web", agent_port=9900, command=("/app",))
