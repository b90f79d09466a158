"""What a process on the laptop dials: by a tunnel where there is one, named where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.container.tunnel_rewriting import OpenTunnel, Tunnelled, use_tunnels
from devcluster.rules.names.service_names import ServiceSight
from devcluster.rules.names.variables import COMPARED

DB = ServiceSight("db", ("10.96.0.5",), (3306,))
WEB = ServiceSight("web", ("10.96.0.50", "fd00::5"), (80, 8443))
SERVICES = (DB, WEB, ServiceSight("quiet"), ServiceSight("kafka", (), (9092,)))
TUNNELS = (
    OpenTunnel("db", 3306, 3306),
    OpenTunnel("web.shop", 80, 18080),
    OpenTunnel("redis.infra", 6379, 16379),
    OpenTunnel("rds.example.com", 5432, 15432),
    OpenTunnel("pay.bank.svc.cluster.local", 80, 18081),
    OpenTunnel("kafka-0.kafka", 9092, 9092),
    OpenTunnel("fd00::9", 80, 18082),
)


def use(
    env: dict[str, str],
    tunnels: tuple[OpenTunnel, ...] = TUNNELS,
    only: tuple[str, ...] | None = None,
    beside: dict[str, str] | None = None,
) -> Tunnelled:
    return use_tunnels(
        env,
        services=SERVICES,
        namespace="shop",
        domains=("cluster.local",),
        tunnels=tunnels,
        only=only,
        beside=beside,
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("DB_HOST", "db", "127.0.0.1"),
        ("DB_HOST", "db.shop", "127.0.0.1"),
        ("DB_HOST", "db.shop.svc", "127.0.0.1"),
        ("DB_HOST", "db.shop.svc.cluster.local.", "127.0.0.1"),
        ("DB_HOST", "10.96.0.5", "127.0.0.1"),
        ("DB_HOST", "db:3306", "127.0.0.1:3306"),
        ("X", "10.96.0.5:3306", "127.0.0.1:3306"),
        ("DB_PORT", "tcp://10.96.0.5:3306", "tcp://127.0.0.1:3306"),
        ("X", "mysql://db:db@db/db", "mysql://db:db@127.0.0.1:3306/db"),
        ("X", "mysql://db:db@db.shop:3306/db", "mysql://db:db@127.0.0.1:3306/db"),
        ("X", "u:p@tcp(db:3306)/db", "u:p@tcp(127.0.0.1:3306)/db"),
        ("X", "host=db port=3306 user=db", "host=127.0.0.1 port=3306 user=db"),
        ("X", "http://web/db", "http://127.0.0.1:18080/db"),
        ("X", "http://web.shop.svc.cluster.local/", "http://127.0.0.1:18080/"),
        ("X", "https://rds.example.com:5432/", "https://127.0.0.1:15432/"),
        ("X", "rediss://redis.infra:6379", "rediss://127.0.0.1:16379"),
        ("X", "redis://redis.infra.svc.cluster.local:6379/0", "redis://127.0.0.1:16379/0"),
        ("X", '{"host": "db", "user": "db"}', '{"host": "127.0.0.1", "user": "db"}'),
        ("BROKERS", "db:3306,web:80", "127.0.0.1:3306,127.0.0.1:18080"),
        ("X", "http://pay.bank/", "http://127.0.0.1:18081/"),
        ("X", "http://pay.bank.svc/", "http://127.0.0.1:18081/"),
        ("BROKERS", "kafka-0.kafka.shop.svc:9092", "127.0.0.1:9092"),
        ("X", "http://[fd00::9]:80/x", "http://127.0.0.1:18082/x"),
        ("X", "tcp://[fd00::5]:80", "tcp://127.0.0.1:18080"),
    ],
)
def test_what_is_dialled_goes_by_its_tunnel(key: str, value: str, expected: str) -> None:
    assert use({key: value}).variables == {key: expected}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DB_PASSWORD", "db"),
        ("DB_USER", "db"),
        ("OIDC_ISSUER", "http://web/realms/x"),
        ("X", "mysql://db:db@elsewhere/db"),
        ("X", "http://web.example.com/"),
        ("X", "10.96.0.51:3306"),
        ("X", "110.96.0.5:3306"),
        ("X", "my-db.shop:3306"),
        ("X", "db.shop.example.com:3306"),
        ("X", "db.shopping:3306"),
        ("X", "db:3307"),
        ("X", "https://web/"),
        ("PATH", "/db:/web"),
    ],
)
def test_what_leads_elsewhere_stays(key: str, value: str) -> None:
    assert use({key: value}).variables == {key: value}


def test_a_query_names_a_host_without_its_port() -> None:
    value = "postgresql:///x?host=db&port=3306"
    assert use({"X": value}).variables["X"] == "postgresql:///x?host=127.0.0.1&port=3306"


def test_what_is_compared_is_told() -> None:
    (made,) = use({"OIDC_ISSUER": "http://web/"}).made
    assert (made.service, made.to, made.kept) == ("web", "", COMPARED)


def test_each_change_is_told_without_the_value() -> None:
    (made,) = use({"X": "mysql://u:secret@db/x"}).made
    assert (made.where, made.service, made.to) == ("X", "db", "127.0.0.1:3306")


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"DB_HOST": "db"}, '"3306:db:3306"'),
        ({"DB_HOST": "db", "DB_PORT": "3306"}, '"3306:db:3306"'),
        ({"X": "mysql://db/x"}, '"db:3306"'),
        ({"X": "db:3306"}, '"db:3306"'),
        ({"X": "db:9999"}, '"db:3306"'),
        ({"X": "http://web/"}, '"web:80"'),
        ({"X": "https://web:8443/"}, '"web:8443"'),
        ({"WEB_HOST": "web"}, '"web:80"'),
        ({"BROKERS": "kafka-1.kafka:9092"}, '"kafka-1.kafka:9092"'),
        ({"KAFKA_HOST": "kafka-1.kafka.shop.svc.cluster.local"}, '"9092:kafka-1.kafka:9092"'),
        ({"X": "http://pay.bank.svc.cluster.local/"}, '"pay.bank:80"'),
        ({"X": "redis://redis.infra.svc:6379/0"}, '"redis.infra:6379"'),
        ({"X": "redis://redis.infra.svc/0"}, '"redis.infra:PORT"'),
    ],
)
def test_what_has_no_tunnel_is_named_with_the_line_to_write(env: dict[str, str], line: str) -> None:
    done = use(env, ())
    assert done.variables == env
    (note,) = done.notes
    key = next(iter(env))
    assert note == f"{key} dials what no tunnel leads to: write {line} under `tunnels`"
    (made,) = done.made
    assert (made.to, made.kept) == ("", f"no tunnel leads to it: write {line} under `tunnels`")
    assert "9999" not in note + made.kept


def test_variables_that_need_the_same_line_share_it() -> None:
    (note,) = use({"A_URL": "mysql://db/x", "B_URL": "mysql://db/y"}, ()).notes
    assert note == 'A_URL, B_URL dial what no tunnel leads to: write "db:3306" under `tunnels`'


def test_what_kubelet_makes_of_every_service_asks_for_no_tunnel() -> None:
    links = {
        "DB_SERVICE_HOST": "10.96.0.5",
        "DB_SERVICE_PORT": "3306",
        "DB_PORT": "tcp://10.96.0.5:3306",
        "DB_PORT_3306_TCP": "tcp://10.96.0.5:3306",
        "DB_PORT_3306_TCP_ADDR": "10.96.0.5",
    }
    assert use(links, ()).notes == ()
    used = use(links).variables
    assert used["DB_SERVICE_HOST"] == used["DB_PORT_3306_TCP_ADDR"] == "127.0.0.1"
    assert used["DB_PORT"] == "tcp://127.0.0.1:3306"


@pytest.mark.parametrize(
    ("env", "where"),
    [
        ({"DB_HOST": "db", "DB_PORT": "3306"}, "DB_PORT has"),
        ({"PGHOST": "db", "PGPORT": "3306"}, "PGPORT has"),
        ({"DB_HOST": "db", "DB_PORT_NUMBER": "3306"}, "DB_PORT_NUMBER has"),
        ({"DB_HOST": "db"}, "its program dials"),
    ],
)
def test_a_port_of_its_own_and_a_tunnel_on_another_are_named(env: dict[str, str], where: str) -> None:
    done = use(env, (OpenTunnel("db", 3306, 13306),))
    (note,) = done.notes
    key = next(iter(env))
    assert done.variables == env | {key: "127.0.0.1"}
    assert note == (
        f"{key} is 127.0.0.1 now, and {where} the port of db, 3306, but the tunnel is on 13306: "
        'write "3306:db:3306" under `tunnels`'
    )


def test_a_port_that_the_file_sets_is_the_laptops() -> None:
    """Who has a database of their own on 3306 takes another number."""
    tunnels = (OpenTunnel("db", 3306, 13306), OpenTunnel("db", 33060, 13307))
    for local in ("13306", "13307"):
        done = use({"DB_HOST": "db"}, tunnels, beside={"DB_PORT": local})
        assert (done.variables, done.notes) == ({"DB_HOST": "127.0.0.1"}, ())
    done = use({"DB_HOST": "db"}, tunnels, beside={"DB_PORT": "3306"})
    assert done.variables == {"DB_HOST": "127.0.0.1"}
    (note,) = done.notes
    said = "DB_PORT under `environment` must be its tunnel's port, 13306"
    assert note == f"DB_HOST is 127.0.0.1 now, so {said}"


def test_a_port_beside_a_whole_url_is_not_its_own() -> None:
    env = {"DB_URL": "mysql://u:p@db/x", "DB_PORT": "3306", "WEB_URL": "http://web", "WEB_PORT": "80"}
    done = use(env, (OpenTunnel("db", 3306, 13306), OpenTunnel("web", 80, 18080)))
    assert done.variables["DB_URL"] == "mysql://u:p@127.0.0.1:13306/x"
    assert done.variables["WEB_URL"] == "http://127.0.0.1"  # its program adds the port
    (note,) = done.notes
    assert note.endswith('write "10080:web:80" under `tunnels`, and WEB_PORT: "10080" under `environment`')


def test_a_port_of_its_own_chooses_among_tunnels() -> None:
    tunnels = (OpenTunnel("web", 80, 18080), OpenTunnel("web", 8443, 8443))
    done = use({"WEB_HOST": "web", "WEB_PORT": "8443"}, tunnels)
    assert done.variables["WEB_HOST"] == "127.0.0.1"
    assert done.notes == ()


def test_no_proxy_lists_the_laptop_where_it_listed_the_service() -> None:
    env = {"API_URL": "http://web/", "NO_PROXY": "web.shop,.local"}
    assert use(env).variables["NO_PROXY"] == "web.shop,.local,127.0.0.1"
    assert use(env | {"NO_PROXY": "other"}).variables["NO_PROXY"] == "other"


def test_a_tunnel_is_told_as_it_is_written() -> None:
    assert str(OpenTunnel("fd00::9", 80, 18082)) == "127.0.0.1:18082 -> [fd00::9]:80"


def test_with_a_list_the_user_decides() -> None:
    env = {"ODD": "db", "OIDC_ISSUER": "http://web/", "DB_HOST": "db"}
    done = use(env, only=("ODD", "OIDC_ISSUER"))
    assert done.variables == {"ODD": "127.0.0.1", "OIDC_ISSUER": "http://127.0.0.1:18080/", "DB_HOST": "db"}


@given(st.text(), st.text())
def test_without_a_service_in_it_a_text_is_unchanged(before: str, behind: str) -> None:
    text = before + behind
    if not any(
        name in text
        for name in ("db", "web", "quiet", "kafka", "10.96", "fd00", "redis", "rds", "pay", ".svc")
    ):
        assert use({"X": text}).variables == {"X": text}


@given(
    st.sampled_from(["db", "db.shop", "10.96.0.5", "db.shop.svc"]), st.text(alphabet="x0 ,;:/@", max_size=20)
)
def test_words_that_look_like_our_own_are_not_taken_for_them(name: str, around: str) -> None:
    text = f"x1 x0000001 {around} {name}:3306"
    changed = use({"X": text}).variables["X"]
    assert changed in (text, f"x1 x0000001 {around} 127.0.0.1:3306")
