"""What `doctor` makes of a cluster that is not as it should be."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.errors import ClusterError, NotFoundError
from devcluster.run.doctor import agent_port, find_namespace


class Answering:
    context = "dev"

    def __init__(self, error: ClusterError | None) -> None:
        self.error = error

    async def get(self, kind: str, name: str) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {}


async def test_a_namespace_that_is_not_there_is_named() -> None:
    """An administrator has every right in it, so the rights say nothing."""
    cluster: Any = Answering(NotFoundError("namespaces/nowhere does not exist"))
    (line,) = await find_namespace(cluster, "nowhere")
    assert (line.subject, line.state, line.exit_code) == ("cluster", "bad", 2)
    assert line.text == "namespace nowhere does not exist (context dev)"
    assert line.remedy


async def test_nothing_is_said_where_it_is_there_or_may_not_be_asked() -> None:
    for error in (None, ForbiddenError("cannot get namespaces")):
        cluster: Any = Answering(error)
        assert await find_namespace(cluster, "shop") == ()


@pytest.mark.parametrize("probe", [None, {}, {"tcpSocket": {"port": 1}}, {"httpGet": {"port": "http"}}])
def test_an_agent_whose_probe_somebody_changed(probe: Any) -> None:
    assert agent_port({"livenessProbe": probe}) == 9900
    assert agent_port({"livenessProbe": {"httpGet": {"port": 9950}}}) == 9950
