"""The local container: Kubernetes' meaning of the pod, Compose's of the file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devcluster.config.model import Healthcheck, Publish, Runtime, Target, Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.agent.facts import PodFacts
from devcluster.rules.container.environment import LocalEnvironment
from devcluster.rules.container.health import healthcheck_source, narrow
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.container.local_container import (
    ContainerSpec,
    local_container,
    network_runtime,
    render_command_hint,
)
from devcluster.rules.ports.ports import PortKey, resolve_port_map
from devcluster.rules.ports.published_ports import published_ports

Json = dict[str, Any]

OFF = Healthcheck("off")
FACTS = PodFacts(
    environment=(),
    command=("/run.sh", "serve", "--port=80"),
    cwd="/srv",
    uid=1001,
    gid=0,
    groups=(1001, 2000),
    hostname="w-1",
    address="10.0.0.9",
    resolv_conf="",
    hosts="",
)


IMAGE = ImageFacts("sha256:1", ("/image",), (), "SIGWINCH", "", "", "amd64", ())


def local(container: Json, pod: Json | None = None, image: ImageFacts = IMAGE, **file: Any) -> ContainerSpec:
    return local_container(
        container=container,
        pod_spec=pod or {},
        facts=FACTS,
        workload=Workload("w", Target("w"), **file),
        image=image,
        environment=LocalEnvironment((("A", "1"),)),
        memory=(("/mem", 64 << 20), ("/run/any", None), ("/dev/shm", 1 << 20)),  # noqa: S108
    )


@pytest.mark.parametrize(
    ("container", "file", "expected"),
    [
        ({}, {}, (None, None)),
        ({"command": ["/run.sh"]}, {}, (("/run.sh",), ("serve", "--port=80"))),
        (
            {"command": ["/run.sh", "serve"], "args": ["--port=$(P)"]},
            {},
            (("/run.sh", "serve"), ("--port=80",)),
        ),
        ({"command": ["a", "b", "c"]}, {}, (FACTS.command, None)),
        ({"args": ["serve", "--port=$(P)"]}, {}, (None, ("serve", "--port=80"))),
        ({"command": ["/run.sh"]}, {"command": ("x",)}, (("/run.sh",), ("x",))),
        ({"args": ["a", "b"]}, {"command": ("x",)}, (None, ("x",))),
        ({"command": ["/run.sh"]}, {"entrypoint": ("e",)}, (("e",), None)),
        ({"args": ["a"]}, {"entrypoint": ("e",)}, (("e",), None)),
        ({"command": ["/run.sh"]}, {"entrypoint": ("e",), "command": ("x",)}, (("e",), ("x",))),
        ({}, {"entrypoint": (), "command": ("x",)}, ((), ("x",))),
        ({}, {"command": ()}, (("/image",), None)),
        ({"args": ["serve"]}, {"command": ()}, (("/image",), None)),
        ({"command": ["/run.sh"]}, {"command": ()}, (("/run.sh",), None)),
    ],
)
def test_command(container: Json, file: Json, expected: tuple[Any, Any]) -> None:
    spec = local(container, **file)
    assert (spec.entrypoint, spec.command) == expected


@pytest.mark.parametrize(
    ("entrypoint", "command", "file", "expected"),
    [
        (("/init",), (), {}, False),
        ((), ("/lib/systemd/systemd",), {}, False),
        (("/image",), (), {"entrypoint": ("/init", "run")}, False),
        (("/init",), (), {"runtime": Runtime(init=True)}, True),
        (("/init",), (), {"entrypoint": ("/image",)}, None),
        (("/usr/bin/tini", "--"), ("/init",), {}, None),
        (("/image",), (), {"runtime": Runtime(init=False)}, False),
    ],
)
def test_an_image_that_must_be_process_1_gets_no_init(
    entrypoint: tuple[str, ...], command: tuple[str, ...], file: Json, expected: bool | None
) -> None:
    image = replace(IMAGE, entrypoint=entrypoint, command=command)
    assert local({}, image=image, **file).runtime.init is expected


@pytest.mark.parametrize(
    ("container", "file", "said"),
    [
        ({"command": ["/run.sh"]}, {"image": "dev"}, True),
        ({"command": ["/run.sh"]}, {"image": "dev", "command": ("x",)}, True),
        ({"command": ["/run.sh"]}, {"image": "dev", "entrypoint": ("x",)}, False),
        ({"command": ["/run.sh"]}, {}, False),
        ({"args": ["serve"]}, {"image": "dev"}, False),
    ],
)
def test_a_command_that_another_image_may_not_have(container: Json, file: Json, said: bool) -> None:
    hint = render_command_hint(container, FACTS, Workload("w", Target("w"), **file))
    assert hint.startswith(f"{FACTS.command[0]} is the pod's command, which dev may not have") == said
    assert bool(hint) == said


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"workloads\.w: both command and"):
        local({"command": ["/run.sh"]}, entrypoint=(), command=())


def test_what_the_agent_reports_unless_the_file_says() -> None:
    spec = local({})
    assert (spec.user, spec.groups, spec.working_dir) == ("1001:0", (1001, 2000), "/srv")
    spec = local({}, user="root", working_dir="/x")
    assert (spec.user, spec.groups, spec.working_dir) == ("root", (), "/x")


def test_stop_signal_and_grace() -> None:
    spec = local({})
    assert (spec.stop_signal, spec.stop_grace) == ("SIGWINCH", 30)
    spec = local({"lifecycle": {"stopSignal": "SIGUSR1"}}, {"terminationGracePeriodSeconds": 0})
    assert (spec.stop_signal, spec.stop_grace) == ("SIGUSR1", 0)


def test_security_is_the_pods_and_the_file_over_it() -> None:
    security = {
        "capabilities": {"add": ["NET_RAW"], "drop": ["ALL", "SYS_PTRACE"]},
        "readOnlyRootFilesystem": True,
        "privileged": True,
        "allowPrivilegeEscalation": False,
    }
    file = Runtime(cap_add=("CAP_SYS_PTRACE",), cap_drop=("net_raw",))
    spec = local({"securityContext": security}, runtime=file)
    assert spec.runtime.cap_add == ("SYS_PTRACE",)
    assert spec.runtime.cap_drop == ("ALL", "NET_RAW")
    assert spec.read_only_root
    assert not spec.runtime.privileged
    assert spec.runtime.security_opt == ("no-new-privileges:true",)


def test_what_is_of_the_network_goes_to_its_owner() -> None:
    pod = {"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "9"}]}}
    file = Runtime(extra_hosts=(("a", "1.2.3.4"),), sysctls=(("kernel.msgmax", "1"), ("net.x", "2")))
    spec = local({}, pod, runtime=file)
    assert (spec.runtime.extra_hosts, spec.runtime.sysctls) == ((), (("kernel.msgmax", "1"),))
    network = network_runtime(pod, Workload("w", Target("w"), runtime=file))
    assert network.extra_hosts == (("a", "1.2.3.4"),)
    assert network.sysctls == (("net.core.somaxconn", "9"), ("net.x", "2"))


def test_memory_volumes_are_tmpfs() -> None:
    spec = local({})
    assert spec.memory_volumes == (("/mem", 64 << 20), ("/run/any", None))
    assert spec.runtime.shm_size == 1 << 20
    assert local({}, runtime=Runtime(shm_size=5)).runtime.shm_size == 5


def test_ports() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 80}]
    assert published_ports({"ports": ports}, Workload("w", Target("w")), {}) == (
        Publish(80, 80, written=False),
        Publish(53, 53, protocol="udp", written=False),
    )
    assert published_ports({"ports": ports}, Workload("w", Target("w"), ports=()), {}) == ()


def test_a_port_that_only_a_service_knows_is_one_too() -> None:
    """As `kubectl create deployment` and `kubectl expose` leave it."""
    workload, served = Workload("w", Target("w")), (PortKey(8080),)
    assert published_ports({}, workload, {}, served) == (Publish(8080, 8080, written=False),)
    assert published_ports({}, workload, {PortKey(8080): 80}, served) == (Publish(80, 8080, written=False),)
    assert healthcheck_source({}, workload, {}, served).ports == (8080,)
    assert healthcheck_source({}, workload, {PortKey(8080): 80}, served).ports == (80,)


def test_what_is_written_is_added_to_the_ports() -> None:
    """A debugger's port does not take away the application's."""
    container = {"ports": [{"containerPort": 80}, {"containerPort": 8443}]}
    debugger, other = Publish(5678, 5678), Publish(80, 9000)
    workload = Workload("w", Target("w"), ports=(debugger, other))
    assert published_ports(container, workload, {}) == (debugger, other, Publish(8443, 8443, written=False))


def test_a_mapped_port_is_published_under_the_pods_number() -> None:
    container = {"ports": [{"containerPort": 80}]}
    found = published_ports(container, Workload("w", Target("w")), {PortKey(80): 3000})
    assert found == (Publish(3000, 80, written=False),)
    assert published_ports({}, Workload("w", Target("w")), {PortKey(80): 3000}) == found  # nobody declared it
    written = Workload("w", Target("w"), ports=(Publish(3000, 9000),))
    assert published_ports(container, written, {PortKey(80): 3000}) == (Publish(3000, 9000),)


def test_a_number_of_two_protocols_is_two_ports() -> None:
    container = {"name": "dns", "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]}
    port_map = resolve_port_map(((53, 5353),), container)
    found = published_ports(container, Workload("w", Target("w")), port_map)
    assert found == (Publish(5353, 53, written=False), Publish(53, 53, protocol="udp", written=False))
    assert healthcheck_source(container, Workload("w", Target("w")), port_map).ports == (5353,)


def test_the_pods_probes_ask_the_mapped_port() -> None:
    container = {
        "ports": [{"containerPort": 8080, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "livenessProbe": {"grpc": {"port": 8080}},
    }
    plan = healthcheck_source(container, Workload("w", Target("w")), {PortKey(8080): 3000})
    assert plan.probe == {"httpGet": {"path": "/", "port": 3000}}
    assert healthcheck_source(
        {"ports": container["ports"]}, Workload("w", Target("w")), {PortKey(8080): 3000}
    ).ports == (3000,)


def test_a_port_map_may_name_a_port() -> None:
    container = {"name": "web", "ports": [{"containerPort": 8080, "name": "http"}]}
    assert resolve_port_map((("http", 3000), (9000, 9001)), container) == {
        PortKey(8080): 3000,
        PortKey(9000): 9001,
    }
    with pytest.raises(ConfigurationError, match="no port named grpc"):
        resolve_port_map((("grpc", 1),), container)
    with pytest.raises(ConfigurationError, match="port 8080 of the pod comes to 3000 and to 3001"):
        resolve_port_map((("http", 3000), (8080, 3001)), container)


@pytest.mark.parametrize("port", ["dns", 53])
def test_a_port_map_of_datagrams_is_refused_by_its_name(port: str | int) -> None:
    udp = {"containerPort": 53, "name": "dns", "protocol": "UDP"}
    with pytest.raises(ConfigurationError, match=f"port_map: {port}: only TCP comes .* not port 53/UDP"):
        resolve_port_map(((port, 5353),), {"name": "web", "ports": [udp]})
    both = {"name": "web", "ports": [udp, {"containerPort": 53, "name": "dns-tcp"}]}
    assert resolve_port_map(((53, 5353),), both) == {PortKey(53): 5353}


def test_health_comes_from_the_pod() -> None:
    workload = Workload("w", Target("w"))
    http = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5}
    ports = [{"containerPort": 8080, "name": "http"}]
    plan = healthcheck_source({"ports": ports, "readinessProbe": http}, workload)
    assert plan.probe == {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 5}
    assert http["httpGet"] == {"path": "/", "port": "http"}
    assert healthcheck_source({"ports": ports}, workload).ports == (8080,)
    off = Workload("w", Target("w"), healthcheck=OFF)
    assert healthcheck_source({"readinessProbe": http}, off).kind == "none"


def test_what_is_asked_on() -> None:
    """The readiness probe, else the liveness probe; not the startup probe, nor within a few seconds."""
    workload = Workload("w", Target("w"))
    ports = [{"name": "http", "containerPort": 8080}]
    http = {"httpGet": {"path": "/", "port": "http"}}
    ready = healthcheck_source({"ports": ports, "readinessProbe": http, "livenessProbe": {}}, workload)
    assert (ready.lasting, ready.period, ready.failures) == (ready.probe, 10, 3)
    quick = {"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 2}
    alive = healthcheck_source({"ports": ports, "livenessProbe": quick}, workload)
    assert (alive.kind, alive.lasting, alive.period, alive.failures) == ("ports", quick, 1, 5)
    assert healthcheck_source({"startupProbe": http}, workload).lasting is None
    assert healthcheck_source({"livenessProbe": {"exec": {}}}, workload).lasting is None
    assert healthcheck_source({"livenessProbe": http}, replace(workload, healthcheck=OFF)).lasting is None


def test_an_exec_probe_is_dockers_to_run() -> None:
    probe = {"exec": {"command": ["cat", "/ok"]}, "failureThreshold": 2, "timeoutSeconds": 3}
    spec = local({"readinessProbe": probe, "startupProbe": {"exec": {}, "failureThreshold": 6}})
    assert spec.health == Healthcheck("block", ("CMD", "cat", "/ok"), 2, 3, 10, 60)


def test_a_declared_port_that_the_original_does_not_listen_on() -> None:
    declared = {"ports": [{"containerPort": 80}, {"containerPort": 8080}]}
    plan = healthcheck_source(declared, Workload("w", Target("w")))
    assert narrow(plan, {8080, 9102}).ports == (8080,)
    assert narrow(plan, {8080}).patience == 30
    assert (narrow(plan, {9102}).ports, narrow(plan, {9102}).patience) == ((80, 8080), 5)
    unknown = healthcheck_source({}, Workload("w", Target("w")))
    assert (narrow(unknown, {7000, 80}).ports, narrow(unknown, {7000}).patience) == ((80, 7000), 5)
    assert narrow(unknown, set()).ports == ()
    probed = healthcheck_source(
        declared | {"readinessProbe": {"tcpSocket": {"port": 80}}}, Workload("w", Target("w"))
    )
    assert narrow(probed, set()) == probed
