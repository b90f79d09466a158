"""Every key of a workload's container in one file and one `up`, read back from Docker's own account of the
local pod; then an edit of one key replaces that container and nothing else."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import pytest

from devcluster.rules.container.docker_names import container_name
from tests.scenarios.world import World

Json = dict[str, Any]

_ADDRESS = "127.0.0.2"
_RANGE = "net.ipv4.ip_local_port_range"
_FILE = """\
name: shop
namespace: {namespace}
x-shared: &limits {{nofile: {{soft: 1024, hard: 2048}}, nproc: 512}}
workloads:
  web:
    x-note: [anything, goes]
    image: {app}
    pull_policy: never
    entrypoint: [/app]
    command: serve http=:8080 'echo=:7000' reset=:7003
    working_dir: /srv/here
    user: "1001:1002"
    ports:
      - "{address}:{first}:8080"
      - {{target: 7000, published: {second}}}
      - "7003"
    environment: {{IDENTITY: local, MINE: "a=b $$c", FROM_SHELL: , NOT_IN_SHELL: }}
    env_file: [one.env, {{path: absent.env, required: false}}]
    env: {{exclude: [GONE_*]}}
    mounts:
      - ./src:/mine:ro
      - {{type: tmpfs, target: /quick}}
    healthcheck:
      test: [CMD, /app, client, http, -n, "1", -url, "http://localhost:8080/healthy"]
      interval: 1s
      timeout: 20s
      retries: 30
      start_period: 1m
    cap_add: [SYS_PTRACE, net_admin]
    cap_drop: [MKNOD, CAP_CHOWN]
    devices: ["/dev/fuse:/dev/fused:r"]
    extra_hosts: ["one.example:192.0.2.7", "laptop.example:host-gateway"]
    init: true
    labels: {{example.test/colour: {colour}}}
    mem_limit: 256m
    cpus: 0.75
    security_opt: ["no-new-privileges:true"]
    shm_size: 32m
    stdin_open: true
    sysctls: {{net.ipv4.ip_local_port_range: "20000 40000", kernel.msgmax: "65537"}}
    tmpfs: ["/scratch:size=1m,mode=1770"]
    tty: true
    ulimits: *limits
  api: {{environment: {{IDENTITY: local}}}}
