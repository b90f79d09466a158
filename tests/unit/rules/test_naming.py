"""Names that Docker takes, that differ where their objects do, and that people can read."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.naming import (
    container_name,
    labels,
    network_name,
    project_id,
    project_name,
    volume_name,
)

TEXT = st.text(min_size=1, max_size=30)


def test_names_as_people_see_them() -> None:
    project = project_id("kind-dev", "wordpress", "shop")
    assert re.fullmatch("shop-[0-9a-f]{6}", project)
    assert network_name("shop-a1b2c3") == "devcluster-shop-a1b2c3"
    assert container_name("shop-a1b2c3", "web") == "devcluster-shop-a1b2c3-web"
    assert container_name("shop-a1b2c3", "web", "netns") == "devcluster-shop-a1b2c3-web-netns"
    assert volume_name("shop-a1b2c3", "web", "wordpress-data") == "devcluster-shop-a1b2c3-web-wordpress-data"


def test_the_project_differs_by_cluster_and_namespace() -> None:
    ids = {project_id(context, space, "shop") for context in ("a", "b") for space in ("x", "y")}
    assert len(ids) == 4
    assert project_id("a", "bc", "x") != project_id("ab", "c", "x")


def test_an_id_tells_whose_it_is() -> None:
    project = project_id("kind-dev", "wordpress", "my-shop_2")
    assert project_name(project, "kind-dev", "wordpress") == "my-shop_2"
    assert project_name(project, "kind-dev", "other") is None
    assert project_name("nonsense", "kind-dev", "wordpress") is None


def test_labels() -> None:
    assert labels("shop-a1b2c3", "network") == {
        "devcluster.project": "shop-a1b2c3",
        "devcluster.role": "network",
    }
    assert labels("shop-a1b2c3", "netns", "web")["devcluster.workload"] == "web"


@given(TEXT, TEXT)
def test_docker_takes_any_name_and_two_paths_never_meet(one: str, other: str) -> None:
    first, second = volume_name("p-a1b2c3", "k", one), volume_name("p-a1b2c3", "k", other)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", first)
    assert (first == second) == (one == other)
