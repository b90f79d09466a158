"""Hosts in files: lines that say so, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.names.certificates import CERTIFICATE, HTTP
from devcluster.rules.names.rewriting import LARGEST, LineRewrite, restore_text, rewrite_text
from devcluster.rules.names.variables import COMPARED

SERVICES = ("wordpress-mariadb", "db", "redis", "a", "b")


def rewrite(text: str) -> str:
    return rewrite_text(text.encode(), services=SERVICES, namespace="shop")[0].decode()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "define( 'DB_HOST', 'wordpress-mariadb:3306' );",
            "define( 'DB_HOST', 'wordpress-mariadb.shop:3306' );",
        ),
        ("define( 'DB_HOST', 'wordpress-mariadb' );", "define( 'DB_HOST', 'wordpress-mariadb.shop' );"),
        ('define("DB_HOST","db");', 'define("DB_HOST","db.shop");'),
        ("host = db", "host = db.shop"),
        ("host=db ; the database", "host=db.shop ; the database"),
        ("  host: db", "  host: db.shop"),
        ("  host: db # db", "  host: db.shop # db"),
        ('{"host": "db", "user": "db"}', '{"host": "db.shop", "user": "db"}'),
        ("DB_HOST=db", "DB_HOST=db.shop"),
        ("export DB_HOST='db'", "export DB_HOST='db.shop'"),
        ("$cfg['host'] = 'db';", "$cfg['host'] = 'db.shop';"),
        ("'host' => 'db',", "'host' => 'db.shop',"),
        ("url: mysql://db:db@db/db", "url: mysql://db:db@db.shop/db"),
        ("$u = 'redis://redis:6379/0';", "$u = 'redis://redis.shop:6379/0';"),
        ("proxy_pass tcp://a:80/;", "proxy_pass tcp://a.shop:80/;"),
        ("server a:8080;", "server a.shop:8080;"),
        ("brokers: a:9092,b:9092", "brokers: a.shop:9092,b.shop:9092"),
        ("host = db\r", "host = db.shop\r"),
        ("{host: db, user: db}", "{host: db.shop, user: db}"),
        ("'dsn' => 'mysql:host=db;dbname=db',", "'dsn' => 'mysql:host=db.shop;dbname=db',"),
        ('hosts: ["a", "b"]', 'hosts: ["a.shop", "b.shop"]'),
        ("\ufeffhost = db", "\ufeffhost = db.shop"),
        ('database = "mysql://db:db@db/db"', 'database = "mysql://db:db@db.shop/db"'),
    ],
)
def test_hosts_are_qualified(line: str, expected: str) -> None:
    assert rewrite(line) == expected
    assert rewrite(expected) == expected


@pytest.mark.parametrize(
    "line",
    [
        "define( 'DB_NAME', 'wordpress-mariadb' );",
        "define( 'DB_USER', 'wordpress-mariadb' );",
        "define( 'DB_PASSWORD', 'wordpress-mariadb:3306' );",
        "define( 'DB_PASSWORD', 'db' ); // host",
        "database: db",
        "user = db",
        '"password": "db"',
        "the db is on the host",
        "$db = new db();",
        "image: redis:7",
        "host: db.other",
        "x = /var/lib/db",
        "use db;",
        "host,db",
        "url = http://x/?a=1&host=db",
        "user=x;password=db:3306",
        "password = p,db:3306",
        "voil\u00e0db:80",
    ],
)
def test_all_else_stays(line: str) -> None:
    assert rewrite(line) == line


def test_bytes_survive_and_lines_are_named() -> None:
    data = b"\xff\xe9 caf\xe9\r\nDB_HOST=db\r\nx\r\nredis://redis/\r\n\xc3\xa9"
    result, made = rewrite_text(data, services=SERVICES, namespace="shop")
    assert result == b"\xff\xe9 caf\xe9\r\nDB_HOST=db.shop\r\nx\r\nredis://redis.shop/\r\n\xc3\xa9"
    assert made == (LineRewrite(2, "db", "db.shop"), LineRewrite(4, "redis", "redis.shop"))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("define( 'WP_HOME', 'http://a' );", HTTP),
        ("'issuer' => 'a',", COMPARED),
        ("url: rediss://redis", CERTIFICATE),
        ("[database]\nhost = db\nssl_mode = verify-full\n", CERTIFICATE),
        ("DB_HOST=db\n\nDB_SSLMODE=verify-ca\n", CERTIFICATE),
        ("define( 'DB_HOST', 'db' );\ndefine( 'MYSQL_SSL_CA', '/ca.pem' );", CERTIFICATE),
    ],
)
def test_what_stays_is_told_with_its_reason(text: str, kept: str) -> None:
    data, made = rewrite_text(text.encode(), services=SERVICES, namespace="shop")
    assert data == text.encode()
    assert [(it.to, it.kept) for it in made] == [("", kept)]


def test_an_option_speaks_for_its_own_section_and_words() -> None:
    text = "[database]\nhost = db\nssl_mode = verify-full\n[cache]\nhost = redis\n"
    assert rewrite(text) == text.replace("redis", "redis.shop")
    text = "DB_HOST=db\nREDIS_HOST=redis\nREDIS_TLS=true\n"
    assert rewrite(text) == text.replace("=db", "=db.shop")


def test_a_proxy_list_in_a_file_knows_the_new_name() -> None:
    assert rewrite("host = db\nno_proxy = a,db\n") == "host = db.shop\nno_proxy = a,db,db.shop\n"


@pytest.mark.parametrize("data", [b"DB_HOST=db\0", b"DB_HOST=db\n" + b"x" * LARGEST, b"", b"db"])
def test_what_is_no_configuration_is_left_alone(data: bytes) -> None:
    assert rewrite_text(data, services=SERVICES, namespace="shop") == (data, ())


WORDS = ["db", "redis", "host", "user", "\r\n", "://", "define( ", "\xff", *"=:'\",\n @"]


@given(st.lists(st.sampled_from(WORDS)).map(lambda parts: "".join(parts).encode("latin-1")))
def test_twice_is_once_and_only_names_grow(data: bytes) -> None:
    once, _ = rewrite_text(data, services=SERVICES, namespace="shop")
    assert rewrite_text(once, services=SERVICES, namespace="shop")[0] == once
    assert once.replace(b".shop", b"") == data


@given(st.binary(max_size=200))
def test_no_bytes_crash(data: bytes) -> None:
    rewrite_text(b"host=db " + data, services=SERVICES, namespace="shop")


def restore(local: str, pod: str = "", *, force: bool = False) -> str | None:
    restored = restore_text(local.encode(), pod.encode(), services=SERVICES, namespace="shop", force=force)
    return None if restored is None else restored.decode()


@pytest.mark.parametrize(
    ("what", "pod", "local", "restored"),
    [
        ("nothing changed", "host = db\n", "host = db.shop\n", "host = db\n"),
        ("another line", "host = db\nx = 1\n", "host = db.shop\nx = 2\n", "host = db\nx = 2\n"),
        ("the same line", "host = db # old\n", "host = db.shop # new\n", "host = db # new\n"),
        ("another service", "host = db\n", "host = redis.shop\n", "host = redis\n"),
        ("a short name", "host = db\n", "host = redis\n", "host = redis\n"),
        ("a new file", "", "host = db.shop\n", "host = db\n"),
        ("no host at all", "", "text\n", "text\n"),
        ("qualified in the pod", "host = db.shop\nx = 1", "host = db.shop\nx = 2", "host = db.shop\nx = 2"),
        ("qualified in the pod, changed", "host = db.shop # 1", "host = db.shop # 2", "host = db.shop # 2"),
        ("a URL that stays", "", "WP_HOME=http://a.shop/\n", "WP_HOME=http://a.shop/\n"),
        (
            "short and long",
            "",
            "host = db.shop\nWP_HOME=http://a.shop/\n",
            "host = db\nWP_HOME=http://a.shop/\n",
        ),
        ("lines in between", "a\nhost = db\nz", "a\nb\nhost = db.shop\nz", "a\nb\nhost = db\nz"),
    ],
)
def test_what_was_edited_gets_its_short_names_back(what: str, pod: str, local: str, restored: str) -> None:
    assert restore(local, pod) == restored, what


def test_what_is_not_certain_is_not_guessed() -> None:
    pod = "[database]\nhost = db\n"
    local = "[database]\nhost = db.shop\nssl_mode = verify-full\n"  # rewriting would not touch it any more
    assert restore(local, pod) is None
    assert restore(local, pod, force=True) == "[database]\nhost = db\nssl_mode = verify-full\n"


@given(
    st.lists(st.sampled_from(WORDS)).map(lambda parts: "".join(parts).encode("latin-1")),
    st.lists(st.sampled_from([*WORDS, "db.shop", "\n"])).map(lambda parts: "".join(parts).encode("latin-1")),
)
def test_what_is_restored_is_rewritten_into_what_was_edited(pod: bytes, more: bytes) -> None:
    shown, _ = rewrite_text(pod, services=SERVICES, namespace="shop")
    assert restore_text(shown, pod, services=SERVICES, namespace="shop") == pod
    local = shown + b"\n" + more
    restored = restore_text(local, pod, services=SERVICES, namespace="shop")
    if restored is not None:
        assert (
            rewrite_text(restored, services=SERVICES, namespace="shop")[0]
            == rewrite_text(local, services=SERVICES, namespace="shop")[0]
        )
