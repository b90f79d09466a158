"""What `doctor` says still works without a right is true: tried with the Role without that one verb.

Each sentence of the table has its trial here, so a new one can't be written without.  Whatever is missing,
`up` either works or is refused before anything is made: it is never stopped half-way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster.rules.cluster.rights import RIGHTS, Right
from tests.scenarios.fire import FILE, assert_as_before, deploy_twice, snapshot
from tests.scenarios.limited import give_back, limit, rules_of, take_away
from tests.scenarios.world import World

Json = dict[str, Any]
_REVISION = "deployment.kubernetes.io/revision"
_QUICK = {"list deployments", "patch replicasets", "list secrets"}

_LIST, _CONFIG, _LOGS = ("list",), ("config",), ("logs", "web")
_LOOKS = (("status",), _LOGS, ("exec", "web", "/app", "resolve", "web"), ("env", "web"))


@dataclass(frozen=True)
class Trial:
    """``up``: whether it works; else ``works`` does, of what is attached already.  ``left``: what `down`
    leaves.  ``named``: of a workload whose Services name their ports."""

    up: bool = True
    works: tuple[tuple[str, ...], ...] = (*_LOOKS, _LIST)
    left: tuple[str, ...] = ()
    named: bool = False


_ALL, _LATER = Trial(), "changes are seen a second later"
_LOOK = "status, logs, exec, env and leave, for what is already attached"
_SETS = "devcluster's ReplicaSets and the history's numbers"
_ATTACHED = Trial(up=False, works=(*_LOOKS, ("leave",)))
TRIALS = {
    "list and logs": Trial(up=False, works=(_LIST, _LOGS)),
    "list and config": Trial(up=False, works=(_LIST, _CONFIG)),
    "list": Trial(up=False, works=(_LIST,)),
    f"everything, but list leaves them out; {_LATER}": _ALL,
    "workloads of other kinds": _ALL,
    f"everything; {_LATER}": _ALL,
    "everything; without the log of a pod that does not start": _ALL,
    "everything, by pods/portforward, which is slower": _ALL,
    "everything, if the pod proxy is open": _ALL,
    "everything, if configmaps can be listed": _ALL,
    "everything, where no pod has to be replaced": _ALL,
    "everything; two pods may write to a ReadWriteOnce claim during a roll-out": _ALL,
    "everything; a policy that says the port's number may shut connections out": _ALL,
    "workloads whose Services use names of ports": Trial(named=True),
    "one workload at a time in the namespace": _ALL,
    _LOOK: _ATTACHED,
    f"{_LOOK}; whoever left is still named as the holder": _ATTACHED,
    f"{_LOOK}; down leaves {_SETS}": Trial(
        up=False, works=(*_LOOKS, ("leave",)), left=("ReplicaSets", "numbers")
    ),
    f"up and leave; down leaves {_SETS}": Trial(left=("ReplicaSets", "numbers")),
    "up and leave; down leaves the history's numbers": Trial(left=("numbers",)),
    "up and leave; down leaves the Secret": Trial(left=("Secret",)),
    "up and leave; down leaves the agent's ConfigMaps": Trial(left=("ConfigMaps",)),
}


def _each() -> list[Any]:
    marks = {right: () if str(right) in _QUICK else (pytest.mark.slow,) for right in RIGHTS}
    return [pytest.param(right, marks=marks[right], id=str(right).replace(" ", "-")) for right in RIGHTS]


def test_each_sentence_has_a_trial() -> None:
    assert {right.without for right in RIGHTS} == TRIALS.keys()


@pytest.mark.parametrize("right", _each())
async def test_what_doctor_says_works(world: World, kubeconfig: Path, right: Right) -> None:
    trial = TRIALS[right.without]
    if trial.named:
        world.write(FILE.format(namespace=world.namespace))
        await world.deploy()
    else:
        await deploy_twice(world)
    rules = await rules_of(world)
    await limit(world, kubeconfig, rules)
    before = await snapshot(world)
    said = (await take_away(world, rules, right))["text"]
    assert said.endswith(f"what works without it: {right.without}")

    if not trial.up:
        for command in (["plan"], ["up", "-d"]):
            done = await world.devcluster(*command, code=4)
            assert f"cannot {right}" in done.stderr
        assert _left(before, await snapshot(world)) == []
        await give_back(world, rules)
    await world.devcluster("up", "-d")
    assert await world.who(5) == {"local": 5}
    if not trial.up:
        await take_away(world, rules, right)
    for words in trial.works:
        await world.devcluster(*words)
    if trial.up:
        await world.devcluster("leave")
        assert await world.who(5) == {"original": 5}
        await world.devcluster("up", "-d")
    await _down(world, rules, right, trial, before)


async def _down(world: World, rules: Any, right: Right, trial: Trial, before: Json) -> None:
    if trial.left:
        done = await world.devcluster("down", code=7)
        assert f"cannot {right} in namespace {world.namespace}" in done.stderr
        assert _left(before, await snapshot(world)) == sorted(trial.left)
    else:
        if not trial.up:
            await give_back(world, rules)
        await world.devcluster("down")
        assert _left(before, await snapshot(world)) == []
        if not trial.named:
            await assert_as_before(world, before)
    assert await world.who(5) == {"original": 5}


def _left(before: Json, now: Json) -> list[str]:
    """What of *now* is not as it was, in the words of the table; anything else by its own."""
    found = {word for word in ("docker", "service") if before[word] != now[word]}
    found |= {word for kind, word in _OBJECTS if set(now[kind]) - set(before[kind])}
    numbers = {name: item["annotations"][_REVISION] for name, item in before["releases"].items()}
    for name, item in now["releases"].items():
        if name not in numbers:
            found.add("ReplicaSets")
        elif item["annotations"][_REVISION] != numbers[name]:
            found.add("numbers")
    was, live = before["deployment"], now["deployment"]
    found |= {word for word in ("spec", "managers", "labels") if was[word] != live[word]}
    return sorted(found)


_OBJECTS = (("secret", "Secret"), ("configmap", "ConfigMaps"))
