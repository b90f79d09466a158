"""The laptop's resolver, asked by a gateway for whatever an application looks up."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from devcluster.edge.lines import RefusedError
from devcluster.run.local.gateway_settings import answer_gateway


async def _refused(name: str) -> str:
    with pytest.raises(RefusedError) as caught:
        await answer_gateway({"do": "resolve", "name": name})
    return caught.value.kind


@pytest.mark.parametrize("name", ["a..corp.example", "\ufffd.corp.example", "a\0b.corp.example"])
async def test_what_is_no_name_is_not_found(name: str) -> None:
    """Such an error once ended the conversation, and the attachment with it."""
    assert await _refused(name) == "not-found"


@pytest.mark.parametrize(
    ("code", "kind"), [(socket.EAI_NONAME, "not-found"), (socket.EAI_AGAIN, "unavailable")]
)
async def test_a_resolver_that_is_away_says_nothing_of_the_name(
    code: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "as the resolver says")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await _refused("db.corp.example") == kind


async def test_an_address_is_found() -> None:
    answer = await answer_gateway({"do": "resolve", "name": "localhost"})
    assert answer == {"addresses": ["127.0.0.1"], "ttl": 5}
