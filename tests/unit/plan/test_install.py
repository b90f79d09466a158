"""What `up` plans for the cluster: the first time, the second time, after an edit, after a crash."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from devcluster.config.model import Mode, Run, Take
from devcluster.errors import ConfigurationError, LeftoverError
from devcluster.plan.install import Observed, Wish, plan_install
from devcluster.plan.remove import plan_remove
from devcluster.plan.serving import plan_serving
from devcluster.plan.steps import render_steps
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.cluster.services import PortMove
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.ports.ports import PortKey

IMAGE = ImageFacts("sha256:1", ("/app",), (), None, "", "/", "amd64", ())
WISH = Wish(digest="0123456789ab", chunks=2, image=IMAGE)
REF = WorkloadRef("deployment", "shop", "web")


DIRECT = plan_serving("replace", "direct", "container")


def service(name: str, target: int | str) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": target}]}
    return {"metadata": {"name": name}, "spec": spec}


def observed(*services: dict[str, Any]) -> Observed:
    container = {"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    item = {"metadata": {"name": "web", "uid": "u"}, "spec": {"template": template}}
    return Observed(REF, "web", item, services)


def installed(seen: Observed, wish: Wish) -> Observed:
    """What stands there after the plan was applied."""
    plan = plan_install(seen, wish)
    item = copy.deepcopy(seen.object)
    item["spec"]["template"] = plan.wrapped
    originals = Originals(
        ref=REF,
        uid="u",
        container="web",
        template=plan.base,
        wrapped=plan.wrapped,
        history_limit=10,
        raised_limit=20,
        revision="1",
        moves=plan.moves,
    )
    services = copy.deepcopy(seen.services)
    for one in services:
        for move in plan.moves:
            if move.service == one["metadata"]["name"]:
                one["spec"]["ports"][0]["targetPort"] = move.front
    return replace(seen, object=item, services=services, originals=originals, settings=plan.settings)


def names(seen: Observed, wish: Wish) -> list[str]:
    return [type(step).__name__ for step in plan_install(seen, wish).steps]


FIRST = ["PublishAgent", "WriteSecret", "PatchTemplate", "AwaitPods"]


def test_first_time_in_words() -> None:
    seen = observed(service("web", "http"), service("number", 8080))
    assert render_steps(plan_install(seen, WISH).steps) == (
        " 1. publish the agent as 2 ConfigMaps in namespace shop\n"
        "    because deployment/web has no agent; no image has to be pulled for it\n"
        "    `down` deletes them when no workload uses them\n"
        " 2. write secret/devcluster-deployment-web (keys, settings, the original state)\n"
        "    because `down` must work from any machine\n"
        "    `down` deletes it\n"
        " 3. start container web of deployment/web through the agent, with a roll-out\n"
        "    because deployment/web has no agent\n"
        "    `down` restores the pod template, with a roll-out\n"
        " 4. wait until every pod of deployment/web runs its agent\n"
        "    because traffic is taken over pod by pod\n"
        " 5. point service/number to the agent (80: 8080 to 47100)\n"
        "    because it names the application's port by its number\n"
        "    `down` restores the targetPort before it rolls back"
    )


def test_second_time_nothing_is_written() -> None:
    seen = installed(observed(service("web", "http"), service("number", 8080)), WISH)
    assert names(seen, WISH) == ["AwaitPods"]
    assert plan_install(seen, WISH).adopted
    assert names(seen, replace(WISH, digest="ba9876543210")) == ["AwaitPods"]  # another binary will do


@pytest.mark.parametrize(
    "change", [{"port": 9950}, {"lease": 30.0}, {"delivery": "emptydir"}, {"serving": DIRECT}]
)
def test_an_edit_wraps_the_original_anew(change: dict[str, Any]) -> None:
    first = observed(service("web", "http"))
    seen = installed(first, WISH)
    wish = replace(WISH, **change)
    plan = plan_install(seen, wish)
    assert names(seen, wish) == FIRST
    assert plan.base == first.object["spec"]["template"]
    assert plan.wrapped == plan_install(first, wish).wrapped


def test_direct_after_front_leads_numeric_services_back_first() -> None:
    seen = installed(observed(service("number", 8080)), WISH)
    assert names(seen, replace(WISH, serving=DIRECT)) == [
        "PublishAgent",
        "WriteSecret",
        "RestoreService",
        "PatchTemplate",
        "AwaitPods",
    ]


def test_of_an_image_that_is_not_here_the_plan_takes_what_it_said_before() -> None:
    pending = replace(WISH, image=None, pending=True)
    assert names(observed(), pending) == FIRST
    quits = replace(WISH, image=replace(IMAGE, stop_signal="SIGQUIT"))
    assert names(installed(observed(), quits), pending) == ["AwaitPods"]
    assert names(installed(observed(), quits), replace(pending, port=9950)) == FIRST


def test_new_image_command_wraps_anew() -> None:
    seen = installed(observed(), WISH)
    assert names(seen, replace(WISH, image=replace(IMAGE, entrypoint=("/new",)))) == FIRST


def test_crash_before_the_template_was_touched() -> None:
    first = observed()
    seen = replace(installed(first, WISH), object=first.object)
    assert names(seen, WISH) == FIRST


def test_crash_before_the_services_were_led() -> None:
    first = observed(service("number", 8080))
    seen = replace(installed(first, WISH), services=first.services)
    assert names(seen, WISH) == ["AwaitPods", "PatchService"]


@pytest.mark.parametrize(
    ("mode", "notes"),
    [
        (
            "replace",
            (
                "service/web port 80 bypasses the agent (it also selects pods of other workloads): "
                "connections may be refused while the original starts again",
            ),
        ),
        (
            "intercept",
            (
                "service/web port 80 stays with the original (it also selects pods of other workloads)",
                "what calls the pod's own address, or 127.0.0.1 inside the pod, stays with the original",
            ),
        ),
        ("ingest", ("every connection stays with the original (mode: ingest)",)),
    ],
)
def test_what_the_user_loses_where_a_service_can_not_be_led(mode: Mode, notes: tuple[str, ...]) -> None:
    seen = replace(observed(service("web", 8080)), others=({"app": "web"},))
    made = plan_install(seen, replace(WISH, serving=plan_serving(mode, "front", "container")))
    assert (made.notes, made.staying) == (notes, () if mode == "replace" else notes)


@pytest.mark.parametrize(
    ("mode", "take", "when"),
    [
        ("replace", "front", "while nobody holds the workload"),
        ("intercept", "front", "while nobody holds the workload"),
        ("ingest", "front", "until `down`"),
        ("replace", "direct", ""),
    ],
)
def test_when_the_original_does_not_see_its_callers(mode: Mode, take: Take, when: str) -> None:
    serving = plan_serving(mode, take, "container")
    notes = plan_install(observed(service("web", 8080)), replace(WISH, serving=serving)).notes
    said = f"{when}, the application sees the pod's own address as its caller"
    assert [it for it in notes if "its caller" in it] == ([said] if when else [])


@pytest.mark.parametrize(
    ("run", "mode", "words"),
    [
        ("container", "intercept", "another container that listens there goes on in the cluster"),
        ("host", "ingest", "another container that listens there goes on in the cluster"),
        ("host", "intercept", "it comes to the laptop, whoever listens there in the pod"),
    ],
)
def test_what_becomes_of_a_port_that_nobody_declares(run: Run, mode: Mode, words: str) -> None:
    """A process has no way back into the pod."""
    seen = observed(service("web", 4999))
    seen.object["spec"]["template"]["spec"]["containers"].append({"name": "gate"})
    notes = plan_install(seen, replace(WISH, serving=plan_serving(mode, "front", run))).notes
    assert any(it.endswith(words) for it in notes)


def beside(*services: str) -> Wish:
    return replace(WISH, serving=plan_serving("intercept", "front", "container"), services=services or None)


SHARED = (service("other", "http"), service("web", "http"))
NUMBERS = (service("other", 8080), service("web", 8080))
PORTS = (service("other", 9000), service("web", 8080))


@pytest.mark.parametrize(
    ("services", "before", "after", "steps"),
    [
        (NUMBERS, beside(), beside("web"), ["WriteSecret", "RestoreService", "AwaitPods"]),
        (NUMBERS, beside("web"), beside(), ["WriteSecret", "AwaitPods", "PatchService"]),
        (NUMBERS, WISH, beside("web"), ["WriteSecret", "RestoreService", "AwaitPods"]),
        (PORTS, beside("web"), WISH, ["WriteSecret", "AwaitPods", "PatchService"]),
        (SHARED, beside("web"), WISH, ["WriteSecret", "AwaitPods", "PatchService"]),
        (SHARED, WISH, beside("web"), [*FIRST, "PatchService"]),
        (
            NUMBERS,
            beside(),
            replace(beside(), fronts=48000),
            [*FIRST[:2], *["RestoreService"] * 2, *FIRST[2:]],
        ),
    ],
    ids=[
        "fewer",
        "more",
        "fewer by another mode",
        "another port by another mode",
        "a shared name that stayed",
        "a shared name must stay now",
        "fronts elsewhere",
    ],
)
def test_another_mode_or_other_services_need_new_pods_for_a_name_alone(
    services: tuple[dict[str, Any], ...], before: Wish, after: Wish, steps: list[str]
) -> None:
    seen = installed(observed(*services), before)
    made = names(seen, after)
    assert made[: len(steps)] == steps
    assert {*made[len(steps) :]} <= {"PatchService"}


def test_what_is_led_otherwise_is_done_then() -> None:
    plan = plan_install(installed(observed(*NUMBERS), beside()), beside("web"))
    assert [(it.service, it.port.number) for it in plan.moves] == [("web", 80)]
    assert plan.adopted
    assert plan_install(installed(observed(*NUMBERS), beside("web")), beside("web")).steps[1:] == ()


def test_direct_leaves_services_and_says_what_is_lost() -> None:
    plan = plan_install(
        observed(service("number", 8080)),
        replace(WISH, serving=DIRECT),
    )
    assert plan.moves == ()
    assert plan.settings["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert "refused" in plan.notes[0]


@pytest.mark.parametrize(
    ("target", "mode", "words"),
    [
        (
            "gate",
            "replace",
            "container gate of the pod (port 4180), which goes on in the cluster; what that asks",
        ),
        (4180, "intercept", "what that asks of 127.0.0.1 stays with the original"),
        (4999, "replace", "leads to port 4999, which no container declares: it is taken for web's"),
        ("http", "replace", ""),
        (8080, "replace", ""),
    ],
)
def test_a_service_of_another_container_is_named(target: str | int, mode: Mode, words: str) -> None:
    seen = observed(service("web", target))
    gate = {"name": "gate", "ports": [{"name": "gate", "containerPort": 4180}]}
    seen.object["spec"]["template"]["spec"]["containers"].append(gate)
    said = [
        it
        for it in plan_install(seen, replace(WISH, serving=plan_serving(mode, "front", "container"))).notes
        if " leads to " in it
    ]
    assert bool(said) == bool(words)
    assert all(words in it for it in said)


def test_an_init_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="s6-overlay"):
        plan_install(observed(), replace(WISH, image=replace(IMAGE, entrypoint=("/init",))))


def test_remove_in_words() -> None:
    originals = installed(observed(service("number", 8080)), WISH).originals
    steps = plan_remove(originals, REF)
    assert [str(step) for step in steps] == [
        "point service/number to the application (80: 47100 to 8080)",
        "restore the pod template of deployment/web, with a roll-out",
        "wait until deployment/web is rolled out",
        "remove devcluster's revisions from the history of deployment/web",
        "delete secret/devcluster-deployment-web",
        "delete the agent's ConfigMaps in namespace shop that nothing uses",
    ]
    alone = plan_remove(None, REF)
    assert [type(step).__name__ for step in alone] == ["PruneHistory", "DeleteAgent"]
    moves = (PortMove("number", PortKey(80), 8080, 47100),)
    noted = plan_remove(None, REF, noted=moves)
    assert [type(step).__name__ for step in noted] == ["RestoreService", "PruneHistory", "DeleteAgent"]
    copied = (*moves, PortMove("copy", PortKey(80), 8080, 47100))
    every = plan_remove(originals, REF, noted=copied)
    assert [str(step) for step in every][:2] == [
        "point service/copy to the application (80: 47100 to 8080)",
        "point service/number to the application (80: 47100 to 8080)",
    ]


def test_an_agent_that_lost_its_secret_is_not_wrapped_again() -> None:
    seen = replace(installed(observed(), WISH), originals=None, settings=None)
    with pytest.raises(LeftoverError, match=r"secret/devcluster-deployment-web.* is gone") as caught:
        plan_install(seen, WISH)
    assert "kubectl rollout undo deployment/web -n shop" in caught.value.hint


def test_a_number_of_two_protocols_is_led_once() -> None:
    dns = service("dns", 53)
    dns["spec"]["ports"] = [{"port": 53, "targetPort": 53}, {"port": 53, "targetPort": 53, "protocol": "UDP"}]
    assert names(observed(dns), WISH)[-1] == "PatchService"
    assert names(installed(observed(dns), WISH), WISH) == ["AwaitPods"]


def test_a_strategy_that_keeps_pods_back_is_put_back_after_each_roll_out() -> None:
    seen = observed()
    seen.object["spec"]["updateStrategy"] = {"type": "OnDelete"}
    seen = replace(seen, ref=WorkloadRef("statefulset", "shop", "web"))
    plan = plan_install(seen, WISH)
    assert plan.rolling == {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
    assert [str(step) for step in plan.steps][-2:] == [
        "wait until every pod of statefulset/web runs its agent",
        "put updateStrategy of statefulset/web back",
    ]
    originals = installed(seen, WISH).originals
    assert originals is not None
    rolling = {"updateStrategy": ({"type": "OnDelete"}, plan.rolling["updateStrategy"])}
    steps = [str(step) for step in plan_remove(replace(originals, rolling=rolling), seen.ref)]
    assert steps[1:3] == [
        "wait until statefulset/web is rolled out",
        "put updateStrategy of statefulset/web back",
    ]


def test_what_a_killed_up_left_set_is_put_back_by_the_next() -> None:
    seen = replace(observed(), ref=WorkloadRef("statefulset", "shop", "web"))
    after = installed(seen, WISH)
    assert after.originals is not None
    ours = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    after.object["spec"]["updateStrategy"] = ours
    left = replace(after.originals, rolling={"updateStrategy": ({"type": "OnDelete"}, ours)})
    plan = plan_install(replace(after, originals=left), WISH)
    assert plan.adopted
    assert "put updateStrategy of statefulset/web back" in [str(step) for step in plan.steps]
