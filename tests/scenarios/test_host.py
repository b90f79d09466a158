"""`run: host` and `devcluster run`: a process of this laptop takes the traffic, judged from the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.laptops import host_process, host_processes
from tests.scenarios.load import steady_load
from tests.scenarios.world import World

_LEASE = 5.0  # seconds
_RATE = 15  # requests a second
# A server that ends as a good one does: whom it has accepted it answers.
_SERVER = """
import http.server, json, signal, sys, threading, time
class Serve(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"identity": sys.argv[2], "id": self.headers["X-Request-Id"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
time.sleep(float(sys.argv[3]))
http.server.ThreadingHTTPServer.request_queue_size = 128  # who waits arrives at once
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Serve)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.socket.setblocking(False)
try:
    while True:  # whom the kernel has accepted meanwhile
        server.process_request(*server.get_request())
except BlockingIOError:
    server.server_close()
"""


_PORTS = itertools.count(20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))


def free_port() -> int:
    """One that nobody else is given: below those that the kernel chooses, and for this worker alone."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.asynccontextmanager
async def serving(port: int, identity: str) -> AsyncIterator[None]:
    """A process of this laptop that listens on *port* of 127.0.0.1."""
    process = await asyncio.create_subprocess_exec(*_server(port, identity))
    try:
        await until_listening(port)
        yield
    finally:
        process.kill()
        await process.wait()


def _server(port: int, identity: str, *, after: float = 0) -> tuple[str, ...]:
    """Its command; it listens only *after* so many seconds."""
    return sys.executable, "-c", _SERVER, str(port), identity, str(after)


async def until_listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def restarts(world: World, name: str) -> list[int]:
    pods = (await world.cluster.list("pod", world.namespace, selector=f"app={name}")).items
    return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods]


async def test_a_command_that_is_killed_is_handed_back_at_once(world: World) -> None:
    """And a second command, of a workload that the file does not have, shares the host process and stays.
    `up` takes neither of them away."""
    await world.deploy()
    await world.deploy("api")
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{mode: intercept, port_map: "
        f"{{http: {(web := free_port())}}}, image: nothing}}\n"
    )
    api = free_port()
    sleep = ("--", "sh", "-c", "exec sleep 90 >/dev/null 2>&1")  # the first outlives who is killed
    async with serving(web, "mine"), serving(api, "mine"):
        first = await world.start("run", "web", *sleep)
        await world.until_state("attached")
        second = await world.start("run", "api", "--mode", "replace", "--port", f"{api}:http", *sleep)
        await world.until_who("mine", count=10, service="api")
        await world.until_who("mine", count=10)
        assert await world.who(10, "api") == {"mine": 10}
        again = await world.devcluster("run", "api", "--", "true", code=6)
        assert "a `devcluster run` of this laptop serves api" in again.stderr
        for word in ("up", "plan"):
            done = await world.devcluster(word, code=6)
            assert "a `devcluster run` of this laptop serves web" in done.stderr
        first.kill()
        await first.wait()
        await world.until_state("agent-installed")
        assert await world.who(10) == {"original": 10}
        assert await world.who(10, "api") == {"mine": 10}
        world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{mode: ingest}}\n")
        planned = (await world.devcluster("plan", "-o", "json")).json["workloads"]
        assert [row["name"] for row in planned] == ["web"]
        second.terminate()
        assert await second.wait() == 128 + signal.SIGTERM
    assert await world.who(10, "api") == {"original": 10}
    assert host_processes(world) == []
    words = ("sh", "-c", "echo $IDENTITY; exit 7")
    done = await world.devcluster("run", "web", "--mode", "ingest", "--", *words, code=7)
    assert done.stdout == "original\n"
    done = await world.devcluster("run", "web", "--", "no-such-command", code=2)
    assert "there is no command no-such-command" in done.stderr
    await world.devcluster("down")


@pytest.mark.parametrize("mode", ["intercept", pytest.param("replace", marks=pytest.mark.slow)])
async def test_no_request_fails_because_a_command_starts_or_ends(world: World, mode: str) -> None:
    """It takes a while to listen, and in `replace` the original takes one to come back."""
    hooks = {"postStart": {"sleep": {"seconds": 3}}, "preStop": {"sleep": {"seconds": 3}}}
    await world.deploy(container={"command": ["/app"], "lifecycle": hooks})
    (world.folder / "devcluster.yaml").unlink()
    port = free_port()
    words = ("run", "web", "-n", world.namespace, "--mode", mode, "--port", f"{port}:http", "--")
    async with steady_load(world, rate=_RATE) as load:
        process = await world.start(*words, *_server(port, "mine", after=2))
        await until_listening(port)
        assert await world.who(20) == {"mine": 20}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            _, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert await world.who(20) == {"original": 20}
    print(load)
    assert load.errors == {}
    assert load.unanswered == 0
    assert set(load.identities) == {"original", "mine"}
    await world.devcluster("down", "deployment/web", "-n", world.namespace)
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_no_request_fails_because_another_command_comes_first(world: World) -> None:
    """The host process attaches the second one, for longer than callers of the first one wait here."""
    await world.deploy()
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "initialDelaySeconds": 12}
    await world.deploy("api", container={"readinessProbe": probe})
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{mode: intercept, port_map: "
        f"{{http: {(port := free_port())}}}}}\n  api: {{mode: ingest}}\n"
    )
    first = await world.start("run", "web", "--", *_server(port, "mine"))
    await until_listening(port)
    assert await world.who(10) == {"mine": 10}
    async with steady_load(world, rate=_RATE) as load:
        second = await world.start("run", "api", "--", "true")
        await _until_rolling(world, "api")
        first.send_signal(signal.SIGTERM)
        assert await first.wait() == 0
        assert await second.wait() == 0
        assert await world.who(10) == {"original": 10}
    print(load)
    assert load.errors == {}
    assert load.unanswered == 0
    await world.devcluster("down")


