"""The memory that an application is told: what it was before the agent's share, in variables and in files."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.cluster.memory import Admitted
from devcluster.rules.cluster.memory_variables import Figure, mount_figures, variable_figures, write_plain
from devcluster.rules.volume.volumes import PodVolume

Json = dict[str, Any]
MIB = 1 << 20


def field(resource: str, divisor: str | None = None, container: str | None = None) -> Json:
    found = {"resource": resource, "divisor": divisor, "containerName": container}
    return {key: value for key, value in found.items() if value is not None}


def container(*env: Json, limits: str | None = "256Mi", requests: str | None = None) -> Json:
    resources = {"limits": {"memory": limits} if limits else {}}
    resources |= {"requests": {"memory": requests}} if requests else {}
    return {"name": "web", "env": list(env), "resources": resources, "command": ["/app"]}


def memory(name: str, *words: str | None) -> Json:
    return {"name": name, "valueFrom": {"resourceFieldRef": field(*words)}}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "raised", "plain"),
    [
        (memory("M", "limits.memory", "1Mi"), "304", "256"),
        (memory("M", "limits.memory"), str(304 * MIB), str(256 * MIB)),
        (memory("M", "limits.memory", "0"), str(304 * MIB), str(256 * MIB)),
        (memory("M", "limits.memory", "1"), str(304 * MIB), str(256 * MIB)),
        (memory("M", "limits.memory", "1M"), "319", "269"),  # rounded up, as kubelet does
        (memory("M", "limits.memory", "1Mi", "web"), "304", "256"),
        (memory("M", "requests.memory", "1Mi"), "304", "256"),  # a limit alone is the request, too
    ],
)
def test_a_variable_is_told_without_the_share(one: Json, raised: str, plain: str) -> None:
    assert variable_figures(container(one), None) == (Figure("M", raised, plain),)


@pytest.mark.parametrize(
    "one",
    [
        memory("M", "limits.memory", "1Gi"),  # 1 with the share and without
        memory("M", "limits.memory", "1Mi", "side"),
        memory("M", "limits.cpu"),
        memory("M", "limits.ephemeral-storage"),
        {"name": "M", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "M", "value": "304"},
    ],
)
def test_what_is_not_raised_stays(one: Json) -> None:
    assert variable_figures(container(one), None) == ()


def test_without_a_limit_the_node_decides() -> None:
    fields = (memory("L", "limits.memory", "1Mi"), memory("R", "requests.memory", "1Mi"))
    assert variable_figures(container(*fields, limits=None, requests="64Mi"), None) == ()
    given = Admitted(128 * MIB, 64 * MIB)
    assert variable_figures(container(*fields, limits=None), given) == (Figure("L", "176", "128"),)


def test_a_request_grows_with_the_limit_where_both_are_equal() -> None:
    one = memory("R", "requests.memory", "1Mi")
    assert variable_figures(container(one, requests="256Mi"), None) == (Figure("R", "304", "256"),)
    assert variable_figures(container(one, requests="64Mi"), None) == ()


def test_references_get_the_number_itself() -> None:
    target = container(
        {"name": "EARLY", "value": "$(MEM)"},
        memory("MEM", "limits.memory", "1Mi"),
        {"name": "OPTS", "value": "-Xmx$(MEM)m -Dx=$(OTHER) $$(MEM)"},
        memory("CPU", "limits.cpu"),
    )
    target["command"] = ["/boot", "--", "/app", "-m=$(MEM)", "$$(MEM)", "$(CPU)"]
    write_plain(target, variable_figures(target, None))
    assert [one.get("value") for one in target["env"]] == [
        "$(MEM)",
        None,
        "-Xmx256m -Dx=$(OTHER) $$(MEM)",
        None,
    ]
    assert target["env"][1] == memory("MEM", "limits.memory", "1Mi")
    assert target["command"] == ["/boot", "--", "/app", "-m=256", "$$(MEM)", "$(CPU)"]


def test_a_name_that_is_said_anew_is_another_variable() -> None:
    target = container(
        memory("MEM", "limits.memory", "1Mi"), {"name": "MEM", "value": "1"}, {"name": "X", "value": "$(MEM)"}
    )
    write_plain(target, variable_figures(target, None))
    assert target["env"][2]["value"] == "$(MEM)"


@pytest.mark.parametrize("projected", [False, True])
def test_files_of_a_downward_volume(projected: bool) -> None:
    items = [
        {"path": "mem", "resourceFieldRef": field("limits.memory", "1Mi", "web")},
        {"path": "a/req", "resourceFieldRef": field("requests.memory", "1Mi", "web")},
        {"path": "side", "resourceFieldRef": field("limits.memory", "1Mi", "side")},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]
    api = {"downwardAPI": {"items": items}}
    volume = {"name": "v"} | ({"projected": {"sources": [{"secret": {}}, api]}} if projected else api)

    def figures(sub_path: str, mount_path: str = "/etc/pod") -> tuple[Figure, ...]:
        mount = PodVolume("v", mount_path, "downward", sub_path)
        return mount_figures(container(), {"volumes": [{"name": "u"}, volume]}, mount, None)

    assert figures("") == (Figure("mem", "304", "256"), Figure("a/req", "304", "256"))
    assert figures("a") == (Figure("req", "304", "256"),)
    assert figures("mem", "/etc/limit") == (Figure("limit", "304", "256"),)
    assert figures("other") == ()
