"""Taking ourselves out of a template leaves the original and a teammate's changes, nothing else."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.cluster.template import Wrapping, wrap_template
from devcluster.rules.cluster.undo import restore, restore_managers
from devcluster.rules.ports.ports import PortKey, container_port

WORDS = st.text("abc", min_size=1, max_size=3)
PROBES = st.fixed_dictionaries(
    {"httpGet": st.fixed_dictionaries({"path": WORDS, "port": st.integers(1, 9000)})},
    optional={"periodSeconds": st.integers(1, 9)},
)
FIELD: dict[str, Any] = {"resourceFieldRef": {"resource": "limits.memory"}}
VARIABLES: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda name, rest: {"name": name} | rest,
    WORDS,
    st.one_of(
        WORDS.map(lambda value: {"value": value}),
        WORDS.map(lambda name: {"value": f"-m $({name})"}),
        st.just({"valueFrom": FIELD}),
    ),
)
CONTAINERS = st.fixed_dictionaries(
    {"name": st.just("web"), "image": WORDS},
    optional={
        "command": st.lists(WORDS, min_size=1),
        "args": st.lists(WORDS, min_size=1),
        "env": st.lists(VARIABLES, unique_by=lambda e: str(e["name"])),
        "ports": st.lists(
            st.fixed_dictionaries({"containerPort": st.integers(8080, 8083)}, optional={"name": WORDS}),
            unique_by=lambda p: p["containerPort"],
        ),
        "readinessProbe": PROBES,
        "livenessProbe": PROBES,
        "startupProbe": PROBES,
        "lifecycle": st.fixed_dictionaries(
            {}, optional={"postStart": st.just({"exec": {}}), "preStop": st.just({"exec": {}})}
        ),
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": WORDS, "mountPath": WORDS}), unique_by=lambda m: m["mountPath"]
        ),
        "resources": st.fixed_dictionaries(
            {},
            optional={
                "limits": st.just({"memory": "64Mi", "cpu": "1"}),
                "requests": st.sampled_from([{"memory": "64Mi"}, {"memory": "1Mi"}, {"cpu": "1"}]),
            },
        ),
    },
)
SIDE = {"name": "side", "image": "side:1", "command": ["/side"]}
TEMPLATES = st.builds(
    lambda container, volumes, affinity: {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [container, SIDE]} | volumes | affinity,
    },
    CONTAINERS,
    st.sampled_from([{}, {"volumes": []}, {"volumes": [{"name": "v", "emptyDir": {}}]}]),
    st.sampled_from([{}, {"affinity": {}}, {"affinity": {"podAffinity": {}}}]),
)


def wrap(template: dict[str, Any], pin: str | None = "amd64") -> dict[str, Any]:
    ports = template["spec"]["containers"][0].get("ports") or []
    fronts = tuple(
        FrontPort(container_port(port), 9901 + index, port.get("name")) for index, port in enumerate(ports)
    )
    wrapping = Wrapping("s", ("c-00",), ("/app",), fronts=fronts, pin=pin)
    return wrap_template(copy.deepcopy(template), container="web", wrapping=wrapping)


@given(TEMPLATES)
def test_wrap_and_restore_is_nothing(template: dict[str, Any]) -> None:
    wrapped = wrap(template)
    assert wrapped != template
    restored = restore(template, wrapped, wrapped)
    assert (restored.template, restored.kept) == (template, ())


@given(TEMPLATES)
def test_a_release_made_meanwhile_stays(template: dict[str, Any]) -> None:
    live, expected = wrap(template), copy.deepcopy(template)
    for item in (live, expected):
        item["spec"]["containers"][0]["image"] = "released"
        item["spec"]["containers"][0].setdefault("env", []).append({"name": "NEW", "value": "1"})
        item["metadata"]["annotations"] = {"restarted": "now"}
    restored = restore(template, wrap(template), live)
    assert restored.template == expected
    assert "spec.containers[web].image" in restored.kept
    assert "metadata.annotations" in restored.kept


@given(TEMPLATES)
def test_a_restored_template_is_left_alone(template: dict[str, Any]) -> None:
    assert restore(template, wrap(template), template).template == template


def base(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "web", "image": "a", "command": ["/app"]} | container]}}


def live_of(template: dict[str, Any], **container: Any) -> dict[str, Any]:
    result = wrap(template)
    result["spec"]["containers"][0] |= container
    return result


def test_their_own_command_stays_and_is_named() -> None:
    restored = restore(base(), wrap(base()), live_of(base(), command=["/theirs"]))
    assert restored.template == base(command=["/theirs"])
    assert restored.kept == ("spec.containers[web].command",)


def test_an_edit_of_our_command_keeps_the_edit_without_us() -> None:
    edited = [*wrap(base())["spec"]["containers"][0]["command"], "--debug"]
    assert restore(base(), wrap(base()), live_of(base(), command=edited)).template == base(
        command=["/app", "--debug"]
    )


def test_an_edit_of_our_probe_leaves_no_probe_without_a_question() -> None:
    probe = wrap(base())["spec"]["containers"][0]["readinessProbe"] | {"periodSeconds": 5}
    assert restore(base(), wrap(base()), live_of(base(), readinessProbe=probe)).template == base()


def test_defaults_that_the_server_fills_into_our_volumes_do_not_stay() -> None:
    live = wrap(base())
    live["spec"]["volumes"][0]["projected"]["defaultMode"] = 1
    assert restore(base(), wrap(base()), live).template == base()


def test_an_apply_of_the_original_manifest_is_no_conflict() -> None:
    original = base(readinessProbe={"httpGet": {"port": 1}})
    live = live_of(original, command=["/app"], readinessProbe={"httpGet": {"port": 1}}, image="b")
    restored = restore(original, wrap(original), live)
    assert restored.template == base(readinessProbe={"httpGet": {"port": 1}}, image="b")
    assert restored.kept == ("spec.containers[web].image",)


def test_who_owned_a_field_owns_it_again() -> None:
    apply = {"manager": "kubectl", "operation": "Update", "time": "1", "fieldsV1": {"command": {}}}
    less = apply | {"fieldsV1": {}}
    ours = {"manager": "devcluster", "operation": "Update", "time": "2", "fieldsV1": {"command": {}}}
    status = {"manager": "kcm", "operation": "Update", "subresource": "status", "time": "3"}
    assert restore_managers([apply], [less, ours, status], "devcluster") == [apply, status]
    newer = less | {"time": "4"}
    assert restore_managers([apply], [newer, ours], "devcluster") == [newer]
    assert restore_managers([apply], [ours], "devcluster") == [apply]


def test_arguments_that_we_took_away_come_back_beside_their_command() -> None:
    """Who sets the command alone means it beside the arguments that their manifest has."""
    original = base(args=["--old"])
    restored = restore(original, wrap(original), live_of(original, command=["/theirs"]))
    assert restored.template == base(command=["/theirs"], args=["--old"])
    again = restore(original, wrap(original), live_of(original, command=["/theirs"], args=["--new"]))
    assert again.template == base(command=["/theirs"], args=["--new"])


def test_several_names_of_one_port_go_back_beside_a_teammates_port() -> None:
    ports = [{"name": name, "containerPort": 8080} for name in ("http", "metrics")]
    original, theirs = base(ports=ports), {"name": "debug", "containerPort": 5005}
    wrapping = Wrapping("s", ("c-00",), ("/app",), fronts=(FrontPort(PortKey(8080), 9901, "http"),))
    ours = wrap_template(original, container="web", wrapping=wrapping)
    live = copy.deepcopy(ours)
    live["spec"]["containers"][0]["ports"].append(theirs)
    restored = restore(original, ours, live)
    assert restored.template["spec"]["containers"][0]["ports"] == [*ports, theirs]
