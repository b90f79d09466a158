"""The local pod in the real Docker engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from devcluster.config.model import Healthcheck, Mount, Runtime
from devcluster.edge.docker.engine import (
    ContainerEvent,
    Engine,
    EngineRefusedError,
    NetnsInfo,
    NetworkInfo,
    open_engine,
    spec_digest,
)
from devcluster.errors import ConfigurationError, EngineError
from devcluster.rules.cluster.keys import generate_pair
from devcluster.rules.container.docker_names import (
    SPEC,
    container_name,
    mount_name,
    network_name,
    volume_name,
)
from devcluster.rules.container.local_container import ContainerSpec, VolumeBind
from devcluster.sandbox.base_image import BASE_IMAGE
from tests.edge.clean_engine import clean_engine

PROJECT = "test-engine"
IMAGE = BASE_IMAGE
SLEEP = ("/bin/sh", "-c", "trap 'exit 7' USR1; while :; do sleep 0.1; done")


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with clean_engine(PROJECT) as opened:
        yield opened


@pytest.fixture
async def netns(engine: Engine) -> NetnsInfo:
    await engine.ensure_network(PROJECT)
    return await engine.start_netns(PROJECT, "web", "pod-1")


async def inspect(engine: Engine, container: str) -> dict[str, Any]:
    found = await engine.calls.call("inspect", engine.calls.api.inspect_container, container)
    assert isinstance(found, dict)
    return found


def spec(**more: Any) -> ContainerSpec:
    settings: dict[str, Any] = {"image": IMAGE, "entrypoint": SLEEP, "command": None, "environment": ()}
    return ContainerSpec(**settings | more)


async def run(engine: Engine, netns: NetnsInfo, wanted: ContainerSpec) -> str:
    return await engine.run_workload(PROJECT, "web", netns.container_id, wanted, spec_digest(wanted, b"k"))


async def test_a_workload_may_be_called_like_a_part_of_another(engine: Engine, netns: NetnsInfo) -> None:
    other = await engine.start_netns(PROJECT, "web-netns", "pod-2")
    wanted = spec(mounts=(Mount("data", "/data", kind="volume"),))
    await engine.run_workload(PROJECT, "web-netns", other.container_id, wanted, spec_digest(wanted, b"k"))
    assert (await engine.netns_info(netns.container_id)).container_id == netns.container_id  # it still runs
    assert len(await engine.list_project(PROJECT)) == 3


async def test_the_network_leaves_the_cluster_alone(engine: Engine) -> None:
    first, *others = await asyncio.gather(*(engine.ensure_network(PROJECT) for _ in range(4)))
    assert others == [first] * 3  # and one network, though Docker would make more of one name
    assert await engine.ensure_network(PROJECT) == first
    subnet = IPv4Network(first.subnet)
    assert IPv4Address(first.gateway) in subnet
    seen = IPv4Address(int(subnet.network_address) + 77)
    second = await engine.ensure_network(PROJECT, [seen, IPv4Network("172.16.0.0/12")])
    assert not IPv4Network(second.subnet).overlaps(IPv4Network((int(seen) >> 16 << 16, 16)))
    assert not IPv4Network(second.subnet).overlaps(IPv4Network("172.16.0.0/12"))


def settings_line(secret: str, network: NetworkInfo) -> bytes:
    return json.dumps(
        {
            "token": secret,
            "listen": 7900,
            "key": generate_pair().private,
            "agent": generate_pair().public,
            "epoch": 1,
            "address": "10.99.1.2",
            "resolv_conf": "nameserver 10.96.0.10\n",
            "hosts": "127.0.0.1 localhost\n10.99.1.2 pod-1\n",
            "hostname": "pod-1",
            "cluster_domains": ["cluster.local"],
            "local_names": [],
            "local_networks": [],
            "docker_network": network.subnet,
            "docker_gateway": network.gateway,
        }
    ).encode()


async def test_the_gateway_gets_its_settings_and_shows_them_to_nobody(
    engine: Engine, netns: NetnsInfo
) -> None:
    secret = secrets.token_hex(16)
    line = settings_line(secret, await engine.ensure_network(PROJECT))
    gateway = await engine.start_gateway(PROJECT, "web", netns.container_id, line)
    found = await inspect(engine, gateway)
    assert found["State"]["Running"]
    assert found["HostConfig"]["CapAdd"] == ["NET_ADMIN"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert secret not in json.dumps(found)
    assert "PRIVATE" not in json.dumps(found)
    logs = b"".join([part async for part in engine.follow_logs(gateway, follow=False)])
    assert secret.encode() not in logs
    workload = await run(engine, netns, spec())
    answer = await engine.run_in(workload, ["cat", "/etc/hosts", "/etc/resolv.conf"])
    assert b"10.99.1.2 pod-1" in answer.stdout
    assert b"nameserver 10.96.0.10" in answer.stdout


async def test_a_gateway_that_fails_says_why_at_once(engine: Engine, netns: NetnsInfo) -> None:
    started = time.monotonic()
    with pytest.raises(EngineError, match="settings: token is missing"):
        await engine.start_gateway(PROJECT, "web", netns.container_id, b"{}")
    assert time.monotonic() - started < 10
    assert await engine.look(container_name(PROJECT, "web", "gateway")) is None


@pytest.fixture
def loud_image() -> Iterator[str]:
    """An image with what Kubernetes ignores and what a pod may lack."""
    tag = "devcluster-test-loud:1"
    changes = ["ENV FROM_IMAGE=1", "ENV KEPT=2", "HEALTHCHECK CMD false", "WORKDIR /srv", "VOLUME /var/tmp"]
    words = [word for change in changes for word in ("--change", change)]
    made = docker("create", IMAGE, "true")
    try:
        docker("commit", *words, made, tag)
        yield tag
    finally:
        docker("rm", made)
        docker("rmi", tag)


def docker(*words: str) -> str:
    """The command line itself, for what no user of ours needs."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_the_environment_is_exact(loud_image: str, engine: Engine, netns: NetnsInfo) -> None:
    values = {
        "NEWLINE": "a\nb\n",
        "QUOTES": "'\"`",
        "DOLLAR": "$HOME ${X} $(id) %s \\",
        "EQUAL": "a=b==",
        "EMPTY": "",
        "BLOG": "User's Blog! é 漢 😀",
        "PATH": "/bin",
        "HOSTNAME": "pod-1",
    }
    pairs = (*values.items(), ("HOME", "/x"))
    workload = await run(engine, netns, spec(image=loud_image, environment=pairs))
    raw = (await engine.run_in(workload, ["/bin/cat", "/proc/1/environ"])).stdout.decode()
    found = dict(item.split("=", 1) for item in raw.split("\0") if item)
    assert found == values | {"FROM_IMAGE": "1", "KEPT": "2", "HOME": "/x"}
    assert (await inspect(engine, workload))["State"].get("Health", {}).get("Status", "none") == "none"


