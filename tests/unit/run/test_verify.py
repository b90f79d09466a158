"""What `status --verify` says of an agent that does not look for proofs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from devcluster.deadline import Deadline
from devcluster.edge.lines import RefusedError
from devcluster.run.attach.agent_link import PodLink
from devcluster.run.host.verify import _expect


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (
            "unknown-request",
            "its agent is too old for `status --verify`; `devcluster down`, then `up`, replaces it",
        ),
        ("bad-request", "its agent refused: some words"),
    ],
)
async def test_why_an_agent_does_not_look(kind: str, reason: str) -> None:
    """Decided by the refusal's kind: its text may be anything."""

    async def call(*_: Any, **__: Any) -> None:
        raise RefusedError(kind, "some words", {})

    async def link() -> Any:
        return SimpleNamespace(call=call)

    agent = SimpleNamespace(pod=SimpleNamespace(name="web-1"), link=link)
    assert await _expect([cast(PodLink, agent)], "key", 1, Deadline.after(5)) == {"web-1": reason}