async def _until_rolling(world: World, name: str) -> None:
    """Until a pod with the agent is there; it is not ready before its probe's delay."""
    async with asyncio.timeout(60):
        while True:
            pods = (await world.cluster.list("pod", world.namespace, selector=f"app={name}")).items
            if any("/.devcluster/" in str(pod["spec"]["containers"][0].get("command")) for pod in pods):
                return
            await asyncio.sleep(0.1)


async def test_down_by_a_workloads_name_finds_what_is_on_the_laptop(world: World) -> None:
    """Without a file and a host process; the key of the one is the other's name."""
    await world.deploy()
    await world.deploy("api")
    file = world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        "  api: {target: deployment/web, environment: {IDENTITY: local}}\n"
        "  web: {target: deployment/api, environment: {IDENTITY: local}}\n"
    )
    await world.devcluster("up", "-d")
    os.kill(host_process(world), signal.SIGKILL)
    file.unlink()
    done = await world.devcluster("down", "deployment/web", "-n", world.namespace)
    assert "put back  deployment/web" in done.stdout
    assert world.containers("api", "workload") == []
    assert len(world.containers("web", "workload")) == 1
    await world.devcluster("down", "api", "-n", world.namespace)
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


async def test_a_process_in_the_file_without_docker(world: World) -> None:
    """`port_map`, a tunnel, the environment as a file, volumes below one folder; and no engine anywhere."""
    world.environ |= {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    data = {"metadata": {"name": "settings"}, "data": {"mode": "fast"}}
    await world.cluster.create("configmap", data, world.namespace)
    await world.deploy("api")
    env = [
        {"name": "API_URL", "value": "http://api/path"},
        {"name": "ECHO_HOST", "value": "api"},
        {"name": "ECHO_PORT", "value": "7000"},
        {"name": "LINES", "value": "two\nlines"},
    ]
    await world.deploy(
        container={
            "command": ["/app"],
            "env": [{"name": "IDENTITY", "value": "original"}, *env],
            "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
        },
        pod={"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]},
    )
    before = await world.template()
    port, echo = free_port(), free_port()
    others = f"echo: {free_port()}, reset: {free_port()}"  # on which nobody listens
    world.write(
        f"name: shop\nnamespace: {world.namespace}\ntunnels: ['api:80', '{echo}:api:7000']\nworkloads:\n"
        f"  web: {{run: host, port_map: {{http: {port}, {others}}}, env: {{export: ./web.env}}}}\n"
    )
    doctor = (await world.devcluster("doctor", "-o", "json", code=None)).json["checks"]
    assert [it["state"] for it in doctor if it["subject"] == "docker"] == ["ok"]
    plan = (await world.devcluster("plan")).stdout
    assert "the pod's way to this laptop" in plan
    assert "container and wait" not in plan

    done = await world.devcluster("up", "-d")
    assert f"nobody listens on 127.0.0.1:{port} (pod port 8080)" in done.stdout
    assert "ECHO_HOST is 127.0.0.1 now, and ECHO_PORT has the port of api, 7000" in done.stdout
    assert "web.env: without LINES" in done.stdout
    row = await world.status()
    assert row["state"] == "attached"
    assert f"nobody listens on 127.0.0.1:{port} (pod port 8080)" in row["reason"]
    refused = await world.who(5)
    assert sum(refused.values()) == 5
    assert set(refused) & {"original", "mine"} == set()

    async with serving(port, "mine"):
        assert await world.who(20) == {"mine": 20}
        row = await world.until_status(lambda it: str(port) not in it["reason"])
        assert {"container": 8080, "protocol": "TCP", "host": port, "address": "127.0.0.1"} in row["ports"]
        verify = (await world.devcluster("status", "--verify", code=1)).stdout
        assert "web: service/web:80: proven" in verify
        assert "web: service/web:7003: broken at the process" in verify
        await _ask_by_tunnels(world, echo)
        await _read_environment(world)
        for words in (("exec", "web", "ls"), ("logs", "web"), ("restart", "web"), ("logs",)):
            assert "`run: host`" in (await world.devcluster(*words, code=2)).stderr
        again = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
        assert [row["outcome"] for row in again] == ["unchanged"]
        file = world.folder / "devcluster.yaml"
        world.write(file.read_text().replace("./web.env", "./web.json"))
        assert f"{world.folder / 'web.json'}" in (await world.devcluster("up", "-d")).stdout
        assert not (world.folder / "web.env").exists()
        os.kill(_program(host_process(world)), signal.SIGKILL)  # it is started anew
        assert await world.who(20) == {"mine": 20}
        await world.devcluster("leave")
    assert await world.who(10) == {"original": 10}
    root = world.folder / "state" / "devcluster" / world.project / "mounts" / "web" / "root"
    (root / "etc/settings/mine").touch()
    done = await world.devcluster("down")
    assert f"kept: folder {root} has 1 change made here" in done.stdout
    assert not (world.folder / "web.json").exists()
    assert await world.template() == before
    assert await world.cluster_leftovers() == []
    await world.devcluster("down", "-v")
    assert not root.exists()


def _program(host: int) -> int:
    """The laptop's end of the lanes, a child of the host process."""
    children = Path(f"/proc/{host}/task/{host}/children").read_text().split()
    (found,) = (it for it in children if b"devcluster-gateway" in Path(f"/proc/{it}/cmdline").read_bytes())
    return int(found)


async def _ask_by_tunnels(world: World, echo: int) -> None:
    document = (await world.devcluster("status", "-o", "json")).json
    tunnels = {it["to"]: it["address"] for it in document["tunnels"]}
    assert tunnels["api:7000"] == f"127.0.0.1:{echo}"
    host, _, port = tunnels["api:80"].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"original" in await reader.read()
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", echo)  # it answers behind the end of a half
    writer.write(b"x" * 100_000)
    writer.write_eof()
    assert await reader.read() == b"x" * 100_000
    writer.close()


async def _read_environment(world: World) -> None:
    file = world.folder / "web.env"
    assert file.stat().st_mode & 0o777 == 0o600
    pairs = dict(line.split("=", 1) for line in file.read_text().splitlines())
    tunnels = {
        it["to"]: it["address"] for it in (await world.devcluster("status", "-o", "json")).json["tunnels"]
    }
    assert pairs["API_URL"] == f"http://{tunnels['api:80']}/path"
    assert (pairs["ECHO_HOST"], pairs["ECHO_PORT"]) == ("127.0.0.1", "7000")
    assert "PATH" not in pairs
    root = Path(pairs["DEVCLUSTER_ROOT"])
    assert "/etc/settings" in pairs["DEVCLUSTER_MOUNTS"].split(":")
    assert (root / "etc/settings/mode").read_text() == "fast"
    shown = (await world.devcluster("env", "web", "--format", "json")).json
    assert shown.pop("LINES") == "two\nlines"
    assert shown == pairs


async def test_a_host_process_that_is_killed(world: World) -> None:
    """Connections wait for the lease, then the original answers: none fails that was not being answered."""
    await world.deploy()
    port = free_port()
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nagent: {{lease: {_LEASE:.0f}s}}\nworkloads:\n"
        f"  web: {{run: host, mode: intercept, port_map: {{http: {port}}}}}\n"
    )
    async with serving(port, "mine"):
        await world.devcluster("up", "-d")
        assert await world.who(10) == {"mine": 10}
        async with steady_load(world, rate=_RATE) as load:
            await asyncio.sleep(2)
            os.kill(host_process(world), signal.SIGKILL)
            await world.until_who("original", guard=60)
            row = await world.status()
            assert row["state"] == "failed"
            await world.devcluster("up", "-d")
            assert await world.who(10) == {"mine": 10}
    print(load)
    cut = load.report["failed"]  # what the laptop was answering when it was killed, and nothing else
    assert set(load.errors) <= {"connection reset by peer", "EOF"}
    assert all(one["at"] < other["at"] + other["took"] for one in cut for other in cut)
    assert load.unanswered == len(cut)
    assert await restarts(world, "web") == [0]
    await world.devcluster("down")


async def test_a_tunnel_with_a_container_and_a_port_that_is_taken(world: World) -> None:
    await world.deploy()
    await world.deploy("api")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        head = f"name: shop\nnamespace: {world.namespace}\n"
        body = "workloads:\n  web: {environment: {IDENTITY: local}}\n"
        world.write(f"{head}tunnels: ['{port}:api:80']\n{body}")
        for words in (("plan",), ("up", "-d")):
            done = await world.devcluster(*words, code=2)
            assert f"port {port} of the laptop is taken" in done.stderr
    assert await world.cluster_leftovers() == world.docker_leftovers() == []
    done = await world.devcluster("up", "-d")
    assert f"tunnel 127.0.0.1:{port} -> api:80" in done.stdout
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"original" in await reader.read()
    writer.close()
    world.write(f"{head}tunnels: ['{port}:api:9']\n{body}")  # the same port, to where nobody listens
    await world.devcluster("up", "-d")
    with pytest.raises(ConnectionResetError):  # as soon as the pod was refused, be it before we have written
        await _exchange(port)
    await world.devcluster("down")


async def _exchange(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x")
    return await reader.read()
