"""A local pod of real containers, and a cluster that is only as large as the gateway can see.

The gateway can't be shown in a process of the test's own: its matter is a network namespace, a TUN device
and what the kernel makes of both.  So here stand the real netns and gateway containers and an application
beside them; the other end is ``agent/internal/gateway/testagent``, which speaks the real lane and dials this
machine's loopback in the cluster's place.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import json
import os
import secrets
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import docker

from devcluster.sandbox.base_image import BASE_IMAGE, ensure_base_image

AGENT = Path(__file__).parents[2] / "agent"
LABEL = "devcluster.test.gateway"
ADDRESS = "10.99.5.5"
RESOLV_CONF = """\
search wordpress.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
"""
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Images:
    gateway: str
    application: str


class Cluster:
    """The test agent: one process, one JSON line for each question."""

    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen(
            [str(binary), "agent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hello = self._read()
        self.ports: dict[str, int] = self.hello["ports"]

    def ask(self, do: str, **arguments: Any) -> Json:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Json:
        assert self._process.stdout is not None
        return cast(Json, json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def build_binaries(folder: Path) -> tuple[Path, Path]:
    gateway, application = folder / "devcluster-gateway", folder / "testagent"
    for package, out in (
        ("./cmd/devcluster-gateway", gateway),
        ("./internal/gateway/testagent", application),
    ):
        subprocess.run(
            ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(out), package],
            cwd=AGENT,
            check=True,
            env=_go_environment(),
        )
    return gateway, application


def _go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0"}


def build_images(client: Any, gateway: Path, application: Path) -> Images:
    asyncio.run(ensure_base_image())
    return Images(
        gateway=_build(client, "FROM scratch\nCOPY program /devcluster-gateway\n", gateway),
        application=_build(client, f"FROM {BASE_IMAGE}\nCOPY program /testagent\n", application),
    )


def _build(client: Any, dockerfile: str, program: Path) -> str:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        text = dockerfile.encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
        tar.add(program, "program")
    context.seek(0)
    image, _ = client.images.build(
        fileobj=context, custom_context=True, rm=True, forcerm=True, labels={LABEL: "1"}
    )
    return cast(str, image.id)


class LocalPod:
    """netns, gateway and an application, joined as the host process joins them."""

    def __init__(self, client: Any, images: Images, cluster: Cluster, stack: ExitStack) -> None:
        self._client, self._images, self._stack = client, images, stack
        self.cluster = cluster
        self.token = secrets.token_hex(16)
        self.lane = f"lane-{secrets.token_hex(4)}"
        name = f"devcluster-test-gateway-{secrets.token_hex(4)}"
        self.network = client.networks.create(name, labels={LABEL: "1"})
        stack.callback(self.network.remove)
        config = client.networks.get(self.network.id).attrs["IPAM"]["Config"][0]
        self.subnet = ipaddress.ip_network(config["Subnet"])
        self.gateway_address = config.get("Gateway") or str(next(self.subnet.hosts()))
        self.netns = self._start(
            images.gateway,
            ["/devcluster-gateway", "hold"],
            network=name,
            hostname="wordpress-abc",
            sysctls={"net.ipv6.conf.lo.disable_ipv6": "0"},
            ports={"7900/tcp": ("127.0.0.1", None), "8100/tcp": ("127.0.0.1", None)},
        )
        self.gateway = self.start_gateway()
        self.application = self._start(
            images.application,
            ["/testagent", "app", "serve", "0.0.0.0:8100"],
            network_mode=f"container:{self.netns.id}",
        )

    def settings(self) -> Json:
        return {
            "token": self.token,
            "listen": 7900,
            "key": self.cluster.hello["key"],
            "agent": self.cluster.hello["agent"],
            "epoch": 3,
            "address": ADDRESS,
            "resolv_conf": RESOLV_CONF,
            "hosts": "127.0.0.1\tlocalhost\n",
            "hostname": "wordpress-abc",
            "cluster_domains": ["cluster.local"],
            "local_names": ["*.corp.example"],
            "local_networks": [],
            "docker_network": str(self.subnet),
            "docker_gateway": self.gateway_address,
        }

    def start_gateway(self, settings: Json | None = None, *, devices: bool = True) -> Any:
        container = self._client.containers.create(
            self._images.gateway,
            ["/devcluster-gateway", "gateway"],
            network_mode=f"container:{self.netns.id}",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            devices=["/dev/net/tun:/dev/net/tun:rwm"] if devices else [],
            stdin_open=True,
            labels={LABEL: "1"},
        )
        self._stack.callback(container.remove, force=True)
        stream = container.attach_socket(params={"stdin": 1, "stream": 1})
        container.start()
        stream._sock.sendall(json.dumps(settings or self.settings()).encode() + b"\n")
        if devices:
            wait_for_log(container, "ready")
        stream._sock.close()  # SocketIO alone leaves the socket open
        stream.close()
        return container

    def _start(self, image: str, command: list[str], **options: Any) -> Any:
        container = self._client.containers.run(image, command, detach=True, labels={LABEL: "1"}, **options)
        self._stack.callback(container.remove, force=True)
        return container

    def port(self, number: int) -> int:
        self.netns.reload()
        return int(self.netns.attrs["NetworkSettings"]["Ports"][f"{number}/tcp"][0]["HostPort"])

    def docker_address(self) -> str:
        self.netns.reload()
        (network,) = self.netns.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def open_lane(self, lane: str | None = None, pod: str = "wordpress-0") -> Json:
        lane = lane or self.lane
        door = f"127.0.0.1:{self.port(7900)}"
        return self.cluster.ask("lane", door=door, token=self.token, pod=pod, lane=lane)

    def call(self, caller: str, port: int, *, do: str = "inbound", **arguments: Any) -> Json:
        """A connection from *caller* in the cluster to the application."""
        target = {"from": caller, "to": f"{ADDRESS}:{port}"}
        return self.cluster.ask(do, lane=self.lane, **target, **arguments)

    def run(self, *arguments: str) -> Json:
        """The application's own program as a client, in the local pod."""
        return cast(Json, json.loads(self.shell("/testagent", "app", *arguments)))

    def shell(self, *command: str) -> str:
        """What it says on either stream.  (docker-py's own way loses what comes with the answer's header.)"""
        words = ["docker", "exec", self.application.id, *command]
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False
        )
        return done.stdout.decode()


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def wait_for_log(container: Any, word: str, seconds: float = 20) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text: str = container.logs().decode()
        if word in text:
            return text
        container.reload()
        if container.status == "exited":
            break
        time.sleep(0.05)
    raise AssertionError(f"no {word!r} in the container's log: {container.logs().decode()}")


@contextmanager
def local_pod(client: Any, images: Images, cluster: Cluster) -> Iterator[LocalPod]:
    with ExitStack() as stack:
        yield LocalPod(client, images, cluster, stack)


def engine() -> Any:
    return docker.from_env(timeout=60)


def engine_gateway(network: str) -> str:
    """The engine's own address on one of its networks."""
    client = engine()
    try:
        config = client.networks.get(network).attrs["IPAM"]["Config"][0]
        return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    finally:
        client.close()