"""


@pytest.fixture
def settings(world: World) -> dict[str, str]:
    """What stands in the file."""
    (world.folder / "src").mkdir()
    (world.folder / "src" / "mine.txt").write_text("mine")
    world.write("FROM_FILE=from file\nMINE=covered\n", "one.env")
    world.environ["FROM_SHELL"] = "from shell"
    first, second = _free(), _free()
    words = {"namespace": world.namespace, "app": world.app, "address": _ADDRESS, "colour": "blue"}
    return words | {"first": str(first), "second": str(second)}


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _inspect(world: World, key: str, role: Any = "workload") -> Json:
    name = container_name(world.project, key, role)
    done = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=True, timeout=30)
    (found,) = json.loads(done.stdout)
    return dict(found)


def _ids(world: World, key: str) -> dict[str, str]:
    return {role: _inspect(world, key, role)["Id"] for role in ("workload", "netns", "gateway")}


_ALL = frozenset({"workload", "netns", "gateway"})
# A word of the file, what stands there instead, and which containers of `web` are made anew.
_EDITS = (
    ("{colour}", "red", frozenset({"workload"})),
    ("one.example:192.0.2.7", "one.example:192.0.2.8", _ALL),
    ("20000 40000", "20000 39999", _ALL),
    ("from shell", "from another shell", frozenset({"workload"})),
)


async def test_every_key_arrives_and_an_edit_replaces_no_more(world: World, settings: dict[str, str]) -> None:
    pod = [{"name": name, "value": "pod"} for name in ("IDENTITY", "NOT_IN_SHELL", "GONE_FIRST", "KEPT")]
    await world.deploy(container={"env": pod})
    await world.deploy("api", container={"securityContext": {"privileged": True}})
    world.write(_FILE.format(**settings))
    await world.devcluster("up", "-d")
    assert await world.who(5) == {"local": 5}
    _assert_container(_inspect(world, "web"), world)
    _assert_network(_inspect(world, "web", "netns"), _inspect(world, "web", "gateway"), settings)
    await _assert_hosts(world, "192.0.2.7")
    assert _inspect(world, "api")["HostConfig"]["Privileged"] is False  # the pod's would be the laptop's
    await _assert_edits(world, settings)


async def _assert_edits(world: World, settings: dict[str, str]) -> None:
    text = _FILE.format(**settings)
    before = {key: _ids(world, key) for key in ("web", "api")}
    assert await _up(world) == {"web": "unchanged", "api": "unchanged"}
    assert {key: _ids(world, key) for key in ("web", "api")} == before
    for old, new, replaced in _EDITS:
        old = old.format(**settings)
        if old in text:
            world.write(text := text.replace(old, new))
        else:
            world.environ["FROM_SHELL"] = new
        assert await _up(world) == {"web": "changed", "api": "unchanged"}, old
        after = {key: _ids(world, key) for key in ("web", "api")}
        assert after["api"] == before["api"], old
        assert {role for role in _ALL if after["web"][role] != before["web"][role]} == replaced, old
        before = after
    web = _inspect(world, "web")
    assert web["Config"]["Labels"]["example.test/colour"] == "red"
    assert "FROM_SHELL=from another shell" in web["Config"]["Env"]
    assert _inspect(world, "web", "netns")["HostConfig"]["Sysctls"][_RANGE] == "20000 39999"
    await _assert_hosts(world, "192.0.2.8")
    assert await world.who(5) == {"local": 5}
    assert {key: _ids(world, key) for key in ("web", "api")} == before  # nothing was renewed afterwards


async def _up(world: World) -> dict[str, str]:
    rows = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
    return {row["name"]: row["outcome"] for row in rows}


def _assert_container(found: Json, world: World) -> None:
    config, host = found["Config"], found["HostConfig"]
    assert (config["Entrypoint"], config["Cmd"]) == (
        ["/app"],
        ["serve", "http=:8080", "echo=:7000", "reset=:7003"],
    )
    assert (config["WorkingDir"], config["User"]) == ("/srv/here", "1001:1002")
    assert (config["Tty"], config["OpenStdin"]) == (True, True)
    assert config["Labels"]["example.test/colour"] == "blue"
    assert config["Labels"]["devcluster.workload"] == "web"
    env = dict(
        item.split("=", 1) for item in config["Env"] if "=" in item
    )  # a bare name takes the image's away
    names = ("IDENTITY", "MINE", "FROM_SHELL", "FROM_FILE", "NOT_IN_SHELL", "KEPT")
    assert [env[name] for name in names] == ["local", "a=b $c", "from shell", "from file", "pod", "pod"]
    assert "GONE_FIRST" not in env
    health: Json = {
        "Test": ["CMD", "/app", "client", "http", "-n", "1", "-url", "http://localhost:8080/healthy"]
    }
    health |= {"Interval": 10**9, "Timeout": 20 * 10**9, "StartPeriod": 60 * 10**9, "Retries": 30}
    assert config["Healthcheck"] == health
    assert found["State"]["Health"]["Status"] == "healthy"
    assert sorted(name.removeprefix("CAP_") for name in host["CapAdd"]) == ["NET_ADMIN", "SYS_PTRACE"]
    assert sorted(name.removeprefix("CAP_") for name in host["CapDrop"]) == ["CHOWN", "MKNOD"]
    device = {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fused", "CgroupPermissions": "r"}
    assert host["Devices"] == [device]
    assert (host["Init"], host["Privileged"]) == (True, False)
    assert (host["Memory"], host["NanoCpus"], host["ShmSize"]) == (256 << 20, 750_000_000, 32 << 20)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Sysctls"] == {"kernel.msgmax": "65537"}
    assert host["Tmpfs"] == {"/scratch": "size=1m,mode=1770"}
    limits = {item["Name"]: (item["Soft"], item["Hard"]) for item in host["Ulimits"]}
    assert limits == {"nofile": (1024, 2048), "nproc": (512, 512)}
    mounts = {item["Destination"]: (item["Type"], item["RW"]) for item in found["Mounts"]}
    assert mounts["/mine"] == ("bind", False)
    assert mounts["/quick"][0] == "tmpfs"
    assert (host["PortBindings"] or {}, host["ExtraHosts"]) == ({}, None)


def _assert_network(netns: Json, gateway: Json, settings: dict[str, str]) -> None:
    """What belongs to the network: the namespace's owner has it, the gateway no more than it needs."""
    host = netns["HostConfig"]
    own = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv6.conf.lo.disable_ipv6": "0"}
    assert host["Sysctls"] == own | {_RANGE: "20000 40000"}
    assert host["ExtraHosts"] == ["one.example:192.0.2.7", "laptop.example:host-gateway"]
    published = {key: value for key, value in netns["NetworkSettings"]["Ports"].items() if value}
    assert published["8080/tcp"] == [{"HostIp": _ADDRESS, "HostPort": settings["first"]}]
    assert published["7000/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": settings["second"]}]
    assert [item["HostIp"] for item in published["7003/tcp"]] == ["127.0.0.1"]
    assert (host["CapAdd"], host["CapDrop"]) == (None, ["ALL"])
    assert gateway["HostConfig"]["CapAdd"] == ["NET_ADMIN"]
    assert "example.test/colour" not in netns["Config"]["Labels"] | gateway["Config"]["Labels"]


async def _assert_hosts(world: World, address: str) -> None:
    """As the application itself looks names up."""
    names = ("one.example", "laptop.example")
    seen = json.loads((await world.devcluster("exec", "web", "/app", "resolve", *names)).stdout)
    (network,) = _inspect(world, "web", "netns")["NetworkSettings"]["Networks"].values()
    assert [seen[name]["addresses"] for name in names] == [[address], [network["Gateway"]]]


@pytest.mark.slow
async def test_privileged_is_understood(world: World) -> None:
    """Read back only: an engine that is itself in a container may not give it."""
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{privileged: true}}}}\n")
    assert (await world.devcluster("config", "-o", "json")).json["workloads"]["web"]["privileged"] is True
