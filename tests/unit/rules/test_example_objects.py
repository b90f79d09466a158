"""The example's manifests as a cluster gets them, and what is told of its pods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest

from devcluster.sandbox.example_objects import (
    BLOG_NAME,
    CONTENT,
    HELLO,
    WORDPRESS,
    Example,
    ExampleValues,
    describe_pods,
    image_trouble,
    is_ours,
    is_rolled_out,
    outcome_of,
    render_example,
)

FOLDER = Path(__file__).parents[3] / "examples"
VALUES = ExampleValues(
    namespace="blog",
    images={"wordpress": "registry.example/wordpress:1", "mariadb": "registry.example/mariadb:1"},
    texts={"my_cnf": '[mariadbd]\nport = 3306\n# "quoted" \\ and {{ braces }}\n', "blog_name": BLOG_NAME},
    passwords={
        "wordpress_password": "p\"a's: $x",
        "mariadb_password": "{{ 1 }}",
        "mariadb_root_password": "root",
    },
)
OTHER_IMAGE = replace(VALUES, images={**VALUES.images, "wordpress": "registry.example/wordpress:2"})
OTHER_PASSWORD = replace(VALUES, passwords={**VALUES.passwords, "wordpress_password": "another"})
Objects = dict[str, dict[str, Any]]


def render(values: ExampleValues = VALUES, example: Example = WORDPRESS) -> Objects:
    texts = [(FOLDER / example.name / "manifests" / name).read_text() for name in example.templates]
    return {f"{it['kind']}/{it['metadata']['name']}": it for it in render_example(example, texts, values)}


def container(objects: Objects) -> dict[str, Any]:
    (found,) = objects["Deployment/wordpress"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_everything_is_in_the_namespace_and_marked() -> None:
    objects = render()
    assert sorted(objects) == [
        "ConfigMap/wordpress-mariadb",
        "Deployment/wordpress",
        "Namespace/blog",
        "PersistentVolumeClaim/wordpress",
        "Secret/wordpress",
        "Secret/wordpress-mariadb",
        "Service/wordpress",
        "Service/wordpress-mariadb",
        "StatefulSet/wordpress-mariadb",
    ]
    assert all(is_ours(WORDPRESS, it) for it in objects.values())
    assert {it["metadata"].get("namespace") for name, it in objects.items() if "Namespace" not in name} == {
        "blog"
    }


def test_values_arrive_as_they_are_whatever_is_in_them() -> None:
    objects = render()
    assert objects["ConfigMap/wordpress-mariadb"]["data"]["my.cnf"] == VALUES.texts["my_cnf"]
    assert (
        objects["Secret/wordpress"]["stringData"]["wordpress-password"]
        == VALUES.passwords["wordpress_password"]
    )
    assert (
        objects["Secret/wordpress-mariadb"]["stringData"]["mariadb-password"]
        == VALUES.passwords["mariadb_password"]
    )


def test_the_deployment_has_the_chart_s_shape() -> None:
    objects = render()
    assert objects["Deployment/wordpress"]["spec"]["strategy"] == {"type": "Recreate"}
    wordpress = container(objects)
    assert {it["name"]: it["containerPort"] for it in wordpress["ports"]} == {"http": 8080, "https": 8443}
    plain = {it["name"]: it.get("value") for it in wordpress["env"]}
    assert plain["MARIADB_HOST"] == "wordpress-mariadb"
    assert plain["WORDPRESS_BLOG_NAME"] == BLOG_NAME == "User's Blog!"
    assert plain["WORDPRESS_DATABASE_PASSWORD"] is None  # by its Secret
    assert wordpress["volumeMounts"] == [
        {"name": "wordpress-data", "mountPath": "/bitnami/wordpress", "subPath": "wordpress"}
    ]
    ports = {it["port"]: it["targetPort"] for it in objects["Service/wordpress"]["spec"]["ports"]}
    assert ports == {80: "http", 443: "https"}


def test_selectors_meet_only_their_own_pods() -> None:
    objects = render()
    templates = {
        kind: objects[kind]["spec"]["template"]["metadata"]["labels"].items()
        for kind in ("Deployment/wordpress", "StatefulSet/wordpress-mariadb")
    }
    for service, owner in (
        ("wordpress", "Deployment/wordpress"),
        ("wordpress-mariadb", "StatefulSet/wordpress-mariadb"),
    ):
        selector = objects[f"Service/{service}"]["spec"]["selector"].items()
        assert [kind for kind, labels in templates.items() if selector <= labels] == [owner]


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render_example(WORDPRESS, ["kind: {{ nobody }}"], VALUES)


def test_hello_is_what_kubectl_create_and_expose_make() -> None:
    objects = render(ExampleValues("default", {"hello": "hello:1"}), HELLO)
    assert sorted(objects) == ["Deployment/hello", "Namespace/default", "Service/hello"]
    (only,) = objects["Deployment/hello"]["spec"]["template"]["spec"]["containers"]
    assert only == {"name": "example-hello", "image": "hello:1"}
    assert objects["Service/hello"]["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]


def test_one_example_takes_nothing_of_another_for_its_own() -> None:
    objects = render(ExampleValues("default", {"hello": "hello:1"}), HELLO).values()
    assert all(is_ours(HELLO, it) and not is_ours(WORDPRESS, it) for it in objects)


def test_only_what_differs_is_written() -> None:
    before, again = render(), render()
    assert {outcome_of(again[name], before[name]) for name in again} == {"unchanged"}
    after = render(OTHER_IMAGE)
    changed = [name for name in after if outcome_of(after[name], before[name]) == "changed"]
    assert changed == ["Deployment/wordpress"]
    assert outcome_of(after["Service/wordpress"], None) == "created"


def test_a_new_password_never_replaces_the_one_in_use_nor_leaves_a_trace() -> None:
    before = render()["Secret/wordpress"]
    after = render(OTHER_PASSWORD)["Secret/wordpress"]
    assert outcome_of(after, before) == "unchanged"
    assert CONTENT not in after["metadata"]["labels"]
    assert "another" not in repr(OTHER_PASSWORD)


def test_a_workload_that_is_being_worked_on_is_never_patched() -> None:
    held = render()["Deployment/wordpress"]
    held["spec"]["template"]["spec"]["volumes"].append({"name": "devcluster-bin"})
    after = render(OTHER_IMAGE)["Deployment/wordpress"]
    assert outcome_of(after, held) == "held"
    assert outcome_of(render()["Deployment/wordpress"], held) == "unchanged"


def pod(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": status}


def waiting(reason: str) -> dict[str, Any]:
    return {"image": "shop:1", "state": {"waiting": {"reason": reason, "message": f"it is {reason}"}}}


def test_pods_are_told_in_one_line() -> None:
    ready = pod("a", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    ending = {"metadata": {"name": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    crashing = pod("c", phase="Running", containerStatuses=[waiting("CrashLoopBackOff")])
    assert describe_pods([ready, ending, crashing]) == "a ready, b ending, c CrashLoopBackOff"
    assert describe_pods([]) == "no pods yet"


@pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses"])
def test_an_image_that_a_node_can_t_get_is_noticed(where: str) -> None:
    assert image_trouble([pod("a", **{where: [waiting("ContainerCreating")]})]) is None
    trouble = image_trouble([pod("a", **{where: [waiting("ErrImagePull")]})])
    assert trouble == ("shop:1", "it is ErrImagePull")


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}, True),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, False),
        ({}, False),
    ],
)
def test_old_pods_that_are_ready_are_no_roll_out(status: dict[str, int], done: bool) -> None:
    workload = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert is_rolled_out(workload) is done
