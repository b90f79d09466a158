"""An object that others change between our reading and our writing."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.edge.kube.swap import Create, Delete, Patch, Write, swap
from devcluster.errors import ChangedError, FailedError, NotFoundError

Json = dict[str, Any]
PATH = ("secret", "a", "shop")


class Busy:
    """One object, which somebody else writes *times* between a reading and a writing of ours."""

    def __init__(self, live: Json | None, times: int = 0, *, deletes: bool = False) -> None:
        self.live, self._times, self._deletes = live, times, deletes
        self.reads, self.written = 0, 0

    async def find(self, kind: str, name: str, namespace: str) -> Json | None:
        assert (kind, name, namespace) == PATH
        self.reads += 1
        return self.live

    def _others(self) -> None:
        if self._times:
            self._times -= 1
            made = item(count=100 + self._times, version=f"theirs {self._times}")
            self.live = None if self._deletes and self.live else made

    def _check(self, version: str | None) -> None:
        self._others()
        if self.live is None:
            raise NotFoundError("gone")
        if self.live["metadata"]["resourceVersion"] != version:
            raise ChangedError("changed")
        self.written += 1

    async def patch(self, *path: Any, resource_version: str, type: str, dry_run: bool) -> Json:
        self._check(resource_version)
        if not dry_run:
            self.live = item(**path[3])
        return item(**path[3])

    async def create(self, kind: str, body: Json, namespace: str) -> Json:
        self._others()
        if self.live is not None:
            raise ChangedError("exists")
        self.written, self.live = self.written + 1, body
        return body

    async def delete(self, *path: str, resource_version: str) -> None:
        self._check(resource_version)
        self.live = None


def item(count: int, version: str = "0") -> Json:
    return {"metadata": {"resourceVersion": version}, "count": count}


def add_one(live: Json | None) -> Write | None:
    return Create(item(1)) if live is None else Patch({"count": live["count"] + 1})


async def run(cluster: Any, decide: Any, **words: Any) -> Json | None:
    return await swap(cluster, PATH, decide, **words)


@pytest.mark.parametrize("times", [0, 1, 9])
async def test_what_somebody_else_wrote_counts(times: int) -> None:
    cluster = Busy(item(5), times)
    written = await run(cluster, add_one)
    assert written == cluster.live
    assert written is not None
    assert written["count"] == (6 if not times else 101)
    assert (cluster.reads, cluster.written) == (times + 1, 1)


async def test_what_keeps_changing_is_told() -> None:
    cluster = Busy(item(5), 10)
    with pytest.raises(ChangedError, match="secret/a in namespace shop keeps changing"):
        await run(cluster, add_one)
    assert cluster.written == 0


async def test_what_is_right_already_is_not_written() -> None:
    cluster = Busy(item(5))
    assert await run(cluster, lambda live: None) == item(5)
    assert cluster.written == 0


async def test_what_is_not_there_is_made() -> None:
    assert await run(Busy(None), add_one) == item(1)
    both = await run(Busy(None, 1), add_one)  # somebody else made it at the same moment
    assert both is not None
    assert both["count"] == 101


async def test_what_goes_meanwhile_is_made_again() -> None:
    assert await run(Busy(item(5), 1, deletes=True), add_one) == item(1)


async def test_away() -> None:
    cluster = Busy(item(5), 1)
    assert await run(cluster, lambda live: Delete() if live else None) is None
    assert (cluster.live, cluster.reads) == (None, 2)


async def test_what_was_read_a_moment_ago_is_not_read_again() -> None:
    cluster = Busy(item(5))
    assert await run(cluster, add_one, first=item(5)) == item(6)
    assert cluster.reads == 0
    stale = Busy(item(5))
    assert await run(stale, add_one, first=item(1, version="old")) == item(6)
    assert stale.reads == 1


async def test_a_rehearsal_changes_nothing() -> None:
    cluster = Busy(item(5))
    assert await run(cluster, add_one, dry_run=True) == item(6)
    assert cluster.live == item(5)


async def test_what_the_decision_raises_is_no_race() -> None:
    def refuse(live: Json | None) -> Write | None:
        raise FailedError("not ours")

    def busy(live: Json | None) -> Write | None:
        raise ChangedError("somebody else is at it")

    for decide, error in ((refuse, "not ours"), (busy, "at it")):
        cluster = Busy(item(5))
        with pytest.raises((FailedError, ChangedError), match=error):
            await run(cluster, decide)
        assert cluster.reads == 1
