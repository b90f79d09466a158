"""What becomes of volumes that can't be copied: left out by name, an error only where the file asks for them.
Into folders, as a process of the laptop has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from devcluster.config.model import Target, VolumeRule, Workload
from devcluster.edge.agent.ssh import AgentLink, UnreadableError
from devcluster.errors import ConfigurationError
from devcluster.plan.serving import serving_of
from devcluster.rules.agent.facts import PodFacts, PodMount
from devcluster.rules.volume.tarstream import END, render_head
from devcluster.rules.volume.tree import Entry, render_entry
from devcluster.rules.volume.volumes import pod_volumes, resolve_volumes
from devcluster.run.place import Place
from devcluster.run.report import Progress
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.live_volumes import LiveVolumes
from devcluster.run.volume.workload_volumes import WorkloadVolumes
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
FACTS = PodFacts((), (), "/", 0, 0, (), "web", "10.0.0.9", "", "")
TOP = Entry(".", "d", 0o755, 0, 0, 0, 1)
LARGE = Entry("large", "f", 0o644, 0, 0, 1 << 40, 1)
VOLUMES: list[Json] = [
    {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
    {"name": "node", "hostPath": {"path": "/var/log"}},
    {"name": "gone", "emptyDir": {}},
]
CONTAINER: Json = {
    "name": "web",
    "volumeMounts": [{"name": it["name"], "mountPath": f"/{it['name']}"} for it in VOLUMES],
}
MOUNTS = (PodMount("/data"), PodMount("/node"), PodMount("/more", is_file=True))


@dataclass(slots=True)
class Pod:
    """An agent, and the pod that it is in.  ``trees``: by mount path."""

    trees: dict[str, list[Json]] = field(default_factory=dict)
    address: Any = field(default_factory=lambda: SimpleNamespace(pod="web-1"))

    async def inspect(self, paths: Sequence[str] = ()) -> PodFacts:
        return replace(FACTS, mounts=MOUNTS)

    async def scan(self, root: str, exclude: Sequence[str]) -> list[Json]:
        if root not in self.trees:
            raise UnreadableError("no", reason="permission denied")
        return self.trees[root]

    async def pack(self, root: str, exclude: Sequence[str], paths: Any) -> AsyncIterator[bytes]:
        yield render_head(TOP) + END

    async def list(self, kind: str, namespace: str, *, selector: str) -> Any:
        spec = {"containers": [CONTAINER], "volumes": VOLUMES}
        return SimpleNamespace(items=({"metadata": {"name": "web-1"}, "spec": spec},))


class Live:
    """No live volumes."""

    async def follow(self, wishes: Json, turn: Turn) -> None:
        assert wishes == {}

    def row(self, label: str) -> Json:
        return {}


def filling(pod: Pod, folder: Path, *rules: VolumeRule) -> WorkloadVolumes:
    workload = Workload("web", Target("web"), run="host", volumes=rules)
    seen = SimpleNamespace(observed=SimpleNamespace(admitted=None))
    wanted = SimpleNamespace(
        workload=workload,
        serving=serving_of(workload),
        volumes=resolve_volumes(pod_volumes(CONTAINER, VOLUMES), ()),
        ref=SimpleNamespace(namespace="shop"),
        object=SimpleNamespace(selector="app=web", container="web"),
        container=CONTAINER,
        pod_spec={"volumes": VOLUMES},
        install=seen,
    )
    place = Place("test", "shop", "shop", "shop-1", folder)
    site = cast(Site, SimpleNamespace(place=place, cluster=pod))
    return WorkloadVolumes(site, cast(Wanted, wanted), cast(LiveVolumes, Live()))


def lines(*entries: Entry) -> list[Json]:
    return [render_entry(entry) for entry in entries]


SOCKET = [{"path": ".", "type": "s", "mode": 0o755, "left_out": "socket"}]


async def test_each_that_cant_be_copied_is_named_and_the_others_are_copied(tmp_path: Path) -> None:
    pod = Pod({"/data": lines(TOP), "/node": lines(TOP, LARGE), "/more": SOCKET})
    made, said = filling(pod, tmp_path), list[Progress]()
    await made.fill(cast(AgentLink, pod), Turn.of(5, said.append))
    rows = {str(row["name"]): row for row in made.status()}
    assert {name: row["mode"] for name, row in rows.items()} == {
        "data": "copy",
        "gone": "off",
        "node": "off",
        "/more": "off",
    }
    large = "volume node has 1024.0 GiB in 1 file; its limit is 1.0 GiB"
    reasons = {"gone": "the container has no such mount", "node": large, "/more": "socket"}
    for name, reason in reasons.items():
        assert rows[name]["left_out"] == [{"path": ".", "reason": reason}]
    assert {it.text for it in said} >= {f"volume {name}: left out: {why}" for name, why in reasons.items()}
    assert [bind.destination for bind in made.binds] == ["/data"]
    stays = "what is written to data stays on this laptop (`mode: sync` sends it to the pod)"
    assert [it.text for it in said if "stays" in it.text] == [stays]  # not of those that are left out


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("gone", "gone can't be had: the container has no such mount"),
        ("/more", "/more can't be copied: socket"),
        ("node", "volume node has 1024.0 GiB"),
        ("data", "data can't be copied: permission denied"),
    ],
)
async def test_what_the_file_asks_for_is_an_error(tmp_path: Path, key: str, message: str) -> None:
    pod = Pod({"/node": lines(TOP, LARGE), "/more": SOCKET})
    if key == "node":
        pod.trees["/data"] = lines(TOP)
    made = filling(pod, tmp_path, VolumeRule(key))
    with pytest.raises(ConfigurationError) as caught:
        await made.check(cast(AgentLink, pod))
    assert message in str(caught.value)


async def test_a_claim_that_is_too_large_is_an_error_in_any_case(tmp_path: Path) -> None:
    pod = Pod({"/data": lines(TOP, LARGE), "/node": lines(TOP), "/more": SOCKET})
    with pytest.raises(ConfigurationError, match=r"volume data has 1024\.0 GiB"):
        await filling(pod, tmp_path).check(cast(AgentLink, pod))


async def test_the_files_wish_alone_makes_a_difference(tmp_path: Path) -> None:
    """What was predicted before the pod told is no wish."""
    pod = Pod({"/data": lines(TOP), "/node": lines(TOP), "/more": SOCKET})
    made = filling(pod, tmp_path)
    await made.check(cast(AgentLink, pod))
    same, other = (filling(pod, tmp_path, *rules)._wanted for rules in ((), (VolumeRule("data", "off"),)))
    assert not made.differs(same)
    assert made.differs(other)
