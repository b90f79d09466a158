"""What `up` and `plan` ask before anything changes: one function, so that `plan` promises nothing else."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from devcluster.config.model import Project, Target, Workload
from devcluster.deadline import Deadline
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.watch import Listing
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import ConfigurationError
from devcluster.plan.install import plan_install
from devcluster.plan.serving import plan_serving
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.commands import plan as plan_command
from devcluster.run.host import preconditions, session
from devcluster.run.host.preconditions import check_before
from devcluster.run.place import place_of
from tests.unit.plan.test_install import WISH, observed
from tests.unit.run.test_permission import Reviewer


class Granting(Reviewer):
    """No pod of it has an agent yet."""

    async def list(self, kind: str, namespace: str, **_: Any) -> Listing:
        return Listing((), "1")


class Wanted:
    """What is asked of one."""

    publishes = ()
    volumes = ()
    is_live = False

    def __init__(self, ref: WorkloadRef, **wish: Any) -> None:
        self.workload = Workload("web", Target("web"))
        self.project = Project("shop")
        self.ref = ref
        self.object = WorkloadObject(ref, "u", "web", {"spec": {"selector": {"matchLabels": {"app": "web"}}}})
        self.install = plan_install(observed(), replace(WISH, **wish))
        self.serving = self.install.wish.serving


REF = WorkloadRef("deployment", "shop", "web")


async def check(
    tmp_path: Any, cluster: Any, others: dict[str, WorkloadRef] | None = None, **wish: Any
) -> None:
    place = place_of("test", "shop", "shop", {"XDG_STATE_HOME": str(tmp_path)})
    wanted: Any = [Wanted(REF, **wish)]
    docker: Any = None
    await check_before(place, cluster, docker, wanted, (), others or {}, Deadline.after(5))


async def test_nothing_is_wrong(tmp_path: Any) -> None:
    await check(tmp_path, Granting())


async def test_a_right_is_missing(tmp_path: Any) -> None:
    with pytest.raises(ForbiddenError, match="cannot patch deployments"):
        await check(tmp_path, Granting("patch deployments"))


async def test_the_laptop_has_no_program(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise ConfigurationError("no program")

    monkeypatch.setattr(preconditions, "host_program", none)
    await check(tmp_path, Granting())
    with pytest.raises(ConfigurationError, match="no program"):
        await check(tmp_path, Granting(), serving=plan_serving("replace", "front", "host"))


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "riscv64")])
async def test_no_program_keeps_a_folder_and_the_pod_alike_here(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    """`mode: sync` with `run: host`, where the wheel has no binary for the laptop: exit 2, and nothing was
    changed."""
    monkeypatch.setattr(preconditions, "host_program", lambda: None)  # the lanes have one
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    hosted = plan_serving("intercept", "front", "host")
    await check(tmp_path, Granting(), serving=hosted)
    monkeypatch.setattr(Wanted, "is_live", True)
    await check(tmp_path, Granting())  # a container has the gateway's image
    with pytest.raises(ConfigurationError, match=f"(?i)devcluster does not have for {system}") as refused:
        await check(tmp_path, Granting(), serving=hosted)
    assert refused.value.exit_code == 2


async def test_another_key_has_it(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="deployment/web is the target of front already"):
        await check(tmp_path, Granting(), others={"front": REF})


def test_what_stays_beside_is_known_to_plan_as_well() -> None:
    row = {"title": "deployment/web", "decision": {"work": "nothing"}}
    attached = {"front": row, "gone": row | {"decision": {"work": "remove"}}, "web": row}
    wanted: Any = [Wanted(REF)]
    assert plan_command._others(attached, wanted, "shop") == {"front": REF}


@pytest.mark.parametrize("asks", [plan_command.make_plan, session.Session._check])
def test_both_ask_it(asks: Any) -> None:
    assert "check_before(" in inspect.getsource(asks)
