"""The Role: one rule a resource, one comment a verb, nothing beyond the namespace."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from devcluster.rules.cluster.rights import RIGHTS, Subject, render_role, rules_of

TEMPLATE = (Path(__file__).resolve().parents[3] / "templates" / "role.yaml.j2").read_text()


def test_each_right_stands_once_with_a_reason_and_what_goes_on_without_it() -> None:
    assert len({(one.group, one.resource, one.verb) for one in RIGHTS}) == len(RIGHTS)
    assert all(one.why and one.without for one in RIGHTS)
    assert sum(len(rule.verbs) for rule in rules_of()) == len(RIGHTS)


def test_the_yaml_says_what_the_table_says() -> None:
    text = render_role(TEMPLATE, "shop", Subject("User", "ada: #1"))
    role, binding = yaml.safe_load_all(text)
    said = {(r["apiGroups"][0], r["resources"][0], verb) for r in role["rules"] for verb in r["verbs"]}
    assert said == {(one.group, one.resource, one.verb) for one in RIGHTS}
    assert all(f"# {one.verb}: {one.why}\n" in text for one in RIGHTS)
    assert [it["kind"] for it in (role, binding)] == ["Role", "RoleBinding"]
    assert {it["metadata"]["namespace"] for it in (role, binding)} == {"shop"}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == "ada: #1"


@pytest.mark.parametrize(("given", "wanted"), [("", "shop"), ("build", "build")])
def test_a_service_account_is_of_the_namespace_unless_another_is_named(given: str, wanted: str) -> None:
    _, binding = yaml.safe_load_all(render_role(TEMPLATE, "shop", Subject("ServiceAccount", "bot", given)))
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "bot", "namespace": wanted}]


def test_nothing_is_asked_for_that_opens_more_than_the_work() -> None:
    assert not {one.verb for one in RIGHTS} & {"*", "update", "deletecollection", "escalate", "bind"}
    assert not {one.resource for one in RIGHTS} & {"*", "pods/exec", "nodes", "namespaces", "roles"}
