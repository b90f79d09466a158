"""What `doctor` makes of a cluster that is not as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.watch import Listing
from devcluster.errors import ClusterError, NotFoundError
from devcluster.run.commands.doctor import agent_port, examine, find_addresses, find_namespace
from devcluster.run.request import Request


class Answering:
    context, namespace = "dev", "nowhere"

    def __init__(self, error: ClusterError | None) -> None:
        self.error = error

    async def get(self, kind: str, name: str) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {}


async def test_a_namespace_that_is_not_there_is_named() -> None:
    """An administrator has every right in it, so the rights say nothing."""
    cluster: Any = Answering(NotFoundError("namespaces/nowhere does not exist"))
    (line,) = await find_namespace(cluster)
    assert (line.subject, line.state, line.exit_code) == ("cluster", "bad", 2)
    assert line.text == "namespace nowhere does not exist (context dev)"
    assert line.remedy


async def test_nothing_is_said_where_it_is_there_or_may_not_be_asked() -> None:
    for error in (None, ForbiddenError("cannot get namespaces")):
        cluster: Any = Answering(error)
        assert await find_namespace(cluster) == ()


@pytest.mark.parametrize("probe", [None, {}, {"tcpSocket": {"port": 1}}, {"httpGet": {"port": "http"}}])
def test_an_agent_whose_probe_somebody_changed(probe: Any) -> None:
    assert agent_port({"livenessProbe": probe}) == 9900
    assert agent_port({"livenessProbe": {"httpGet": {"port": 9950}}}) == 9950


class Shown:
    """An API server that shows *given*: what is of one kind, or (kind, name)."""

    namespace = "shop"

    def __init__(self, given: dict[str, list[dict[str, Any]]]) -> None:
        self.given = given

    async def list(self, kind: str, namespace: str | None, *, fields: str) -> Listing:
        if kind not in self.given:
            raise ForbiddenError(f"cannot list {kind}s")
        return Listing(tuple(self.given[kind]), "1")

    async def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        if f"{kind}/{name}" not in self.given:
            raise ForbiddenError(f"cannot get {kind}s")
        return self.given[f"{kind}/{name}"][0]


def _item(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec, "status": {"podIP": "10.244.0.7"}}


async def test_addresses_of_the_cluster_are_those_that_may_be_seen() -> None:
    pods = [_item("web"), _item("node-agent", hostNetwork=True)]
    services = [_item("web", clusterIP="10.96.81.222"), _item("all", clusterIP="None")]
    services.append(_item("six", clusterIP="fd00::1"))
    least: Any = Shown({"pod": pods, "service": services})
    found = [("10.244.0.7", "pod web"), ("10.96.81.222", "service web")]
    assert await find_addresses(least) == found

    server = {"service/kubernetes": [_item("kubernetes", clusterIP="10.96.0.1")]}
    nodes = {"node": [_item("one", podCIDR="10.244.0.0/24"), _item("two")]}
    empty: Any = Shown({"pod": [], "service": []} | server | nodes)
    beyond = [("10.96.0.1", "service kubernetes in default"), ("10.244.0.0/24", "node one")]
    assert await find_addresses(empty) == beyond
    nothing: Any = Shown({"pod": [], "service": []})
    assert await find_addresses(nothing) == []


async def test_broken_settings_are_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is called a bug, nor hides the others."""
    (tmp_path / "config.json").write_text('{"currentContext": "gone"}')
    (tmp_path / "kubeconfig").write_text("- a list\n")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    environ = {"XDG_STATE_HOME": str(tmp_path / "kubeconfig")}
    lines = await examine(Request(project=None, context=None, namespace=None, environ=environ))
    assert [(it.subject, it.state, it.exit_code) for it in lines] == [
        ("docker", "bad", 5),
        ("cluster", "bad", 4),
        ("state", "bad", 2),
    ]
    assert "no docker context gone" in lines[0].text
    assert "found a list" in lines[1].text
    assert all(it.remedy for it in lines)
