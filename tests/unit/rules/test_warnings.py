"""Each warning has its cause, and is silent without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.services import FrontPort
from devcluster.rules.warnings import Circumstances, find_cautions

Json = dict[str, Any]


def around(
    *,
    spec: Json | None = None,
    metadata: Json | None = None,
    env: Json | None = None,
    secret: tuple[str, ...] = (),
    env_from: Json | None = None,
) -> Circumstances:
    """*secret*: variables that come from one; *env_from*: an object all of whose keys are variables."""
    variables = [{"name": name, "value": value} for name, value in (env or {}).items()]
    origin = {"secretKeyRef": {"name": "app", "key": "x"}}
    variables += [{"name": name, "valueFrom": origin} for name in secret]
    container = {"name": "web", "image": "web:1", "env": variables, "envFrom": [env_from] if env_from else []}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    item = {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"} | (metadata or {}),
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
    (text,) = said(unnamed)
    assert "writes to service/cache, service/db (MySQL or MariaDB, Redis) is real" in text


def data(seen: Circumstances, *services: Json) -> list[str]:
    """What is said to be real."""
    texts = said(replace(seen, services=services))
    head, tail = "data: what the local container writes to ", " is real"
    return [text.removeprefix(head).removesuffix(tail) for text in texts]


def test_a_database_elsewhere_is_named_by_its_variable_alone() -> None:
    (text,) = said(around(env={"DATABASE_URL": "postgres://shop:geheim@rds.corp.example/shop"}))
    assert text == "data: what the local container writes to the database of DATABASE_URL is real"


@pytest.mark.parametrize(
    "env",
    [
        {"DB_HOST": "shop.abc.eu-west-1.rds.amazonaws.com", "DB_PORT": "5432"},
        {"DB_HOST": "shop.abc.eu-west-1.rds.amazonaws.com"},
        {"DB_HOST": "postgres.data.svc.cluster.local:5432"},
        {"DB_HOST": "db.data"},
        {"DB_HOST": "10.2.3.4"},
        {"BACKEND_HOST": "store.corp.example", "BACKEND_PORT": "27017"},
        {"PGHOST": "pg.corp.example"},
        {"REDIS_URL": "rediss://:geheim@cache.corp.example:6380/0"},
        {"SPRING_DATASOURCE_URL": "jdbc:postgresql://db.data:5432/shop"},
        {"SPRING_DATASOURCE_URL": "jdbc:oracle:thin:@ora.corp.example:1521:shop"},
        {"STORE": "shop:geheim@tcp(db.data:3306)/shop"},
        {"STORE": "Server=tcp:shop.database.windows.net,1433;Password=geheim"},
        {"STORE": "host=db.data dbname=shop user=shop password=geheim"},
        {"spring.redis.host": "cache.corp.example"},
        {"CASSANDRA_CONTACT_POINTS": "a.data,b.data"},
        {"KAFKA_BROKERS": "a.data:9092,b.data:9092"},
        {"DATABASE_URL": "mysql://$(DB_USER):$(DB_PASSWORD)@$(DB_NAME).data/shop"},
    ],
)
def test_a_database_elsewhere(env: dict[str, str]) -> None:
    key = next(iter(env))
    assert data(around(env=env)) == [f"the database of {key}"]
    own = (service("postgres", 5432), service("db", 3306))  # others' of the same names
    assert data(around(env=env), *own) == [f"the database of {key}"]
    assert data(replace(around(env=env), written=dict.fromkeys(env, "localhost")), *own) == []
    assert data(replace(around(env=env), excluded=tuple(env))) == []


@pytest.mark.parametrize(
    "env",
    [
        {"DB_HOST": "localhost", "DB_PORT": "5432"},
        {"DB_HOST": "127.0.0.1:5432"},
        {"API_HOST": "api.corp.example", "API_PORT": "8080"},
        {"API_URL": "https://api.corp.example/v1"},
        {"DB_ADMIN_URL": "https://phpmyadmin.corp.example"},
        {"DB_CONNECTION": "mysql", "SESSION_DRIVER": "redis"},
        {"USE_REDIS": "true", "DB_SERVER": "true"},
        {"DATABASE_URL": "sqlite:////data/shop.db"},
        {"LISTEN_ADDRESS": "10.0.0.1:5432"},
        {"DB_USER": "shop", "DB_NAME": "shop", "DB_PASSWORD": "db.data:5432", "DB_PORT": "5432"},
        {"TIMES": "11:3306", "NUMBERS": "80,5432"},
    ],
)
def test_what_is_no_database_elsewhere(env: dict[str, str]) -> None:
    assert data(around(env=env)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SPRING_DATASOURCE_URL", "jdbc:h2:mem:test"),
        ("SPRING_DATASOURCE_URL", "jdbc:sqlite:test.db"),
        ("KC_DB_URL", "jdbc:h2:mem:x"),
        ("KC_DB_URL", "jdbc:h2:file:///opt/data/x"),
        ("DATABASE_URL", "sqlite:app.db"),
        ("DATABASE_URL", "postgresql:///x?host=/var/run"),
        ("DATABASE_URL", "postgresql://shop:p@w@/x?host=/var/run"),
        ("DATABASE_URL", "postgresql://%2Fvar%2Frun/x"),
        ("DATABASE_DSN", "host=/var/run dbname=x"),
        ("DB_URL", "app.db"),
        ("DB_URI_2", "app.db"),
        ("GEOIP_DB_URL", "https://geoip.corp.example/x.mmdb"),
        ("POSTGRES_HOST", "/var/run/postgresql"),
        ("POSTGRES_HOST", "-"),
        ("REDIS_HOST", "disabled"),
        ("ELASTICSEARCH_HOST", "unset"),
    ],
)
def test_what_is_embedded_or_nowhere(key: str, value: str) -> None:
    """And it settles nothing."""
    assert data(around(env={key: value})) == []
    assert data(around(env={key: value}), service("postgres", 5432)) == ["service/postgres (PostgreSQL)"]


@pytest.mark.parametrize(
    "value",
    [
        "db",
        "db:5432",
        "db.shop",
        "db.shop.svc.cluster.local:5432",
        "pg://u:geheim@db.shop.svc/x",
        "db,db.shop",
    ],
)
def test_a_service_by_short_and_full_name(value: str) -> None:
    assert data(around(env={"DB_HOST": value}), service("db", 5432), service("cache", 6379)) == [
        "service/db (PostgreSQL, named by DB_HOST)"
    ]


def test_a_service_with_a_port_of_its_own_is_known_by_the_variable() -> None:
    env = {"DB_HOST": "db", "API_HOST": "api", "MONGO_URL": "mongodb://store/x", "PG_HOST": "web"}
    around_it = (service("db", 6000), service("api", 80), service("store", 80), service("web", 80, app="web"))
    assert data(around(env=env), *around_it) == [
        "service/db (a database, named by DB_HOST)",
        "service/store (MongoDB, named by MONGO_URL)",
    ]


def test_a_driver_is_no_host() -> None:
    env = {"DB_CONNECTION": "mysql", "CACHE_DRIVER": "redis", "DB_HOST": "mysql"}
    found = data(around(env=env), service("mysql", 3306), service("redis", 6379))
    assert found == ["service/mysql (MySQL or MariaDB, named by DB_HOST)"]


_BOTH = (service("cache", 6379), service("orders", 3306))
_CACHE = "service/cache (Redis, named by REDIS_HOST)"


@pytest.mark.parametrize(
    ("more", "by"),
    [
        ({"secret": ("DB_HOST", "DB_PASSWORD")}, "DB_HOST"),
        ({"secret": ("DATABASE_URL",)}, "DATABASE_URL"),
        ({"secret": ("DSN", "HOST")}, "DSN"),
        ({"secret": ("ConnectionStrings__Default",)}, "ConnectionStrings__Default"),
        ({"secret": ("ORDERS_ENDPOINT",)}, "ORDERS_ENDPOINT"),  # as the Service is called
        ({"env_from": {"secretRef": {"name": "app"}}}, "secret/app"),
        ({"env_from": {"configMapRef": {"name": "app"}}, "secret": ("DB_HOST",)}, "DB_HOST"),
    ],
)
def test_what_is_said_elsewhere_may_name_any_database(more: Json, by: str) -> None:
    seen = around(env={"REDIS_HOST": "cache"}, **more)
    assert data(seen, *_BOTH) == [_CACHE, f"service/orders (MySQL or MariaDB, perhaps named by {by})"]


@pytest.mark.parametrize(
    "name",
    [
        *("DB_PASSWORD", "DB_USER", "DB_NAME", "LOG_LEVEL"),
        *("USE_REDIS", "ENABLE_KAFKA", "REDIS", "GEOIP_DB_URL", "DB_MIGRATIONS_URL", "KAFKA_LISTEN_ADDRESS"),
        *("S3_ENDPOINT", "SMTP_HOST", "API_URL", "PUBLIC_URL", "SENTRY_DSN", "STORAGE_CONNECTION_STRING"),
    ],
)
def test_what_is_said_elsewhere_and_is_no_databases_address(name: str) -> None:
    assert data(around(env={"REDIS_HOST": "cache"}, secret=(name,)), *_BOTH) == [_CACHE]
    assert data(around(secret=(name,))) == []


def test_an_object_is_suspected_only_where_no_variable_leads_to_more_than_a_store_beside() -> None:
    flags: Json = {"env_from": {"configMapRef": {"name": "flags"}}}
    everything = (service("mariadb", 3306), service("postgres", 5432), service("redis", 6379))
    mine = "service/mariadb (MySQL or MariaDB, named by DB_HOST)"
    assert data(around(env={"DB_HOST": "mariadb"}, **flags), *everything) == [mine]
    assert data(around(env={"DB_HOST": "rds.corp.example"}, **flags), *everything) == [
        "the database of DB_HOST"
    ]
    assert data(around(secret=("POSTGRES_HOST",), **flags), *everything) == [
        "service/postgres (PostgreSQL, perhaps named by POSTGRES_HOST)"
    ]
    assert data(around(env={"REDIS_HOST": "redis"}, **flags), *everything) == [
        "service/redis (Redis, named by REDIS_HOST)",
        "service/mariadb, service/postgres (MySQL or MariaDB, PostgreSQL, perhaps named by configmap/flags)",
    ]


def test_what_is_suspected_alike_is_one_line() -> None:
    many = [service(f"db{number}", 5432) for number in range(8)]
    names = "service/db0, service/db1, service/db2, service/db3, service/db4 and 3 more"
    seen = around(env_from={"secretRef": {"name": "app"}})
    assert data(seen, *many) == [f"{names} (PostgreSQL, perhaps named by secret/app)"]
    assert data(around(), *many) == [f"{names} (PostgreSQL)"]
    assert data(around(), *many[:5]) == [f"{names.removesuffix(' and 3 more')} (PostgreSQL)"]


_POSTGRES = service("postgres", 5432)
_MARIADB, _MYSQL, _REDIS = service("mariadb", 3306), service("mysql", 3306), service("redis", 6379)
_FROM = {"secretRef": {"name": "app"}}


@pytest.mark.parametrize(
    ("seen", "services", "texts"),
    [
        pytest.param(
            around(
                env={"WORDPRESS_DATABASE_NAME": "wordpress", "MARIADB_PORT_NUMBER": "3306", "SMTP_HOST": ""},
                secret=("WORDPRESS_DATABASE_HOST", "WORDPRESS_DATABASE_PASSWORD", "WORDPRESS_SMTP_HOST"),
                env_from={"configMapRef": {"name": "extra"}},
            ),
            (_MARIADB, _REDIS),
            ["service/mariadb (MySQL or MariaDB, perhaps named by WORDPRESS_DATABASE_HOST)"],
            id="WordPress' chart",
        ),
        pytest.param(
            around(env={"DJANGO_SETTINGS_MODULE": "shop.settings"}, env_from=_FROM),
            (_POSTGRES,),
            ["service/postgres (PostgreSQL, perhaps named by secret/app)"],
            id="Django",
        ),
        pytest.param(
            around(env={"REDIS_URL": "redis://redis:6379/0"}, env_from=_FROM),
            (_POSTGRES, _REDIS),
            [
                "service/redis (Redis, named by REDIS_URL)",
                "service/postgres (PostgreSQL, perhaps named by secret/app)",
            ],
            id="Django with Celery",
        ),
        pytest.param(
            around(
                env={
                    "DB_CONNECTION": "mysql",
                    "DB_HOST": "mysql",
                    "DB_DATABASE": "mysql",
                    "CACHE_STORE": "redis",
                    "MAIL_HOST": "smtp.corp.example",
                },
                env_from=_FROM,
            ),
            (_MYSQL, _POSTGRES, _REDIS),
            ["service/mysql (MySQL or MariaDB, named by DB_HOST)"],
            id="Laravel",
        ),
        pytest.param(
            around(
                env={"KC_DB": "postgres", "KC_DB_URL_HOST": "postgres", "KC_HOSTNAME": "login.corp.example"},
                secret=("KC_DB_PASSWORD", "KC_DB_USERNAME"),
            ),
            (_POSTGRES, _MYSQL),
            ["service/postgres (PostgreSQL, named by KC_DB_URL_HOST)"],
            id="Keycloak",
        ),
        pytest.param(
            around(env={"SPRING_DATASOURCE_URL": "jdbc:postgresql://db:5432/x"}, env_from=_FROM),
            (service("db", 5432), _MYSQL),
            ["service/db (PostgreSQL, named by SPRING_DATASOURCE_URL)"],
            id="Spring",
        ),
        pytest.param(
            around(
                env={
                    "database__client": "mysql",
                    "database__connection__host": "mysql",
                    "url": "https://x.y",
                },
                secret=("database__connection__password", "mail__options__host"),
            ),
            (_MYSQL, _POSTGRES),
            ["service/mysql (MySQL or MariaDB, named by database__connection__host)"],
            id="Ghost",
        ),
        pytest.param(
            around(
                env={"DB_HOST": "mariadb", "S3_ENDPOINT": "https://s3.corp.example"},
                secret=("S3_ENDPOINT_2",),
            ),
            (_MARIADB, _POSTGRES, service("minio", 9000)),
            ["service/mariadb (MySQL or MariaDB, named by DB_HOST)"],
            id="S3",
        ),
        pytest.param(around(env={"S3_ENDPOINT": "minio:9000"}), (service("minio", 9000),), [], id="S3 alone"),
        pytest.param(
            around(env={"DB_HOST": "shop.x1.eu-west-1.rds.amazonaws.com", "DB_PORT": "5432"}, env_from=_FROM),
            (_POSTGRES, _REDIS),
            ["the database of DB_HOST"],
            id="RDS",
        ),
    ],
)
def test_common_applications(seen: Circumstances, services: tuple[Json, ...], texts: list[str]) -> None:
    assert data(seen, *services) == texts


def test_what_is_said_elsewhere_and_names_another_kind_of_database() -> None:
    found = data(around(env={"REDIS_HOST": "cache"}, secret=("POSTGRES_HOST",)), *_BOTH)
    assert found == [_CACHE, "the database of POSTGRES_HOST"]


def test_what_the_file_says_is_in_place_of_the_template() -> None:
    seen = around(env={"REDIS_HOST": "cache", "DB_HOST": "orders"}, secret=("DATABASE_URL",))
    laptops = {"DB_HOST": "host.docker.internal", "DATABASE_URL": "mysql://host.docker.internal/x"}
    assert data(replace(seen, written=laptops), *_BOTH) == [_CACHE]
    other = {"REDIS_HOST": "localhost", "DB_HOST": "orders", "DATABASE_URL": "mysql://orders/x"}
    by_file = "service/orders (MySQL or MariaDB, named by DATABASE_URL, DB_HOST)"
    assert data(replace(seen, written=other), *_BOTH) == [by_file]
    assert data(replace(around(env={"DB_HOST": "orders"}), written={"DB_HOST": "localhost"}), *_BOTH) == []
    hidden = around(env={"REDIS_HOST": "cache"}, env_from={"secretRef": {"name": "app"}})
    assert data(replace(hidden, written={"DB_HOST": "localhost"}), *_BOTH) == [_CACHE]
    assert len(data(replace(hidden, written={"API_HOST": "localhost"}), *_BOTH)) == 2


@given(st.sampled_from(["{}", "{}:5432", "postgres://{0}:{0}@{0}/{0}", "host={0} dbname={0}"]), st.booleans())
def test_no_value_is_ever_said(form: str, by_file: bool) -> None:
    env = {"DB_HOST": form.format("geheim"), "STORE": form.format("geheim.data")}
    seen = replace(around(env=env), written=env if by_file else {})
    assert "geheim" not in " ".join(data(seen, *_BOTH)) + repr(seen)


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
