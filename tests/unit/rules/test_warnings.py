"""Each warning has its cause, and is silent without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.config.model import Mode, Take, Target, Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.advice.datagrams import refuse_datagrams
from devcluster.rules.advice.policies import choose_take, find_closed
from devcluster.rules.advice.warnings import Circumstances, find_cautions
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]
PROCESS = Workload("w", Target("web"), run="host")


def around(*, spec: Json | None = None, env: Json | None = None) -> Circumstances:
    """*env*: variables; one without a value comes from a Secret."""
    origin = {"valueFrom": {"secretKeyRef": {"name": "app", "key": "x"}}}
    variables = [
        {"name": name} | (origin if value is None else {"value": value})
        for name, value in (env or {}).items()
    ]
    container = {"name": "web", "image": "web:1", "env": variables}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    item = {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 1, "template": template} | (spec or {}),
    }
    return Circumstances(WorkloadRef("deployment", "shop", "web"), "web", item, template)


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


def test_a_services_port_in_place_of_the_pods() -> None:
    """Who knows the Service's port alone writes that one; the pod's own may have its number."""
    shop = service("web", 80, app="web")
    shop["spec"]["ports"][0]["targetPort"] = 8080
    seen = replace(around(), services=(shop,))
    assert said(replace(seen, mapped=(PortKey(8080), PortKey(9000)))) == []
    assert said(replace(seen, mapped=(PortKey(80),))) == [
        "port_map: port_map: 80 is the port of service/web, which leads to the pod's 8080: nothing comes to "
        "the pod's 80 (write 8080 instead of 80)"
    ]
    shop["spec"]["ports"][0]["targetPort"] = 80
    assert said(replace(seen, mapped=(PortKey(80),))) == []


def test_an_ordinary_deployment_gives_no_warning() -> None:
    assert said(around()) == []


def test_an_intercept_that_nothing_leads_to_is_told() -> None:
    (text,) = said(replace(around(), unreached=True))
    assert text.startswith("unreached: nothing will reach the laptop: no Service that can be led to it leads")
    assert "`mode: replace`" in text


def test_datagrams_reach_nobody() -> None:
    dns = service("dns", 53, app="web")
    dns["spec"]["ports"] = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    other = service("other", 53, app="other")
    other["spec"]["ports"] = [{"port": 53, "protocol": "UDP"}]
    (text,) = said(replace(around(), services=(dns, other)))
    assert text == "datagrams: nobody will answer service/dns port 53/UDP: only TCP reaches the laptop"
    assert said(replace(around(), services=(dns, other), datagrams="kept")) == []


def test_a_port_of_datagrams_that_no_service_names_is_told_too() -> None:
    """And one of another container goes on being answered by it."""
    seen = around()
    containers = seen.template["spec"]["containers"]
    ports = [{"containerPort": 8125, "protocol": "UDP"}, {"containerPort": 8126}]
    beside = {"name": "beside", "ports": [{"name": "stats", "containerPort": 9125, "protocol": "UDP"}]}
    template = seen.template | {"spec": {"containers": [containers[0] | {"ports": ports}, beside]}}
    stats = service("stats", 9125, app="web")
    stats["spec"]["ports"] = [{"port": 9125, "targetPort": "stats", "protocol": "UDP"}]
    (text,) = said(replace(seen, template=template, services=(stats,)))
    assert text.startswith("datagrams: nobody will answer port 8125/UDP of container web:")


@pytest.mark.parametrize("declared", [True, False])
def test_datagrams_do_not_come_to_a_process(declared: bool) -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 8080}] if declared else []
    spec = {"containers": [{"name": "web", "ports": ports}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    dns = service("dns", 53, app="web")
    dns["spec"]["ports"] = [{"port": 53, "protocol": "UDP"}, {"port": 80, "targetPort": 8080}]
    services = () if declared else (dns,)
    name = "port 53/UDP of container web" if declared else "service/dns port 53/UDP"
    with pytest.raises(ConfigurationError, match=f"workloads.w: only TCP comes to a process, not {name}"):
        refuse_datagrams(PROCESS, services, template, "web")
    refuse_datagrams(replace(PROCESS, services=("web",)), services, template, "web")
    refuse_datagrams(PROCESS, (service("web", 80, app="web"),), around().template, "web")


def test_recreate_is_away_for_as_long_as_its_start_took() -> None:
    pods = (
        pod("2026-11-23T08:00:00Z", "2026-11-23T08:00:12Z"),
        pod("2026-11-23T08:00:00Z", "2026-11-23T09:30:00Z"),  # became ready again, much later
        pod("2026-11-23T08:00:00Z", "2026-11-23T08:00:02Z", restarts=1),
    )
    seen = replace(around(spec={"strategy": {"type": "Recreate"}}), pods=pods)
    (text,) = said(seen)
    assert text == (
        "away: deployment/web will be down while it restarts (12 s last time), because its strategy is "
        "Recreate. `down` restarts it again."
    )
    assert said(replace(seen, rolls=False)) == []


def test_a_claim_that_two_pods_would_write_to() -> None:
    seen = replace(around(), claims=("files",))
    away, claim = said(seen)
    assert "because two of its pods must not write to claim files" in away
    assert claim.startswith("claim: deployment/web mounts the ReadWriteOnce claim files and rolls without")
    assert "strategy: {type: Recreate}" in claim
    assert said(replace(seen, rolls=False)) == []
    recreated = replace(around(spec={"strategy": {"type": "Recreate"}}), claims=("files",))
    assert [text.partition(":")[0] for text in said(recreated)] == ["away"]


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
        (scaler("HorizontalPodAutoscaler", minReplicas=2), "may scale deployment/web down to 2"),
        (scaler("VerticalPodAutoscaler"), "may restart pods to give less to deployment/web"),
        (
            scaler("VerticalPodAutoscaler", updatePolicy={"updateMode": "Off"}),
            "may recommend too little for deployment/web",
        ),
        (scaler("ScaledObject"), "may scale deployment/web down to 0, which ends the attachment"),
        (scaler("ScaledObject", minReplicaCount=1), "may scale deployment/web down to 1"),
    ],
)
def test_autoscalers_of_this_workload(item: Json, words: str) -> None:
    (text,) = said(replace(around(), autoscalers=(item,)))
    assert text.endswith(words) or words in text
    assert said(replace(around(), autoscalers=(item,), ref=WorkloadRef("deployment", "shop", "other"))) == []


def test_an_autoscaler_behind_another_is_named_once() -> None:
    behind = scaler("HorizontalPodAutoscaler")
    behind["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "it"}]
    assert len(said(replace(around(), autoscalers=(behind, scaler("ScaledObject"))))) == 1


DATABASES = (service("db", 5432), service("cache", 6379), service("api", 80), service("web", 3306, app="web"))


def data(env: Json, **changes: Any) -> list[str]:
    """Which databases are said to be real."""
    texts = said(replace(around(env=env), services=DATABASES, **changes))
    return [text.removeprefix("data: the local container uses the real database ") for text in texts]


@pytest.mark.parametrize(
    "value",
    [
        "db",
        "db:5432",
        "db.shop",
        "db.shop.svc.cluster.local:5432",
        "pg://u:geheim@db.shop.svc/x",
        "postgres://$(DB_USER):geheim@db/shop",
        "db,db.shop",
        "host=db dbname=db",
    ],
)
def test_a_variable_that_names_a_database(value: str) -> None:
    assert data({"DB_HOST": value}) == ["service/db (see DB_HOST)"]


def test_one_warning_for_each_database() -> None:
    env = {
        "DB_HOST": "db",
        "DSN": "u:geheim@db:5432/x",
        "REDIS_URL": "redis://cache:6379/0",
        "API_HOST": "api",
    }
    assert data(env) == ["service/cache (see REDIS_URL)", "service/db (see DB_HOST, DSN)"]


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"DB_HOST": None, "DATABASE_URL": None},
        {"DB_HOST": "localhost", "DB_PORT": "5432"},
        {"DB_HOST": "rds.corp.example:5432"},
        {"DB_HOST": "db.data"},
        {"DB_CONNECTION": "db", "CACHE_DRIVER": "cache"},
        {"DB_USER": "db", "DB_NAME": "db", "DB_PASSWORD": "db:5432"},
        {"API_HOST": "api"},
        {"SELF_HOST": "web"},
    ],
)
def test_what_is_not_certain_is_no_warning(env: Json) -> None:
    assert data(env) == []


def test_what_the_file_says_counts() -> None:
    env = {"DB_HOST": "db", "REDIS_HOST": "cache"}
    assert data(env, written={"DB_HOST": "localhost"}) == ["service/cache (see REDIS_HOST)"]
    assert data({}, written={"DB_HOST": "db"}) == ["service/db (see DB_HOST)"]
    assert data(env, excluded=("REDIS_*",)) == ["service/db (see DB_HOST)"]


@given(st.sampled_from(["{0}@db", "{0}:{0}@db:5432", "postgres://{0}:{0}@db/{0}", "host=db dbname={0}"]))
def test_no_value_is_ever_said(form: str) -> None:
    env = {"DB_HOST": form.format("geheim"), "STORE": form.format("geheim.data")}
    assert "geheim" not in " ".join(data(env, written=env)) + repr(around(env=env))


def test_a_policy_that_says_a_number() -> None:
    seen = around()
    fronts = (FrontPort(PortKey(8080), 9901, "http"),)
    rule = {"ports": [{"port": 8080}]}
    policy = {"metadata": {"name": "only"}, "spec": {"podSelector": {}, "ingress": [rule]}}
    closed = find_closed((policy,), seen.template, fronts)
    assert closed == (("only", PortKey(8080), 9901),)
    (text,) = said(replace(seen, closed=closed))
    assert "networkpolicy/only admits port 8080 but not 9901" in text
    assert "leave `take: front` out" in text
    (text,) = said(replace(seen, closed=closed, services_only=True))
    assert "`mode: intercept` can't take them at port 8080 itself" in text
    (text,) = said(replace(seen, closed=closed, fronts=False))
    assert "so connections are taken at port 8080 itself (take: direct)" in text
    assert "or write `take: front`" in text
    for fine in ({"ports": [{"port": "http"}]}, {"ports": [{"port": 8000, "endPort": 9999}]}, {}):
        policy["spec"] = {"podSelector": {}, "ingress": [fine]}
        assert find_closed((policy,), seen.template, fronts) == ()
    for spec in (
        {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [rule]},
        {"podSelector": {"matchLabels": {"app": "other"}}, "ingress": [rule]},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}},
        {"podSelector": {}, "policyTypes": ["Ingress"]},  # denies everybody: that was so before us
    ):
        policy["spec"] = spec
        assert find_closed((policy,), seen.template, fronts) == ()


@pytest.mark.parametrize(
    ("written", "mode", "closed", "take"),
    [
        (None, "replace", False, "front"),
        (None, "replace", True, "direct"),
        (None, "ingest", True, "direct"),
        (None, "intercept", True, "front"),
        ("front", "replace", True, "front"),
        ("direct", "replace", False, "direct"),
    ],
)
def test_how_connections_are_taken(written: Take | None, mode: Mode, closed: bool, take: Take) -> None:
    found = (("only", PortKey(8080), 47100),) if closed else ()
    assert choose_take(written, mode, found) == take


def test_a_patched_service_has_its_own_controller() -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "shop"}
    mine = service("web", 80, app="web")
    mine["metadata"]["labels"] = labels
    seen = replace(around(), services=(mine,))
    assert said(seen) == []
    (text,) = said(replace(seen, moved=("web",)))
    assert text.startswith(
        "controller: Flux (kustomization shop) manages service/web: it will undo the change"
    )