async def test_a_value_that_docker_cannot_carry_is_named_and_not_shown(
    engine: Engine, netns: NetnsInfo
) -> None:
    with pytest.raises(ConfigurationError, match="the value of KEY is not UTF-8") as caught:
        await run(engine, netns, spec(environment=(("KEY", "hidden\udcff"),)))
    assert "hidden" not in str(caught.value) + caught.value.hint


async def test_the_container_is_what_the_spec_says(engine: Engine, netns: NetnsInfo, tmp_path: Path) -> None:
    volume = volume_name(PROJECT, "web", "data")
    wanted = spec(
        user="1001:1002",
        groups=(1003,),
        working_dir="/srv",
        volumes=(VolumeBind(volume, "/usr/share/doc"), VolumeBind(str(tmp_path), "/laptop", read_only=True)),
        memory_volumes=(("/cache", 1 << 20),),
        mounts=(Mount(str(tmp_path / "made"), "/mine"), Mount("named", "/named", kind="volume")),
        stop_signal="SIGUSR1",
        read_only_root=True,
        health=Healthcheck("block", ("CMD", "true"), interval=1.0, retries=2),
        runtime=Runtime(
            mem_limit=64 << 20,
            cpus=0.5,
            init=True,
            ulimits=(("nofile", 100, 200),),
            shm_size=1 << 20,
            labels=(("mine", "1"),),
            tmpfs=("/t:size=64k",),
            sysctls=(("kernel.shm_rmid_forced", "1"),),
            cap_drop=("MKNOD",),
        ),
    )
    workload = await run(engine, netns, wanted)
    script = (
        "id -u; id -g; id -G; pwd; ls /usr/share/doc | wc -l; stat -c %a /cache; ulimit -Hn; hostname;"
        "touch /x; cp /bin/true /cache/ && /cache/true; echo $?"
    )
    answer = await engine.run_in(workload, ["/bin/sh", "-c", script])
    words = answer.stdout.decode().split()
    assert words == ["1001", "1002", "1002", "1003", "/srv", "0", "777", "200", "pod-1", "0"]
    assert b"Read-only file system" in answer.stderr
    assert (tmp_path / "made").is_dir()
    found = await inspect(engine, workload)
    assert found["HostConfig"]["Memory"] == 64 << 20
    # The soft limit by the engine's word alone: runc's own process may raise it while it is being set.
    assert found["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    assert found["HostConfig"]["CapDrop"] == ["MKNOD"]
    assert found["Config"]["StopSignal"] == "SIGUSR1"
    info = await engine.look(workload)
    assert info is not None
    assert (info.key, info.role) == ("web", "workload")
    assert found["Config"]["Labels"][SPEC] == spec_digest(wanted, b"k")


async def test_stopping_follows_the_signal_and_is_watched(engine: Engine, netns: NetnsInfo) -> None:
    say = ("/bin/sh", "-c", "trap 'exit 7' USR1; echo trapped; while :; do sleep 0.1; done")
    workload = await run(engine, netns, spec(entrypoint=say, stop_signal="SIGUSR1"))
    async with contextlib.aclosing(engine.follow_logs(workload)) as logs:
        await anext(logs)  # before its trap a first process does not hear the signal
    for now in (True, False):  # seen while it happens, and when it has
        async with contextlib.aclosing(engine.watch_container(workload)) as watching:
            first = asyncio.ensure_future(anext(watching))
            if now:
                await engine.stop(workload, 20)
            assert await first == ContainerEvent("die", exit_code=7, words="ended with exit code 7")
    assert await engine.wait(workload) == 7
    await engine.start(workload)
    found = await engine.look(workload)
    assert found is not None
    assert found.running


async def test_what_is_given_up_while_it_is_made_is_made_or_gone(engine: Engine, netns: NetnsInfo) -> None:
    """Whoever tidies up next finds the network; a container that runs would serve beside the original."""
    other = f"{PROJECT}-other"
    making = asyncio.ensure_future(engine.ensure_network(other))
    await _until_called(engine, "create_network", making)
    assert await engine.remove_project(other, volumes=True) == ()
    assert network_name(other) not in [it.name for it in await engine.list_networks()]
    for deed in ("create_container_from_config", "start"):
        making_it = asyncio.ensure_future(run(engine, netns, spec()))
        await _until_called(engine, deed, making_it)
        assert await engine.look(container_name(PROJECT, "web")) is None


async def _until_called(engine: Engine, deed: str, work: asyncio.Future[Any]) -> None:
    """Cancel *work* as soon as the engine is asked for *deed*, which takes its time."""
    called, api, loop = asyncio.Event(), engine.calls.api, asyncio.get_running_loop()
    real = getattr(api, deed)

    def slow(*args: Any, **words: Any) -> Any:
        loop.call_soon_threadsafe(called.set)
        time.sleep(0.3)
        return real(*args, **words)

    setattr(api, deed, slow)
    try:
        await called.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    finally:
        setattr(api, deed, real)


async def test_waiting_and_running_can_be_given_up(engine: Engine, netns: NetnsInfo) -> None:
    workload = await run(engine, netns, spec())
    for work in (engine.wait(workload), engine.run_in(workload, ["sleep", "60"])):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await work
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("docker") and _busy(thread) for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread still waits"
        await asyncio.sleep(0.05)


def _busy(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "translated":
            return True
        frame = frame.f_back
    return False


async def test_health_is_watched_and_logs_are_followed(engine: Engine, netns: NetnsInfo) -> None:
    health = Healthcheck("block", ("CMD", "true"), interval=1.0)
    say = ("/bin/sh", "-c", "echo out; echo err >&2; sleep 3")
    workload = await run(engine, netns, spec(entrypoint=say, health=health))
    logs = asyncio.ensure_future(_all(engine.follow_logs(workload)))
    seen = []
    async with contextlib.aclosing(engine.watch_container(workload)) as watching:
        async for event in watching:
            seen.append((event.what, event.health))
            if event.what == "die":
                break
    assert ("health", "healthy") in seen
    assert sorted((await logs).split()) == [b"err", b"out"]


async def _all(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


async def test_exec_ends_with_the_commands_code_and_has_our_streams(engine: Engine, netns: NetnsInfo) -> None:
    workload = await run(engine, netns, spec())
    program = (
        "import asyncio, sys\n"
        "from devcluster.edge.docker.engine import open_engine\n"
        "async def main():\n"
        "    async with open_engine() as engine:\n"
        "        return await engine.exec_in(sys.argv[1], ['/bin/sh', '-c', 'cat; echo err >&2; exit 5'])\n"
        "sys.exit(asyncio.run(main()))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        workload,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    content = os.urandom(300_000)
    async with asyncio.timeout(30):
        out, err = await process.communicate(content)
    assert (process.returncode, out, err) == (5, content, b"err\n")


async def test_a_container_that_cannot_start_is_the_users_to_solve(engine: Engine, netns: NetnsInfo) -> None:
    with pytest.raises(ConfigurationError, match="no-such-user"):
        await run(engine, netns, spec(user="no-such-user"))
    with pytest.raises(ConfigurationError, match="no-such-program"):  # which the engine itself looks for
        await run(engine, netns, spec(entrypoint=("/no-such-program",), runtime=Runtime(init=False)))
    assert await engine.look(container_name(PROJECT, "web")) is None


async def test_a_command_that_is_not_there_is_named_by_the_log(engine: Engine, netns: NetnsInfo) -> None:
    workload = await run(engine, netns, spec(entrypoint=("/no-such-program",)))
    assert await engine.wait(workload) == 127
    async with contextlib.aclosing(engine.follow_logs(workload)) as logs:
        assert b"/no-such-program" in b"".join([part async for part in logs])


async def test_an_engine_without_an_init_starts_it_all_the_same(
    engine: Engine, netns: NetnsInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = engine.calls.api.create_container_from_config

    def refuse(config: dict[str, Any], name: str) -> Any:
        asked = config["HostConfig"]["Init"]
        return create(config | {"User": "no-such-user"} if asked else config, name)

    monkeypatch.setattr(engine.calls.api, "create_container_from_config", refuse)
    workload = await run(engine, netns, spec())
    found = await engine.look(workload)
    assert found is not None
    assert found.running


async def test_one_that_has_no_handler_for_the_signal_stops_at_once(engine: Engine, netns: NetnsInfo) -> None:
    """As Node, Python and many a shell have none; the kernel would keep it from a first process."""
    workload = await run(engine, netns, spec(entrypoint=("/usr/bin/sleep", "600"), stop_grace=60))
    async with asyncio.timeout(20):
        await engine.stop(workload)


_LIMIT = "out of memory (its limit is 32 MiB)"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("tail /dev/zero; code=$?; sleep 1; exit $code", f"was killed: {_LIMIT}"),
        (
            "tail /dev/zero; sleep 1; exit 3",
            f"ended with exit code 3 after one of its processes was killed: {_LIMIT}",
        ),
        ("kill -KILL $$", "ended with exit code 137"),
    ],
)
async def test_an_end_for_want_of_memory_is_told_as_such(
    engine: Engine, netns: NetnsInfo, script: str, words: str
) -> None:
    """The kernel's and anybody else's SIGKILL have one exit code.  (Process 1 can't kill itself.)  A busy
    engine may hear of the container's end first, and then never tells of what; hence the pauses."""
    runtime = Runtime(mem_limit=32 << 20, init=True)
    container = await run(engine, netns, spec(entrypoint=("/bin/sh", "-c", script), runtime=runtime))
    async with asyncio.timeout(30), contextlib.aclosing(engine.watch_container(container)) as events:
        async for event in events:
            if event.what == "die":
                assert event.words == words
                break


async def test_what_several_remove_at_once_is_gone_for_each(engine: Engine, netns: NetnsInfo) -> None:
    async def remove() -> None:
        await engine.remove(netns.container_id)
        assert await engine.look(netns.container_id) is None

    await asyncio.gather(*(remove() for _ in range(4)))


async def test_a_network_that_a_foreign_container_uses_stays(engine: Engine) -> None:
    network = await engine.ensure_network(PROJECT)
    command = ["docker", "run", "-d", "--rm", "--network", network.name, IMAGE, *SLEEP]
    started = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    foreign = (await started.communicate())[0].decode().strip()
    try:
        (left,) = await engine.remove_project(PROJECT, volumes=False)
        assert left == f"network {network.name}: somebody else's container uses it"
    finally:
        await engine.remove(foreign)


async def test_without_its_network_it_is_not_the_workload_that_can_not_be_started(
    engine: Engine, netns: NetnsInfo
) -> None:
    """It is the engine that has to be asked again, and no file that has to be written anew."""
    await engine.stop(netns.container_id)
    with pytest.raises(EngineRefusedError):
        await run(engine, netns, spec())


async def test_removal_is_idempotent_and_leaves_nothing(engine: Engine, netns: NetnsInfo) -> None:
    mounts = (Mount("named", "/named", kind="volume"),)
    await run(engine, netns, spec(mounts=mounts))
    assert len(await engine.list_project(PROJECT)) == 2
    assert await engine.remove_project(PROJECT, volumes=False) == ()
    assert await engine.list_project(PROJECT) == ()
    assert await engine.list_volumes(PROJECT) == ((mount_name(PROJECT, "web", "named"), "web"),)
    for _ in range(2):
        assert await engine.remove_project(PROJECT, volumes=True) == ()
    assert await engine.list_volumes(PROJECT) == ()
    networks = await engine.calls.call("list", engine.calls.api.networks, [network_name(PROJECT)])
    assert networks == []


async def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match=r"none\.sock \(DOCKER_HOST\) can't be used") as caught:
        async with open_engine():
            pass
    assert caught.value.exit_code == 5
    assert "docker context use" in caught.value.hint


async def test_the_current_context_of_the_docker_command_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    environment = os.environ | {"DOCKER_CONFIG": str(tmp_path)}
    host = f"unix://{tmp_path}/other.sock"
    for command in (
        ["docker", "context", "create", "other", "--docker", f"host={host}"],
        ["docker", "context", "use", "other"],
    ):
        subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: ASYNC221
    with pytest.raises(EngineError, match=r"other\.sock \(context other\)"):
        async with open_engine():
            pass


def test_the_digest_is_keyed_and_sees_every_field() -> None:
    one, other = spec(environment=(("A", "1"),)), spec(environment=(("A", "2"),))
    digests = {spec_digest(one, b"k"), spec_digest(other, b"k"), spec_digest(one, b"l")}
    assert len(digests) == 3
    assert spec_digest(one, b"k") == spec_digest(spec(environment=(("A", "1"),)), b"k")
