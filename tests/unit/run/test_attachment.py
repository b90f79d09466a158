"""The whole life of an attachment, between two scripted sides: what is done, in which order, and what is
true."""

from __future__ import annotations

import asyncio
import time

import pytest

from devcluster.errors import FailedError, HeldError
from devcluster.rules.cluster.drift import Drift
from devcluster.run.attach import attachment as module
from devcluster.run.attach import executor, freshness
from devcluster.run.attach.attachment import HandedBack
from devcluster.run.attach.sides import AgentSource, DriftSight
from devcluster.run.turn import Turn
from tests.unit.run.scripted import Script, ScriptedAgent, attached, running_attachment


async def _attach(script: Script, *pods: str) -> list[str]:
    async with running_attachment(script):
        script.cluster.show(*pods or ("a",))
        await script.attachment.attach(Turn.of(5))
        assert script.state == "attached"
    return script.did


async def test_start_first_stops_the_original_last() -> None:
    assert await _attach(Script()) == [
        "laptop check",
        "laptop open",
        "laptop fill",
        "laptop start",
        "a take",
        "a stop",
    ]


@pytest.mark.parametrize(
    ("step", "phase"), [("fill", "copy the pod's volumes"), ("open", "start the gateway")]
)
async def test_a_phase_takes_no_longer_than_the_command_may(
    step: str, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_SLACK", 0.01)
    script = Script()

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(script.local, step, hangs)
    async with running_attachment(script):
        script.cluster.show("a")
        with pytest.raises(FailedError, match=f"not done after .* s: {phase}"):
            await script.attachment.attach(Turn.of(0.1))


async def test_stop_first_never_runs_two() -> None:
    did = await _attach(Script(order="stop-first"))
    assert did[:6] == ["laptop check", "laptop open", "laptop fill", "a pause", "a stop", "laptop fill"]
    assert did[6:] == ["laptop start", "a pause", "a stop", "a take"]


async def test_what_its_user_starts_is_never_started() -> None:
    assert await _attach(Script(run="host")) == [
        "laptop check",
        "laptop open",
        "laptop fill",
        "a take",
        "a stop",
    ]
    async with attached(Script(run="host")) as script:
        await script.attachment.restart(Turn.of(5))
        assert script.did == []


async def test_intercept_lets_the_original_run() -> None:
    assert (await _attach(Script("intercept")))[-2:] == ["laptop start", "a intercept"]


async def test_ingest_leads_nothing() -> None:
    assert (await _attach(Script("ingest")))[-2:] == ["laptop start", "a ingest"]


async def test_every_pod_is_told_and_one_that_comes_later_too() -> None:
    async with attached(Script(), "a") as script:
        script.cluster.show("a", "b")
        await script.changes.until(lambda: len(script.attachment.snapshot.pods) == 2)
        await script.until("attached")
        assert script.did == ["b take", "b stop"]
        assert script.local.led == "a"


async def test_the_primary_is_another_pod_when_it_goes() -> None:
    async with attached(Script(), "a", "b") as script:
        script.cluster.show("b")
        await script.changes.until(lambda: script.attachment.links.primary == "b")
        while script.local.led != "b":
            await asyncio.sleep(0)


async def test_where_pods_last_the_laptop_is_the_one_with_the_lowest_number() -> None:
    """Another one's name and files would be another member of the cluster."""
    script = Script()
    script.cluster.lasting = True
    links = script.attachment.links
    script.cluster.agents["web-2"] = ScriptedAgent("web-2", script.did)
    script.cluster.agents["web-2"].dead = True
    async with running_attachment(script), asyncio.TaskGroup() as tasks:
        script.cluster.show("web-10", "web-2")
        attaching = tasks.create_task(script.attachment.attach(Turn.of(5)))
        await script.changes.until(lambda: [it.pod.name for it in links.held] == ["web-10"])
        assert (links.primary, links.source, script.did) == ("web-10", None, [])
        script.cluster.agents["web-2"].dead = False
        await attaching
        assert links.source == ("web-2", 1)
        script.cluster.show("web-10")
        await script.changes.until(lambda: links.primary == "web-10")
        assert links.source is None  # the files of web-2 are no business of its
        script.cluster.show("web-10", "web-2")
        await script.changes.until(lambda: links.primary == "web-2")
        assert links.source == ("web-2", 1)


async def test_a_container_beside_that_ended_is_no_success() -> None:
    script = Script()
    script.cluster.crash = "container beside of pod a does not run any more"
    async with running_attachment(script):
        script.cluster.show("a")
        with pytest.raises(FailedError, match="beside"):
            await script.attachment.attach(Turn.of(5))


async def test_the_way_back() -> None:
    async with attached(Script()) as script:
        await script.attachment.hand_back(Turn.of(5))
        assert script.did == ["a release", "laptop stop", "record: nobody"]
        assert script.state == "left"


async def test_the_way_back_waits_for_a_pod_that_was_just_scaled_away() -> None:
    """Its callers have nobody else."""
    async with attached(Script(), "a", "b") as script:
        script.cluster.show("a", "b", ending=("b",))
        await script.changes.until(lambda: bool(script.attachment.links.ending))
        said: list[object] = []
        leaving = asyncio.create_task(script.attachment.hand_back(Turn.of(5, said.append)))
        await asyncio.sleep(0)
        assert (script.did, len(said)) == ([], 1)
        script.cluster.show("a")
        await leaving
        assert script.did == ["a release", "laptop stop", "record: nobody"]


async def test_the_way_back_of_what_must_never_run_twice() -> None:
    async with attached(Script(order="stop-first")) as script:
        await script.attachment.hand_back(Turn.of(5))
        assert script.did == ["a pause", "laptop stop", "a release", "record: nobody"]


async def _hand_back_worn(script: Script, *, seconds: float = 5) -> HandedBack:
    """The controller makes pod b when a is deleted, and a ends once it may."""
    agent = script.cluster.agents["a"]
    agent.worn, agent.let_end = True, lambda: script.cluster.show("b")
    script.cluster.deleted = lambda name: script.cluster.show("a", "b")
    return await script.attachment.hand_back(Turn.of(seconds))


async def test_an_original_that_cannot_start_twice_gets_another_pod() -> None:
    """The laptop serves until it is ready, and stops last."""
    async with attached(Script()) as script:
        handed = await _hand_back_worn(script)
        assert script.did == [
            "a release fails",
            "a stay",
            "delete a late",
            "b release",
            "a stay",
            "laptop stop",
            "record: nobody",
        ]
        assert handed.unserved == ""
        assert handed.notes == ("pod a was replaced: the application ended with 3",)


async def test_a_pod_from_before_the_agent_ends_first() -> None:
    """With no other one ready, connections would go to it, and it has no front."""
    async with attached(Script()) as script:
        script.cluster.former = ["old"]
        await _hand_back_worn(script)
        assert script.did[:4] == ["a release fails", "old ends", "a stay", "delete a late"]


async def test_an_old_pod_that_does_not_end_keeps_nobody_longer_than_the_command_may() -> None:
    async with attached(Script()) as script:
        script.cluster.agents["a"].worn = True
        script.cluster.deleted = lambda name: script.cluster.show("a", "b")
        await script.attachment.hand_back(Turn.of(1))
        assert script.did[-2:] == ["laptop stop", "record: nobody"]


async def test_a_controller_that_waits_for_the_end_is_not_waited_for() -> None:
    script = Script()
    script.cluster.early = False
    async with attached(script):
        await _hand_back_worn(script)
        assert script.did[:3] == ["a release fails", "delete a", "b release"]


async def test_one_that_starts_nowhere_is_told() -> None:
    async with attached(Script()) as script:
        script.cluster.agents["b"] = ScriptedAgent("b", script.did)
        script.cluster.agents["b"].worn = True
        handed = await _hand_back_worn(script)
        assert handed.unserved == "the application ended with 3, in a new pod, too"
        assert script.did[-2:] == ["laptop stop", "record: nobody"]


async def test_one_that_is_slow_is_told_with_its_figures() -> None:
    async with attached(Script()) as script:
        script.wanted.container["startupProbe"] = {"periodSeconds": 10, "failureThreshold": 30}
        agent = script.cluster.agents["a"]
        agent.slow, agent.child = True, "starting"
        agent.tell()
        handed = await script.attachment.hand_back(Turn.of(0.2))
        assert handed.unserved == (
            "pod a: the application starts, for which its startup probe allows 300 s; as soon as it does, "
            "it serves"
        )
        assert script.did[-2:] == ["laptop stop", "record: nobody"]


async def test_one_that_ran_on_and_is_not_ready_is_told() -> None:
    """It has its connections back all the same."""
    async with attached(Script()) as script:
        agent = script.cluster.agents["a"]
        agent.child, agent.reason = "running", "readiness probe: HTTP 503"
        handed = await script.attachment.hand_back(Turn.of(5))
        assert handed.unserved == (
            "pod a: the application is not ready: readiness probe: HTTP 503; as soon as it is, it serves"
        )
        assert script.did == ["a release", "laptop stop", "record: nobody"]


async def test_a_silent_agent_keeps_nobody_from_handing_back() -> None:
    async with attached(Script(), "a", "b") as script:
        script.cluster.agents["a"].dead = True
        said: list[str] = []
        await script.attachment.hand_back(Turn.of(0.2, lambda it: said.append(it.text)))
        assert "b release" in script.did
        assert any("an agent did not answer `release`" in text for text in said)


async def test_a_restart_holds_connections_back() -> None:
    async with attached(Script()) as script:
        await script.attachment.restart(Turn.of(5))
        assert script.did == ["a pause", "laptop restart", "a take", "a stop"]
        assert script.state == "attached"


async def test_an_edit() -> None:
    async with attached(Script()) as script:
        await script.attachment.change(script.wanted, Turn.of(5))
        assert script.did == [
            "a pause",
            "laptop replace",
            "laptop fill",
            "laptop start",
            "a take",
            "a stop",
        ]


async def test_a_local_side_that_ends_is_handed_back() -> None:
    async with attached(Script()) as script:
        script.local.become(ended="it ended with exit code 3")
        await script.until("failed")
        assert script.did == ["a release", "laptop stop", "record: nobody"]
        assert script.attachment.truth.reason == "it ended with exit code 3"


async def test_one_that_ended_with_0_is_started_again() -> None:
    """Connections wait meanwhile, and `status` says why."""
    async with attached(Script()) as script:
        script.local.become(resting="web ended with 0", wakes=time.time() + 9)
        await script.until("starting")
        assert script.attachment.truth.reason.startswith("web ended with 0; it is started again in 9 s")
        script.local.rested.set()
        await script.until("attached")
        assert script.did == ["a pause", "laptop rest", "laptop restart", "a take", "a stop"]
        script.local.become(lives="started again once")
        assert script.attachment.truth.reason == "started again once"


async def test_one_that_keeps_ending_is_handed_back() -> None:
    async with attached(Script()) as script:
        script.local.rested.set()
        script.local.again_fails = "web ended with exit code 0, three times"
        script.local.become(resting="web ended with 0")
        await script.until("failed")
        assert script.did[-3:] == ["a release", "laptop stop", "record: nobody"]
        assert script.attachment.truth.reason == "web ended with exit code 0, three times"


async def test_nobody_waits_for_the_pause_who_wants_to_leave() -> None:
    async with attached(Script()) as script:
        script.local.become(resting="web ended with 0", wakes=time.time() + 300)
        await script.until("starting")
        await script.attachment.hand_back(Turn.of(5))
        assert script.did[-3:] == ["a release", "laptop stop", "record: nobody"]
        assert script.state == "left"


async def test_a_restart_by_hand_ends_the_pause() -> None:
    async with attached(Script()) as script:
        script.local.become(resting="web ended with 0", wakes=time.time() + 300)
        await script.until("starting")
        await script.attachment.restart(Turn.of(5))
        assert script.did[-4:] == ["a pause", "laptop restart", "a take", "a stop"]
        assert script.state == "attached"


async def test_one_that_does_not_become_healthy_fails_the_command() -> None:
    script = Script()
    script.local.fails = "not healthy"
    with pytest.raises(FailedError, match="not healthy"):
        await _attach(script)


async def test_one_that_ends_while_the_original_stops_fails_the_command() -> None:
    script = Script()
    async with running_attachment(script):
        script.cluster.show("a")
        agent = script.cluster.agents["a"]
        call = agent.call

        async def ends(do: str, **words: object) -> dict[str, object]:
            if do == "stop":
                script.local.become(ended="it ended")
            return await call(do, **words)

        agent.call = ends  # type: ignore[method-assign]
        with pytest.raises(FailedError, match="it ended"):
            await script.attachment.attach(Turn.of(5))


async def test_who_takes_it_over_is_named_and_told_nothing() -> None:
    async with attached(Script()) as script:
        script.cluster.agents["a"].taken_by("bob")
        await script.until("held")
        assert script.did == ["laptop stop"]
        assert script.attachment.truth.reason.startswith("held by bob@desk")


async def test_a_takeover_of_one_pod_is_the_loss_of_all() -> None:
    async with attached(Script(), "a", "b") as script:
        script.cluster.agents["b"].taken_by("bob")
        await script.until("held")
        assert [link.state for link in script.attachment.links.staying] == ["lost", "lost"]


async def test_an_agent_that_somebody_installed_anew_is_theirs() -> None:
    async with attached(Script()) as script:
        script.cluster.refusal = "held by bob"
        script.cluster.strangers.add("b")
        script.cluster.show("b")
        await script.until("held")
        assert script.attachment.truth.reason == "held by bob"


async def test_the_record_tells_of_a_takeover_before_the_agent_does() -> None:
    async with attached(Script()) as script:
        script.cluster.refusal = "held by bob"
        script.local.fails = "its connections were cut"
        with pytest.raises(HeldError, match="held by bob"):
            await script.attachment.change(script.wanted, Turn.of(5))


async def test_an_outage_of_the_engine_pauses_and_then_takes_again() -> None:
    async with attached(Script()) as script:
        script.local.engine.clear()
        script.local.become(outage="the Docker engine does not answer")
        await script.changes.until(lambda: script.did == ["a pause"])
        assert script.state == "reconnecting"
        reason = script.attachment.truth.reason
        assert reason == "the Docker engine does not answer; connections wait in the pods"
        script.local.engine.set()
        await script.until("attached")
        await script.changes.until(lambda: "a stop" in script.did)
        assert script.did == ["a pause", "laptop recover", "a take", "a stop"]


async def test_an_outage_longer_than_the_lease_gives_the_original_the_traffic() -> None:
    async with attached(Script(lease=0.01)) as script:
        script.local.engine.clear()
        script.local.become(outage="the engine is away")
        await script.changes.until(lambda: "a release" in script.did)
        assert "the original serves meanwhile" in script.attachment.truth.reason
        script.local.engine.set()
        await script.changes.until(lambda: "a stop" in script.did)
        assert script.did[-3:] == ["laptop recover", "a take", "a stop"]


async def test_leave_in_an_outage_ends_the_recovery() -> None:
    async with attached(Script()) as script:
        script.local.engine.clear()
        script.local.become(outage="the engine is away")
        await script.changes.until(lambda: script.did == ["a pause"])
        await script.attachment.hand_back(Turn.of(5))
        script.local.engine.set()
        await asyncio.sleep(0)
        assert script.did == ["a pause", "a release", "laptop stop", "record: nobody"]


async def test_what_does_not_come_back_after_an_outage_is_handed_back() -> None:
    async with attached(Script()) as script:

        async def fails(turn: Turn, agent: AgentSource) -> None:
            raise FailedError("no such image")

        script.local.recover = fails  # type: ignore[method-assign]
        script.local.become(outage="the engine is away")
        await script.until("failed")
        assert "no such image" in script.attachment.truth.reason


async def test_an_agent_that_is_killed_is_joined_again() -> None:
    async with attached(Script()) as script:
        script.cluster.agents["a"].dead = True
        await script.until("reconnecting")
        assert script.attachment.truth.reason == "a: its agent can't be heard"
        script.cluster.show()
        script.cluster.show("b")
        await script.until("attached")
        assert script.did[-2:] == ["b take", "b stop"]


async def test_a_template_that_is_put_back_while_it_starts_is_the_end_of_it() -> None:
    script = Script()
    async with running_attachment(script):
        gone = Drift("the template was put back", "gone")
        script.cluster.drift.put_nowait(DriftSight((gone,), 1))
        with pytest.raises(FailedError, match="the template was put back"):
            await script.attachment.attach(Turn.of(5))


async def test_one_that_broke_is_not_waited_for() -> None:
    script = Script()
    async with running_attachment(script):  # no pod has an agent yet
        attaching = asyncio.create_task(script.attachment.attach(Turn.of(60)))
        await script.attachment.hand_back(Turn.of(5), failure="a bug: KeyError")
        with pytest.raises(FailedError, match="a bug: KeyError"):
            async with asyncio.timeout(15):
                await attaching


async def test_no_agent_in_time() -> None:
    script = Script()
    async with running_attachment(script):
        with pytest.raises(FailedError, match="no agent of deployment/web could be reached"):
            await script.attachment.attach(Turn.of(0.05))


async def test_a_removal_yields_first_where_two_must_never_run() -> None:
    async with attached(Script(order="stop-first")) as script:
        await script.attachment.yield_first(Turn.of(5))
        assert script.did == ["a pause", "laptop stop"]
        script.cluster.show()
        await script.attachment.end_removed(Turn.of(5))
    async with attached(Script()) as script:
        await script.attachment.yield_first(Turn.of(5))
        assert script.did == []


async def test_connections_that_stay_open_do_not_hold_a_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    async with attached(Script()) as script:
        await script.attachment.yield_first(Turn.of(5))
        await script.attachment.end_removed(Turn.of(5))
        assert script.did == ["laptop stop"]


async def test_a_copy_is_filled_again_when_kubelet_has_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "_PAUSE", 0.0)
    async with attached(Script(), "a", "b") as script:
        await _write_anew(script, "a", "config-1", "token-a")
        script.local.become(versions=frozenset({"config-1", "token-a"}))
        await _write_anew(script, "b", "config-1b", "token-b")  # not the pod that it came from
        assert script.did == []
        await _write_anew(script, "a", "config-2", "token-a")
        await script.changes.until(lambda: script.did == ["laptop refresh by a"])
        script.forget()
        script.cluster.show("b")  # a token ends with its pod
        await script.changes.until(lambda: script.did == ["laptop refresh by b"])


async def test_nothing_is_filled_again_by_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "_PAUSE", 0.0)
    async with attached(Script(), "a") as script:
        script.local.become(versions=frozenset({"config-1"}))
        await asyncio.sleep(0.05)
        assert script.did == []  # the agent has not looked yet
        await _write_anew(script, "a", "config-1", "of-a-volume-that-is-off")
        await asyncio.sleep(0.05)
        assert script.did == []


async def _write_anew(script: Script, pod: str, *versions: str) -> None:
    agent = script.cluster.agents[pod]
    agent.versions = versions
    agent.tell()
    await asyncio.sleep(0)


async def test_a_phase_is_told_at_its_beginning_and_its_end() -> None:
    script, told = Script(), []
    async with running_attachment(script):
        script.cluster.show("a")
        await script.attachment.attach(Turn.of(5, lambda it: told.append((it.phase, it.seconds is None))))
    assert told[:4] == [("hold", True), ("hold", False), ("connect", True), ("connect", False)]
