"""Hosts in the environment: rewritten where one stands, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.config.model import Rewrite, Target, VolumeRule, Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.container.environment import (
    LocalEnvironment,
    RewriteMade,
    local_environment,
    render_hint,
    rewrite_hosts,
)
from devcluster.rules.names.certificates import HTTP
from devcluster.rules.names.proxies import PROXY
from devcluster.rules.names.variables import COMPARED

SERVICES = ("db", "web", "wordpress-mariadb", "a", "b")


def rewrite(key: str, value: str, variables: tuple[str, ...] | None = None) -> str:
    result, _ = rewrite_hosts({key: value}, services=SERVICES, namespace="shop", variables=variables)
    return result[key]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("MARIADB_HOST", "wordpress-mariadb", "wordpress-mariadb.shop"),
        ("URL", "mysql://db:db@db/db", "mysql://db:db@db.shop/db"),
        ("URL", "mongodb://u:p@db,db/x", "mongodb://u:p@db.shop,db.shop/x"),
        (
            "URL",
            "mongodb://u:p@db:1,a:2,other:3/db?host=db",
            "mongodb://u:p@db.shop:1,a.shop:2,other:3/db?host=db",
        ),
        ("URL", "mysql://db:p@ss:w@db:3306/db", "mysql://db:p@ss:w@db.shop:3306/db"),
        ("URL", "amqp://db:db@db//db", "amqp://db:db@db.shop//db"),
        ("URL", "redis://:db@db:6379/0?x=a@b", "redis://:db@db.shop:6379/0?x=a@b"),
        ("URL", "redis://db:6379/0?x=a@b", "redis://db.shop:6379/0?x=a@b"),
        (
            "X",
            "jdbc:mysql://db:3306/db?user=db&password=db",
            "jdbc:mysql://db.shop:3306/db?user=db&password=db",
        ),
        (
            "X",
            "jdbc:sqlserver://db:1433;databaseName=db;user=db",
            "jdbc:sqlserver://db.shop:1433;databaseName=db;user=db",
        ),
        ("X", "jdbc:oracle:thin:@db:1521:xe", "jdbc:oracle:thin:@db.shop:1521:xe"),
        ("X", "db:db@tcp(db:3306)/db", "db:db@tcp(db.shop:3306)/db"),
        (
            "X",
            "host=db port=5432 dbname=db user=db password=db",
            "host=db.shop port=5432 dbname=db user=db password=db",
        ),
        ("X", "Server=tcp:db,1433;Database=db;User Id=db", "Server=tcp:db.shop,1433;Database=db;User Id=db"),
        ("KAFKA", "a:9092,b:9092", "a.shop:9092,b.shop:9092"),
        ("X", "tcp://a:1/,tcp://b:2/a", "tcp://a.shop:1/,tcp://b.shop:2/a"),
        ("X", "tcp://a tcp://u:p@b/x", "tcp://a.shop tcp://u:p@b.shop/x"),
        ("X", '{"url":"tcp://db:80/db","user":"db"}', '{"url":"tcp://db.shop:80/db","user":"db"}'),
        ("MEMCACHED_SERVERS", "a, b:11211", "a.shop, b.shop:11211"),
        ("API_URL", "db", "db.shop"),
        ("spring.redis.host", "db", "db.shop"),
        ("dbHost", "db", "db.shop"),
        ("REDIS_HOST_1", "db", "db.shop"),
        ("X", "tcp://web/@scope/x", "tcp://web.shop/@scope/x"),
        ("PGHOST", "db", "db.shop"),
        ("DBHOST", "db:3306", "db.shop:3306"),
        ("CASSANDRA_CONTACT_POINTS", "a,b,", "a.shop,b.shop,"),
        ("BROKER_LIST", "a,b", "a.shop,b.shop"),
        ("ES_HOSTS", '["a", "b:9200"]', '["a.shop", "b.shop:9200"]'),
        ("X", "mysql:host=db;port=3306;dbname=db", "mysql:host=db.shop;port=3306;dbname=db"),
        ("X", "host='db' dbname='db'", "host='db.shop' dbname='db'"),
        ("X", "Server=db\\sql;Database=db", "Server=db.shop\\sql;Database=db"),
        ("X", "db:db@tcp(db)/db", "db:db@tcp(db.shop)/db"),
        ("X", '{"host":"db","user":"db","port":3306}', '{"host":"db.shop","user":"db","port":3306}'),
        ("X", '{"hosts":["db","a"],"name":"db"}', '{"hosts":["db.shop","a.shop"],"name":"db"}'),
        ("X", '["db:1","a:2"]', '["db.shop:1","a.shop:2"]'),
        ("X", "[db]\nhost: db\nuser: db\n", "[db]\nhost: db.shop\nuser: db\n"),
        ("X", "DB_HOST=db,DB_USER=db", "DB_HOST=db.shop,DB_USER=db"),
        ("ARGS", "--host=db --user=db", "--host=db.shop --user=db"),
        ("JAVA_OPTS", "-Ddb.host=db -Ddb.user=db", "-Ddb.host=db.shop -Ddb.user=db"),
        ("X", "a=tcp://a:2380,b=tcp://b:2380", "a=tcp://a.shop:2380,b=tcp://b.shop:2380"),
        ("X", "dns:///db:50051", "dns:///db.shop:50051"),
    ],
)
def test_hosts_are_qualified(key: str, value: str, expected: str) -> None:
    assert rewrite(key, value) == expected
    assert rewrite(key, expected) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("WORDPRESS_DATABASE_NAME", "wordpress-mariadb"),
        ("WORDPRESS_DATABASE_USER", "db"),
        ("DB_PASSWORD", "db:3306"),
        ("DB_PASSWORD", "http://db/"),
        ("DB_USER", "db:3306"),
        ("X", "db"),
        ("DD_SERVICE", "web"),
        ("HOSTNAME", "db"),
        ("ALLOWED_HOSTS", "web,db"),
        ("REDIS_IMAGE", "db:7"),
        ("DB_HOST", "db.other"),
        ("DB_HOST", "db.shop.svc.cluster.local"),
        ("X", "http://db.other/"),
        ("X", "http://other/db:80"),
        ("X", "http://other/?u=http://db/"),
        ("X", "http://db:x@other/"),
        ("X", "mysql://db:1/w@other/db"),
        ("X", "mysql://u:db;db:3306@other/"),
        ("X", "[db]:3306"),
        ("X", "db:3306@tcp(other:1)/x"),
        ("X", "x-db:3306"),
        ("X", "db-x:3306"),
        ("X", '{"user":"db","database":"db"}'),
        ("DB_PORT", "tcp://10.96.1.2:3306"),
        ("DB_SERVICE_HOST", "10.96.1.2"),
        ("X", "/var/db:3306"),
        ("X", "--user db --name=web"),
        ("BASIC_AUTH", "db:1234"),
        ("CREDENTIALS", "db:1234"),
        ("RABBITMQ_VHOST", "db"),
        ("X", "user=x;password=db:3306"),
        ("X", '{"password":"db:3306"}'),
        ("X", "Server=x;Password=p@db:3306;User=db"),
        ("X", "http://other/?a=b&host=db"),
        ("X", "file:///db"),
    ],
)
def test_all_else_stays(key: str, value: str) -> None:
    assert rewrite(key, value) == value


def test_named_variables_count_whole() -> None:
    assert rewrite("X", "db", ("X",)) == "db.shop"
    assert rewrite("X", "db;web|mysql://db:db@db/db", ("X",)) == "db.shop;web.shop|mysql://db:db@db.shop/db"
    assert rewrite("DB_HOST", "db", ("X",)) == "db"
    assert rewrite("X", "primary=db", ("X",)) == "primary=db.shop"
    assert rewrite("X", "db:db@tcp(db:3306)/db", ("X",)) == "db:db@tcp(db.shop:3306)/db"


def test_rewrites_are_listed_once_and_without_values() -> None:
    _, made = rewrite_hosts({"A_HOSTS": "a:1,a:2,b"}, services=SERVICES, namespace="shop")
    assert made == (RewriteMade("A_HOSTS", "a", "a.shop"), RewriteMade("A_HOSTS", "b", "b.shop"))


def test_a_variable_that_the_user_names_is_rewritten_whatever_keeps_it() -> None:
    for key, value, expected in [
        ("OIDC_ISSUER", "http://web/x", "http://web.shop/x"),
        ("API_URL", "https://web:8443", "https://web.shop:8443"),
        ("DB_URL", "postgres://db/x?sslmode=verify-full", "postgres://db.shop/x?sslmode=verify-full"),
    ]:
        assert rewrite(key, value) == value
        assert rewrite(key, value, (key,)) == expected
    env = {"API_URL": "http://web", "NO_PROXY": "web"}
    result, _ = rewrite_hosts(env, services=SERVICES, namespace="shop", variables=("API_URL",))
    assert result == {"API_URL": "http://web.shop", "NO_PROXY": "web,web.shop"}


def test_what_stays_is_listed_with_its_reason_once() -> None:
    env = {"URLS": "http://web:1,http://web:2,tcp://web:3", "JWT_AUD": "web", "DB_PASSWORD": "web"}
    _, made = rewrite_hosts(env, services=SERVICES, namespace="shop")
    assert made == (
        RewriteMade("URLS", "web", "", HTTP),
        RewriteMade("URLS", "web", "web.shop"),
        RewriteMade("JWT_AUD", "web", "", COMPARED),
    )


VALUES = st.lists(
    st.sampled_from(
        [
            "db",
            "web",
            "a",
            "shop",
            "://",
            "http",
            "host",
            "user",
            "3306",
            "x",
            "é",
            "\n",
            *":@/,;=() ?#.-'\"[]|$&\\{}",
        ]
    )
).map("".join)


@given(st.sampled_from(["X", "DB_HOST", "DB_USER", "URL"]), VALUES, st.sampled_from([None, ("X",)]))
def test_twice_is_once_and_only_names_grow(key: str, value: str, variables: tuple[str, ...] | None) -> None:
    once = rewrite(key, value, variables)
    assert rewrite(key, once, variables) == once
    assert once == value or once.replace(".shop", "") == value.replace(".shop", "")


@given(st.text(), st.text(alphabet="xyz0:/@,;=. "))
def test_a_value_without_a_service_is_unchanged(key: str, value: str) -> None:
    assert rewrite(key, value) == value


def workload(**settings: object) -> Workload:
    return Workload("w", Target("w"), **settings)  # type: ignore[arg-type]


def test_excluded_rewritten_and_overridden() -> None:
    env = (("PATH", "/bin"), ("DB_HOST", "db"), ("B", "1"))
    item = workload(env_exclude=("PA*",), environment=(("B", "http://db/"), ("C", "2")))
    got = local_environment(env, item, services=SERVICES, namespace="shop")
    assert dict(got.variables) == {"DB_HOST": "db.shop", "B": "http://db/", "C": "2"}
    assert got.rewrites == (RewriteMade("DB_HOST", "db", "db.shop"),)


def test_rewriting_can_be_off_or_of_some_services() -> None:
    env = (("DB_HOST", "db"), ("WEB_HOST", "web"))
    off = local_environment(env, workload(rewrite=Rewrite(False)), services=SERVICES, namespace="shop")
    assert off.variables == env
    some = workload(rewrite=Rewrite(services=("web",)))
    got = local_environment(env, some, services=SERVICES, namespace="shop")
    assert dict(got.variables) == {"DB_HOST": "db", "WEB_HOST": "web.shop"}
    wrong = workload(rewrite=Rewrite(services=("wep",)))
    with pytest.raises(ConfigurationError, match="has no Service wep"):
        local_environment(env, wrong, services=SERVICES, namespace="shop")


def test_the_files_own_variables_speak_for_the_pods() -> None:
    env = (("DB_HOST", "db"), ("DB_SSLMODE", "verify-full"), ("REDIS_HOST", "a"), ("NO_PROXY", "web"))
    item = workload(environment=(("DB_SSLMODE", "disable"), ("REDIS_TLS", "true")))
    got = local_environment(env, item, services=SERVICES, namespace="shop")
    assert dict(got.variables) == dict(item.environment) | {
        "DB_HOST": "db.shop",
        "REDIS_HOST": "a",
        "NO_PROXY": "web",
    }


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy", "JAVA_OPTS"])
def test_a_host_that_the_files_own_list_leads_past_a_proxy_stays(name: str) -> None:
    value = "-Dhttp.nonProxyHosts=web" if name == "JAVA_OPTS" else "localhost,web"
    env = (("WEB_HOST", "web"), ("DB_HOST", "db"))
    item = workload(environment=((name, value),))
    got = local_environment(env, item, services=SERVICES, namespace="shop")
    assert dict(got.variables) == {"WEB_HOST": "web", "DB_HOST": "db.shop", name: value}
    assert got.rewrites[0] == RewriteMade("WEB_HOST", "web", "", PROXY)
    both = workload(
        environment=((name, f"{value},web.shop" if name != "JAVA_OPTS" else f"{value}|web.shop"),)
    )
    got = local_environment(env, both, services=SERVICES, namespace="shop")
    assert dict(got.variables)["WEB_HOST"] == "web.shop"


def test_a_name_that_is_rewritten_in_a_file_fits_the_proxies_too() -> None:
    item = workload(volumes=(VolumeRule("data", rewrite=("wp-config.php",)),))
    got = local_environment((("NO_PROXY", "web"),), item, services=SERVICES, namespace="shop")
    assert dict(got.variables) == {"NO_PROXY": "web,web.shop"}


def test_a_hint_names_what_was_rewritten_and_the_way_back() -> None:
    assert render_hint((RewriteMade("A", "a", "", HTTP),)) == ""
    made = RewriteMade("DB_HOST", "db", "db.shop")
    assert render_hint((made,)) == (
        "names were rewritten in DB_HOST (db -> db.shop); `rewrite: {environment: false}` turns that off"
    )
    file = RewriteMade("data:wp-config.php", "db", "db.shop")
    assert render_hint((made,), (file,)).endswith("off, for files the `rewrite` of their volume does")
    assert "and 2 more;" in render_hint((made,) * 8)


def test_what_is_not_utf8_is_named_and_not_shown() -> None:
    env = (("BAD", "hush\udcff"),)
    with pytest.raises(ConfigurationError, match="BAD") as caught:
        local_environment(env, workload(), services=(), namespace="shop")
    assert "hush" not in str(caught.value) + caught.value.hint
    assert local_environment(env, workload(env_exclude=("BAD",)), services=(), namespace="s").variables == ()


def test_values_are_not_in_the_repr() -> None:
    assert "hush" not in repr(LocalEnvironment((("A", "hush"),)))
