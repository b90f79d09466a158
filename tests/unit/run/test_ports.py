"""Two workloads of one `up` and one port of the laptop's: refused before anything is changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from devcluster.config.model import Publish
from devcluster.edge.docker.engine import Docker, port_error
from devcluster.edge.docker.ports import PortRefusal
from devcluster.errors import ConfigurationError
from devcluster.run.wanted.laptop_ports import check_ports
from devcluster.run.wanted.wanted import Wanted

ALL = "0.0.0.0"  # noqa: S104 - written, not bound


class _Asked(Exception):  # noqa: N818 - no error: the engine is asked once no two meet
    pass


class _Docker:
    async def open(self) -> _Engine:
        return _Engine()


class _Engine:
    async def list_published(self, project: str, only: object) -> set[tuple[str, int]]:
        raise _Asked


async def check(*ports: Publish) -> None:
    wanted = [
        SimpleNamespace(workload=SimpleNamespace(key=key), publishes=(it,))
        for key, it in zip("abc", ports, strict=False)
    ]
    await check_ports(cast(Docker, _Docker()), "shop", cast(list[Wanted], wanted))


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        (ALL, "127.0.0.1", "a (0.0.0.0) and b (127.0.0.1)"),
        ("127.0.0.1", ALL, "a (127.0.0.1) and b (0.0.0.0)"),
        ("::", "::1", "a (::) and b (::1)"),
        ("127.0.0.1", "127.0.0.1", "a and b"),
    ],
)
async def test_an_address_that_means_all_meets_each(one: str, other: str, names: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await check(Publish(80, 18080, one), Publish(81, 18080, other))
    assert str(caught.value) == f"port 18080 of the laptop is under `ports` twice: {names}"
    assert caught.value.hint == 'write another one under `ports`, e.g. "18081:81"'


@pytest.mark.parametrize(
    "other",
    [
        Publish(80, 18080, "127.0.0.2"),
        Publish(80, 18080, "::"),
        Publish(80, 18080, ALL, "udp"),
        Publish(80, 18080, ALL, last=18090),
        Publish(80, 18080, ALL, written=False),
        Publish(80, 18081, ALL),
        Publish(80, None, ALL),
    ],
)
async def test_what_docker_takes_side_by_side_passes(other: Publish) -> None:
    with pytest.raises(_Asked):
        await check(Publish(80, 18080), other)


@pytest.mark.parametrize("last", [18090, 18080])
async def test_two_ranges_that_meet_are_dockers_to_settle(last: int) -> None:
    """No number of a range has to be this one: none is named, and none is None."""
    with pytest.raises(_Asked):
        await check(Publish(80, 18080, last=18090), Publish(81, 18080, last=last), Publish(82, 18085))


@pytest.mark.parametrize(
    ("publish", "said", "other"),
    [
        (Publish(80, 18080), "port 18080 of the laptop is taken by container shop", '"18081:80"'),
        (
            Publish(80, 18080, last=18090),
            "ports 18080-18090 of the laptop are taken by container shop",
            '"18091:80"',
        ),
    ],
)
def test_a_port_or_a_range_that_is_taken(publish: Publish, said: str, other: str) -> None:
    error = port_error(PortRefusal(publish, "shop"))
    assert str(error) == said
    assert other in error.hint
