"""Whose variable it is, where another image runs than the pod's."""

from __future__ import annotations

import pytest

from devcluster.config.model import Target, Workload
from devcluster.rules.container.environment import local_environment
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.container.image_environment import (
    SAME_IMAGE,
    ImageEnvironment,
    declared_names,
    sources_of,
)


def image(**variables: str) -> ImageFacts:
    return ImageFacts("sha256:1", (), (), None, "", "", "amd64", tuple(variables.items()))


PROD = image(PATH="/opt/prod/bin:/bin", TOOL_HOME="/opt/prod", JAVA_HOME="/jdk17", LANG="C")
DEV = image(PATH="/opt/dev/bin:/bin", TOOL_HOME="/opt/dev")
POD = (
    ("PATH", "/opt/prod/bin:/bin"),
    ("TOOL_HOME", "/opt/prod"),
    ("JAVA_HOME", "/jdk21"),
    ("LANG", "C"),
    ("HOME", "/home/prod"),
    ("IDENTITY", "original"),
    ("WEB_SERVICE_HOST", "10.96.0.1"),
)


def left(images: ImageEnvironment) -> list[str]:
    made = local_environment(POD, Workload("w", Target("w")), services=(), namespace="shop", images=images)
    return [name for name, _ in made.variables]


def test_the_pods_own_image_keeps_everything() -> None:
    assert left(SAME_IMAGE) == [name for name, _ in POD]


def test_what_only_the_image_says_gives_way() -> None:
    got = left(ImageEnvironment(True, DEV, PROD, frozenset({"IDENTITY"})))
    # JAVA_HOME has another value than the image's: somebody said it
    assert got == ["JAVA_HOME", "IDENTITY", "WEB_SERVICE_HOST"]


@pytest.mark.parametrize("name", ["PATH", "TOOL_HOME", "HOME", "LANG"])
def test_what_the_spec_says_wins_even_with_the_images_value(name: str) -> None:
    assert name in left(ImageEnvironment(True, DEV, PROD, frozenset({name})))


def test_of_an_image_that_cant_be_read_the_new_one_decides() -> None:
    got = left(ImageEnvironment(True, DEV, None, frozenset({"IDENTITY"})))
    assert got == ["JAVA_HOME", "LANG", "IDENTITY", "WEB_SERVICE_HOST"]
    assert "TOOL_HOME" in left(ImageEnvironment(True, None, None))


def test_names_are_declared_one_by_one_and_by_the_set() -> None:
    template = {
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [
            {"configMapRef": {"name": "c"}, "prefix": "P_"},
            {"secretRef": {"name": "s"}},
            {"configMapRef": {"name": "gone", "optional": True}},
        ],
    }
    pod = {"env": [{"name": "A"}, {"name": "INJECTED", "value": "2"}]}
    assert sources_of((template, pod)) == {("configmap", "c"), ("secret", "s"), ("configmap", "gone")}
    keys = {("configmap", "c"): ("X",), ("secret", "s"): ("Y",)}
    assert declared_names((template, pod), keys) == {"A", "INJECTED", "P_X", "Y"}


def test_values_of_an_image_are_not_in_the_repr() -> None:
    assert "/opt/prod" not in repr(PROD) + repr(ImageEnvironment(True, DEV, PROD))
