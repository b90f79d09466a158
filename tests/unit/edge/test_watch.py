"""Following objects with fewer rights than a list and a watch need."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from devcluster.edge.kube import watch
from devcluster.edge.kube.answer import ForbiddenError, UnreachableError
from devcluster.edge.kube.watch import Listing, follow_all, follow_one
from devcluster.errors import ClusterError

Json = dict[str, Any]


def deployment(version: str) -> Json:
    return {"metadata": {"name": "web", "uid": "u", "resourceVersion": version}}


class Limited:
    """An API server without some verbs, on which each look finds the next of *states*."""

    server = "https://cluster"

    def __init__(self, states: list[Json | ClusterError | None], *forbidden: str) -> None:
        self.states = states
        self.forbidden = forbidden
        self.watched = 0
        self.transport: Any = self

    def _look(self, verb: str) -> Json | None:
        if verb in self.forbidden:
            raise ForbiddenError(f"cannot {verb} deployments in namespace shop")
        now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(now, ClusterError):
            raise now
        return now

    async def list(self, kind: str, namespace: str | None = None, **_: Any) -> Listing:
        now = self._look("list")
        return Listing((now,) if now else (), "1")

    async def find(self, kind: str, name: str, namespace: str | None = None) -> Json | None:
        return self._look("get")

    def send(self, *_: Any, **__: Any) -> Any:
        self.watched += 1
        raise ForbiddenError("cannot watch deployments in namespace shop")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PACE", 0.0)


STATES: list[Json | ClusterError | None] = [
    deployment("1"),
    deployment("1"),
    UnreachableError("away"),
    deployment("2"),
    None,
]


@pytest.mark.parametrize("forbidden", [("watch",), ("watch", "list")])
async def test_one_object_is_followed_all_the_same(forbidden: tuple[str, ...]) -> None:
    seen = []
    states = follow_one(Limited(list(STATES), *forbidden), "deployment", "web", "shop")
    async with contextlib.aclosing(states):
        async for item in states:
            seen.append(item["metadata"]["resourceVersion"] if item else None)
            if item is None:
                break
    assert seen == ["1", "2", None]


async def test_what_may_not_be_watched_is_listed_again() -> None:
    seen = []
    states = follow_all(Limited(list(STATES), "watch"), "deployment", "shop", selector="", fields="")
    async with contextlib.aclosing(states):
        async for items in states:
            seen.append([item["metadata"]["resourceVersion"] for item in items])
            if not items:
                break
    assert seen == [["1"], ["2"], []]


async def test_a_watch_that_may_be_again_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_AGAIN", 0.0)
    cluster = Limited(list(STATES), "watch")
    states = follow_all(cluster, "deployment", "shop", selector="", fields="")
    async with contextlib.aclosing(states):
        async for items in states:
            if not items:
                break
    assert cluster.watched > 1


async def test_who_may_not_even_read_it_is_told_so() -> None:
    states = follow_one(Limited([None], "watch", "list", "get"), "deployment", "web", "shop")
    with pytest.raises(ForbiddenError, match="cannot get deployments"):
        await anext(states)
