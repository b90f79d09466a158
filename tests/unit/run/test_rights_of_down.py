"""What `down` does where a right is missing: as much as it may, and it says what stays."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.watch import Listing
from devcluster.errors import LeftoverError
from devcluster.rules.keys import KeyPair
from devcluster.rules.marks import Originals, Record, render_secret
from devcluster.run.workload.remove import remove
from devcluster.run.workload.traces import find_traces

Json = dict[str, Any]
TEMPLATE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}}
ORIGINALS = Originals("deployment", "web", "u", "web", TEMPLATE, TEMPLATE, 10, 20, "")
PAIR = KeyPair("private", "public")
SECRET = render_secret(ORIGINALS, settings={}, agent=PAIR, laptop=PAIR, owner={}, record=Record(3))
SECRET["metadata"] |= {"namespace": "shop", "resourceVersion": "7"}
WEB: Json = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": "5"},
    "spec": {"replicas": 0, "selector": {}, "revisionHistoryLimit": 10, "template": TEMPLATE},
    "status": {"observedGeneration": 1},
}


class Limited:
    """A namespace with one installation whose template was restored already; *forbidden*: ``verb kind``."""

    def __init__(self, *forbidden: str) -> None:
        self.forbidden = forbidden
        self.secret: Json | None = SECRET

    def _check(self, verb: str, kind: str) -> None:
        if f"{verb} {kind}" in self.forbidden:
            raise ForbiddenError(f"cannot {verb} {kind}s in namespace shop", hint="`devcluster role`")

    async def find(self, kind: str, name: str, namespace: str) -> Json | None:
        self._check("get", kind)
        return {"secret": self.secret, "deployment": WEB}.get(kind)

    async def get(self, kind: str, name: str, namespace: str) -> Json:
        return WEB

    async def list(self, kind: str, namespace: str, **_: Any) -> Listing:
        self._check("list", kind)
        return Listing(((SECRET,) if kind == "secret" else ()), "1")

    async def delete(self, kind: str, name: str, namespace: str, *, resource_version: str) -> None:
        self._check("delete", kind)
        assert resource_version == "7"
        self.secret = None

    async def watch_one(self, kind: str, name: str, namespace: str) -> AsyncGenerator[Json, None]:
        self._check("get", kind)
        yield WEB

    async def watch_all(self, kind: str, *_: Any, **__: Any) -> AsyncGenerator[tuple[Json, ...], None]:
        self._check("list", kind)
        yield ()


async def down(cluster: Any) -> None:
    await remove(cluster, "shop", "deployment", "web", timeout=5)


async def test_nothing_stays() -> None:
    cluster = Limited()
    await down(cluster)
    assert cluster.secret is None


@pytest.mark.parametrize("forbidden", ["delete secret", "list configmap", "list replicaset"])
async def test_what_may_not_be_cleaned_up_is_left_over_and_named(forbidden: str) -> None:
    with pytest.raises(LeftoverError, match=f"is restored, and then: cannot {forbidden}s in") as caught:
        await down(Limited(forbidden))
    assert "devcluster role" in caught.value.hint
    assert "devcluster down -n shop" in caught.value.hint


async def test_who_may_not_even_begin_is_told_so() -> None:
    with pytest.raises(ForbiddenError):
        await down(Limited("get secret"))


async def test_a_secret_that_somebody_uses_again_stays() -> None:
    class Busy(Limited):
        async def list(self, kind: str, namespace: str, **words: Any) -> Listing:
            if kind == "replicaset":  # the last but one step
                text = render_secret(
                    ORIGINALS, settings={}, agent=PAIR, laptop=PAIR, owner={}, record=Record(4)
                )
                self.secret = SECRET | {"data": text["data"]}
            return await super().list(kind, namespace, **words)

    cluster = Busy()
    with pytest.raises(LeftoverError, match="somebody else puts an agent into deployment/web"):
        await down(cluster)
    assert cluster.secret is not None


@pytest.mark.parametrize("forbidden", [(), ("list configmap", "list deployment", "list service")])
async def test_the_secrets_alone_tell_what_is_there(forbidden: tuple[str, ...]) -> None:
    cluster: Any = Limited(*forbidden)
    assert [trace.name for trace in await find_traces(cluster, "shop")] == ["web"]


async def test_without_secrets_nothing_is_known() -> None:
    cluster: Any = Limited("list secret")
    with pytest.raises(ForbiddenError):
        await find_traces(cluster, "shop")
