"""Published ports in the real engine: taken by a program, by a container, by nobody that we can see."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

import pytest

from devcluster.config.model import Publish, Runtime
from devcluster.edge.docker.engine import Engine, EngineRefusedError, NetnsInfo
from devcluster.errors import ConfigurationError
from devcluster.rules.container.docker_names import container_name
from tests.edge.clean_engine import clean_engine

PROJECT = "test-ports"
ALL = "0.0.0.0"  # noqa: S104 - that is tested


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with clean_engine(PROJECT) as opened:
        await opened.ensure_network(PROJECT)
        yield opened


@contextlib.contextmanager
def occupied(protocol: Literal["tcp", "udp"] = "tcp", address: str = "127.0.0.1") -> Iterator[int]:
    """A port that another program has."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as taken:
        taken.bind((address, 0))
        if protocol == "tcp":
            taken.listen()
        yield int(taken.getsockname()[1])


async def start(engine: Engine, key: str, *publishes: Publish, runtime: Runtime | None = None) -> NetnsInfo:
    return await engine.start_netns(PROJECT, key, f"pod-{key}", publishes, runtime)


def numbers(made: NetnsInfo) -> dict[int, int]:
    """Those of the laptop, by the container's."""
    return {item.port.number: item.local for item in made.ports}


async def test_a_port_that_was_not_written_moves_when_it_is_taken(engine: Engine) -> None:
    with occupied() as port:
        wanted = [Publish(8080, port, written=False), Publish(8443, None, written=False)]
        made = await start(engine, "web", *wanted)
    ports = {item.port.number: (item.address, item.local) for item in made.ports}
    assert ports.keys() == {8080, 8443}
    assert ports[8080] not in (("127.0.0.1", port), ("127.0.0.1", 0))
    assert made.door_port not in (0, port)
    assert await engine.netns_info(made.container_id) == made
    assert IPv4Address(made.address) in IPv4Network((await engine.ensure_network(PROJECT)).subnet)


async def test_the_others_keep_their_numbers(engine: Engine) -> None:
    with occupied() as port, occupied() as free:
        pass
    first = await start(engine, "first", Publish(80, port, written=False))
    assert [item.local for item in first.ports] == [port]
    wanted = [Publish(80, port, written=False), Publish(81, free, written=False)]
    made = numbers(await start(engine, "other", *wanted))
    assert made[81] == free
    assert made[80] != port


async def test_a_written_port_that_a_container_has_is_an_error_with_its_name(engine: Engine) -> None:
    port = (await start(engine, "web")).door_port
    with pytest.raises(ConfigurationError) as caught:
        await start(engine, "other", Publish(8080, port))
    name = container_name(PROJECT, "web", "netns")
    assert str(caught.value) == f"port {port} of the laptop is taken by container {name}"
    assert await engine.look(container_name(PROJECT, "other", "netns")) is None


async def test_of_several_ports_a_free_one_is_taken(engine: Engine) -> None:
    first = (await start(engine, "web")).door_port
    made = await start(engine, "other", Publish(8080, first, last=first + 9))
    assert [item.port.number for item in made.ports] == [8080]
    assert first < made.ports[0].local <= first + 9
    with pytest.raises(ConfigurationError, match=f"port {first} of the laptop is taken"):
        await start(engine, "third", Publish(80, first))


@pytest.mark.parametrize("address", ["127.0.0.1", ALL])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_what_a_program_has_is_found_before_and_when_it_is_published(
    engine: Engine, protocol: Literal["tcp", "udp"], address: str
) -> None:
    with occupied(protocol) as port:
        wanted = Publish(53, port, address, protocol)
        (refusal,) = await engine.find_refusals([wanted])
        assert (refusal.publish, refusal.owner, refusal.foreign) == (wanted, "", False)
        with pytest.raises(ConfigurationError, match=f"port {port} of the laptop is taken$"):
            await start(engine, "web", wanted)
        other: Literal["tcp", "udp"] = "udp" if protocol == "tcp" else "tcp"
        assert await engine.find_refusals([Publish(53, port, "127.0.0.2", protocol)]) == ()
        assert await engine.find_refusals([Publish(53, port, address, other)]) == ()


async def test_an_address_of_another_machine(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1 under `ports` is not an address"):
        await start(engine, "web", Publish(80, 8099, "192.0.2.1"))


def _has_six() -> bool:
    with contextlib.suppress(OSError), occupied(address="::1"):
        return True
    return False


@pytest.mark.skipif(not _has_six(), reason="no IPv6 on this machine")
async def test_each_family_has_its_own_ports(engine: Engine) -> None:
    with occupied(address="::1") as port:
        assert len(await engine.find_refusals([Publish(80, port, "::1")])) == 1
        assert len(await engine.find_refusals([Publish(80, port, "::")])) == 1
        assert await engine.find_refusals([Publish(80, port, ALL)]) == ()


async def test_an_engine_elsewhere_is_asked_by_trying(engine: Engine) -> None:
    """Nothing can be known of its ports but what its own containers have."""
    engine.calls.is_local = False
    with occupied() as port, occupied() as other:
        assert await engine.find_refusals([Publish(80, port)]) == ()
        wanted = [Publish(80, port, written=False), Publish(81, other, written=False)]
        made = numbers(await start(engine, "web", *wanted))
        assert made.keys() == {80, 81}
        assert not {port, other} & set(made.values())
        with pytest.raises(
            ConfigurationError, match=rf"^Docker can't publish {port}:80 of `ports`: .*{port}"
        ):
            await start(engine, "other", Publish(80, port), Publish(81, other, written=False))
    assert await engine.look(container_name(PROJECT, "other", "netns")) is None


async def test_a_start_that_is_refused_for_another_reason_blames_no_port(engine: Engine) -> None:
    runtime = Runtime(sysctls=(("net.ipv4.no_such_thing", "1"),))
    with occupied() as free:
        pass
    with pytest.raises(EngineRefusedError, match="no_such_thing"):
        await start(engine, "web", Publish(80, free), Publish(81, free, "127.0.0.2"), runtime=runtime)
    assert await engine.look(container_name(PROJECT, "web", "netns")) is None
