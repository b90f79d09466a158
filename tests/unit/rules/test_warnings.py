"""Each warning has its cause, and is silent without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devcluster.rules.services import FrontPort
from devcluster.rules.warnings import Circumstances, find_cautions

Json = dict[str, Any]


def around(
    *, spec: Json | None = None, metadata: Json | None = None, env: Json | None = None
) -> Circumstances:
    variables = [{"name": name, "value": value} for name, value in (env or {}).items()]
    container = {"name": "web", "image": "web:1", "env": variables}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    item = {
        "kind": "Deployment",
        "metadata": {"name": "web"} | (metadata or {}),
        "spec": {"replicas": 1, "template": template} | (spec or {}),
    }
    return Circumstances("deployment", "web", "web", item, template)


def said(seen: Circumstances) -> list[str]:
    return [f"{one.subject}: {one}" for one in find_cautions(seen)]


def pod(made: str, ready: str, restarts: int = 0) -> Json:
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ready}]
    status = {"conditions": conditions, "containerStatuses": [{"restartCount": restarts}]}
    return {"metadata": {"creationTimestamp": made}, "status": status}


def service(name: str, port: int, **selector: str) -> Json:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": port}], "selector": selector}}


def scaler(kind: str, name: str = "web", **spec: Any) -> Json:
    key = "targetRef" if kind == "VerticalPodAutoscaler" else "scaleTargetRef"
    return {"kind": kind, "metadata": {"name": "it"}, "spec": {key: {"name": name}} | spec}


def test_an_ordinary_deployment_gives_no_warning() -> None:
    assert said(around()) == []


def test_datagrams_reach_nobody() -> None:
    dns = service("dns", 53, app="web")
    dns["spec"]["ports"] = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    other = service("other", 53, app="other")
    other["spec"]["ports"] = [{"port": 53, "protocol": "UDP"}]
    (text,) = said(replace(around(), services=(dns, other)))
    assert text.startswith("datagrams: service/dns port 53/UDP is answered by nobody")


def test_recreate_is_away_for_as_long_as_its_start_took() -> None:
    pods = (
        pod("2026-11-23T08:00:00Z", "2026-11-23T08:00:12Z"),
        pod("2026-11-23T08:00:00Z", "2026-11-23T09:30:00Z"),  # became ready again, much later
        pod("2026-11-23T08:00:00Z", "2026-11-23T08:00:02Z", restarts=1),
    )
    seen = replace(around(spec={"strategy": {"type": "Recreate"}}), pods=pods)
    (text,) = said(seen)
    assert text.startswith("away: deployment/web is away for about as long as its start takes, 12 s the last")
    assert said(replace(seen, rolls=False)) == []


@pytest.mark.parametrize(
    ("surge", "gone", "replicas", "away"),
    [
        (0, 1, 1, True),
        (0, 1, 2, False),
        ("25%", "25%", 1, False),
        ("0%", "100%", 4, True),
        (1, 1, 1, False),
        ("0%", "25%", 1, True),
    ],
)
def test_a_rolling_deployment_may_be_away_too(
    surge: int | str, gone: int | str, replicas: int, away: bool
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": gone}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    found = said(around(spec={"strategy": strategy, "replicas": replicas}))
    assert bool(found) is away


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (scaler("HorizontalPodAutoscaler", minReplicas=2), "may scale down to 2"),
        (scaler("VerticalPodAutoscaler"), "may evict them"),
        (scaler("VerticalPodAutoscaler", updatePolicy={"updateMode": "Off"}), "will learn too little"),
        (scaler("ScaledObject"), "may scale to 0, which ends the attachment"),
        (scaler("ScaledObject", minReplicaCount=1), "may scale to 1"),
    ],
)
def test_autoscalers_of_this_workload(item: Json, words: str) -> None:
    (text,) = said(replace(around(), autoscalers=(item,)))
    assert text.endswith(words) or words in text
    assert said(replace(around(), autoscalers=(item,), name="other")) == []


def test_an_autoscaler_behind_another_is_named_once() -> None:
    behind = scaler("HorizontalPodAutoscaler")
    behind["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "it"}]
    assert len(said(replace(around(), autoscalers=(behind, scaler("ScaledObject"))))) == 1


def test_no_history() -> None:
    seen = around(spec={"revisionHistoryLimit": 0})
    assert [text.partition(":")[0] for text in said(seen)] == ["history"]
    assert said(replace(seen, rolls=False)) == []


def test_the_database_that_a_variable_names() -> None:
    services = (service("db", 3306), service("cache", 6379), service("web", 5432, app="web"))
    named = replace(
        around(env={"DB_HOST": "db", "DB_USER": "dbadmin", "DSN": "u:geheim@db:3306/x"}), services=services
    )
    (text,) = said(named)
    assert text.startswith("data: what the local container writes to service/db (MySQL or MariaDB, named by ")
    assert text.endswith("DB_HOST, DSN) is real")
    unnamed = replace(around(), services=services)
    assert [text.split()[7] for text in said(unnamed)] == ["service/cache", "service/db"]


def test_a_database_elsewhere_is_named_by_its_variable_alone() -> None:
    (text,) = said(around(env={"DATABASE_URL": "postgres://shop:geheim@rds.corp.example/shop"}))
    assert text == "data: what the local container writes to the database of DATABASE_URL is real"


def test_a_policy_that_says_a_number() -> None:
    seen = replace(around(), fronts=(FrontPort(8080, 9901, "http"),))
    rule = {"ports": [{"port": 8080}]}
    policy = {"metadata": {"name": "only"}, "spec": {"podSelector": {}, "ingress": [rule]}}
    (text,) = said(replace(seen, policies=(policy,)))
    assert "networkpolicy/only lets port 8080 in and not 9901" in text
    assert "take: direct" in text
    for fine in ({"ports": [{"port": "http"}]}, {"ports": [{"port": 8000, "endPort": 9999}]}, {}):
        policy["spec"] = {"podSelector": {}, "ingress": [fine]}
        assert said(replace(seen, policies=(policy,))) == []
    for spec in (
        {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [rule]},
        {"podSelector": {"matchLabels": {"app": "other"}}, "ingress": [rule]},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}},
        {"podSelector": {}, "policyTypes": ["Ingress"]},  # denies everybody: that was so before us
    ):
        policy["spec"] = spec
        assert said(replace(seen, policies=(policy,))) == []


def test_a_patched_service_has_its_own_controller() -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "shop"}
    mine = service("web", 80, app="web")
    mine["metadata"]["labels"] = labels
    seen = replace(around(), services=(mine,))
    assert said(seen) == []
    (text,) = said(replace(seen, moved=("web",)))
    assert text.startswith("controller: service/web is managed by Flux (kustomization shop)")
